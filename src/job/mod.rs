//! The job file: its types, reading it, and errors that point into its text.
//!
//! `types` is what TOML may say; `load` reads and validates it; `diagnostics` turns problems with a key path into snippets
//! of the source text. Compiling conditions and transforms is `rule`'s business; it reports its problems the same way.

mod diagnostics;
mod load;
mod nearest;
mod queue_ref;
mod template;
mod types;
mod values;

pub use diagnostics::{Diagnostics, KeyPath, Problem, Step};
pub use load::{Loaded, load, schema};
pub use queue_ref::QueueRef;
pub use template::{Placeholder, Template};
pub use types::{
    Condition, DROP, Destination, FileDestination, InDoubt, Job, KEEP, Limits, MessageFact, ORIGIN, Origin,
    PlanOptions, ReportOptions, Retry, Rule, S3Destination, Source, SqsDestination, Transform, Unmatched,
};
pub use values::{Age, Bound, Rate};
