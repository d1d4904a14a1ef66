//! What people see: text, JSON, Markdown and HTML. The only place that prints.

mod approvals;
pub mod compare;
mod diff;
mod document;
pub mod error;
pub mod explain;
pub mod guards;
pub mod inspect;
pub mod journal;
pub mod output;
pub mod plan;
pub mod policy;
pub mod progress;
pub mod report;
pub mod resolve;
mod run;
pub mod runs;
pub mod text;
mod troubles;
mod units;
mod wire;

pub use wire::VERSION as JSON_VERSION;
