//! Problems with a job file: what is wrong, where in the job, and where in its text. How they look is `render`'s business.

use std::ops::Range;

/// One step of a key path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

/// A problem with its place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// What is wrong. A problem of syntax has an empty key path.
    pub problem: Problem,
    /// The bytes of the text to underline; may be empty.
    pub span: Range<usize>,
    /// Another place that matters, and why: the first of two equal names.
    pub also: Option<(Range<usize>, String)>,
}

/// All problems of one job file, with its text.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    /// The file's name, as it was given.
    pub file: String,
    /// Its text.
    pub text: String,
    /// What is wrong, in the order of the text; at least one.
    pub problems: Vec<Located>,
}

impl Diagnostics {
    /// Line and column of a problem, both from 1; columns count characters.
    pub fn position(&self, problem: &Located) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(problem.span.start)];
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }
}

/// A key path as people write it: `rule[1].when[0].body`.
pub fn key_path(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(index) => text.extend(["[", &index.to_string(), "]"]),
        }
    }
    text
}
