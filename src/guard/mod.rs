//! Guards: what a run looks at while it goes on, and what that means for it.
//!
//! The decisions are pure, as functions of a state and an observation: the canary's course (`canary`), how many messages came
//! back (`bounces`), how fast to send while a consumer is behind (`backlog`). The looking is here too: at queues (`look`), by
//! asking a program (`command`), and for a person's word (`control`). It knows nothing of the pipeline; `apply` carries out what
//! is decided here.

mod backlog;
mod bounces;
mod canary;
mod command;
mod control;
mod look;

pub use backlog::Backlog;
pub use bounces::{AT_LEAST, Bounces, Share, WINDOW};
pub use canary::{Course, Observation, Planned, Verdict};
pub use command::{Answer, Asked, ask, missing};
pub use control::{Listener, Order, PATIENCE, Request, Unheard, Waiting, answer, request, socket_of, understand};
pub use look::{DeadLetters, Destination, Seen, Watched, backlog, look};
