//! The job file: its types, reading it, and errors that point into its text.
//!
//! `types` is what TOML may say, and `schema` says the same as JSON Schema. `load` is the way in: `syntax` (TOML's own
//! errors), `shape` (the walk along the schema), serde, `validate` (what the types cannot say). Each finds problems by key
//! path; `source` places them in the text and `render` shows them. `condition` and `transform` parse what rules are made of;
//! compiling that is `rule`'s business, which reports its problems the same way.

mod access;
pub(crate) mod condition;
mod diagnostics;
mod examples;
pub(crate) mod finding;
mod guard;
mod kind;
mod load;
mod nearest;
mod notify;
mod queue_ref;
mod quoted;
mod reference;
mod render;
mod schema;
mod shape;
mod source;
mod syntax;
mod template;
mod text;
pub(crate) mod transform;
#[expect(clippy::doc_markdown, reason = "its comments are read in the schema and on the reference page")]
mod types;
mod unmatched;
mod validate;
mod values;

#[cfg(test)]
pub(crate) use examples::{BODY, CONDITIONS, TRANSFORMS};

pub use access::Access;
pub use diagnostics::{Diagnostics, KeyPath, Located, Problem, Step, key_path};
pub use guard::{Canary, Guard, NoAnswer};
pub use kind::TransformKind;
pub use load::{Loaded, load, load_with};
pub use nearest::nearest;
pub use notify::{Notify, NotifyFormat, NotifyOn};
pub use queue_ref::QueueRef;
pub use reference::reference_markdown;
pub use schema::{schema, schema_json};
pub use template::{Placeholder, Template};
pub use types::{
    Condition, Destination, FileDestination, InDoubt, Job, Limits, MessageFact, Origin, PlanOptions, ReportOptions,
    Retry, Rule, S3Destination, Source, SqsDestination, Transform,
};
pub use unmatched::{Parking, Unmatched};
pub use values::{Age, Bound, Percent, RAMP_FROM, Rate, Wait};
