//! The plan: a dry run's result that a colleague can approve and apply carries out.
//!
//! `sample` receives and gives back; `build` is pure and makes the figures; `file` saves, reads and refuses; `document` is the
//! saved form.

mod document;
mod stats;

pub use document::*;
