//! The plan: a dry run's result that a colleague can approve and apply carries out.
//!
//! `sample` receives and gives back; `build` is pure and makes the figures; `file` saves, reads and refuses; `document` is the
//! saved form.

mod cost;
mod document;
#[cfg(test)]
pub(crate) mod fake;
mod file;
mod give_back;
mod sample;
mod stats;

pub use document::*;
pub use file::{check_fingerprint, check_time, read, to_text, write};
pub use sample::{End, SampleOptions, Sampled, sample};
