//! What people see: text, JSON, Markdown and HTML. The only place that prints.

mod diff;
pub mod plan;
pub mod text;
