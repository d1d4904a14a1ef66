//! The plan: a dry run's result that a colleague can approve and apply carries out.
//!
//! [`make`] is the story; `sample` receives and `give_back` gives back; `origins` finds the queues that messages came from;
//! `build` is pure and makes the figures with `stats`, `cost`, `seen`, `groups`, `hazards` and `examples`; `file` saves, reads and
//! refuses; `document` is the saved form; `approval` is who said yes to it.
//!
//! Planning writes nothing but the plan file: it needs the seams to receive and to give back, and never sends or deletes.

mod approval;
mod build;
mod cost;
mod document;
mod examples;
#[cfg(test)]
pub(crate) mod fake;
mod file;
mod give_back;
mod groups;
mod hazards;
mod make;
mod origins;
mod sample;
mod seen;
mod stats;
mod totals;

pub use approval::{
    Approval, Approver, MAX_APPROVAL_BYTES, approval_file, is_approval_file, require as require_approvals,
    write_approval,
};
pub use document::*;
pub use file::{MAX_BYTES, check_fingerprint, check_time, parse, parse_kept, sha256, to_kept_text, to_text, write};
pub use hazards::sampling_refusal;
pub use make::{Place, Request, make};
pub use origins::Opener;
pub use sample::{End, SampleOptions, Sampled, sample};
pub use totals::Totals;

pub(crate) use make::visibility_of;
