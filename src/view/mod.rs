//! What people see: text, JSON, Markdown and HTML. The only place that prints.

pub mod text;
