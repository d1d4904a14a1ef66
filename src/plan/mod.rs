//! The plan: a dry run's result that a colleague can approve and apply carries out.
//!
//! [`make`] is the story; `sample` receives and `give_back` gives back; `origins` finds the queues that messages came from;
//! `survey` does so without a job; `look` judges and counts them one by one, with `seen`, `groups` and `examples`; `build` is pure and makes the plan of that,
//! with `evenness`, `stats`, `cost` and `hazards`; `bounds` refuses a plan
//! without any; `exact` pins a plan to messages; `file` saves, reads and refuses; `document` is the saved
//! form; `approval` is who said yes to it; `compare`
//! says what is different in a later plan.
//!
//! Planning writes nothing but the plan file: it needs the seams to receive and to give back, and never sends or deletes.

mod approval;
mod bounds;
mod build;
mod code;
mod compare;
mod cost;
mod document;
mod evenness;
mod exact;
mod examples;
#[cfg(test)]
pub(crate) mod fake;
mod file;
mod give_back;
mod groups;
mod hazards;
mod look;
mod make;
mod origins;
mod points;
mod sample;
mod seen;
mod stats;
mod survey;
mod totals;

pub use approval::{
    Approval, Approver, MAX_APPROVAL_BYTES, approval_file, check_approval, check_signature, is_approval_file,
    require as require_approvals, write_approval,
};
pub use bounds::require_bounds;
pub use code::{HazardCode, Severity};
pub use compare::{Comparison, Figure, Limit, compare};
pub use document::*;
pub use evenness::{Basis, Unevenness};
pub use exact::{Pinned, Pins};
pub use file::{
    MAX_BYTES, check_fingerprint, check_out, check_time, check_writable, parse, parse_kept, sha256, to_kept_text,
    to_text, write,
};
pub use hazards::{parking_in_use, reach};
pub use make::{Place, Request, make};
pub use origins::Opener;
pub use points::{asked, errors};
pub use sample::{End, SampleOptions, Sampled, sample};
pub use seen::ages;
pub use survey::{Extent, Survey, Surveyed, check_sampling, survey};
pub use totals::Totals;

pub(crate) use file::{refuse_foreign, try_to_write, write_atomically};
pub(crate) use sample::visibility_of;
