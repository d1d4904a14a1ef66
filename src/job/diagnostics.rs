//! Problems with a job file, and how they are shown.

use std::fmt;
use std::ops::Range;

/// One step of a key path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A table's key.
    Key(String),
    /// An array's element.
    Index(usize),
}

/// Where in the job a problem is, free of text positions: `rule[1].when[0].body`.
pub type KeyPath = Vec<Step>;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where; resolved to a span of the text when it is shown.
    pub at: KeyPath,
    /// The part of the text value that is meant, in bytes, where the problem is inside an expression.
    pub within: Option<Range<usize>>,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What would be right, such as the nearest valid key.
    pub help: Option<String>,
}

/// All problems of one job file, with its text.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    /// The file's name, as it was given.
    pub file: String,
    /// Its text.
    pub text: String,
    /// What is wrong; at least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
