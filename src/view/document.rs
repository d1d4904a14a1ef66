//! A small document, written once and shown as text, Markdown or HTML.
//!
//! Its pieces keep apart what is ours and what comes from outside: [`Line::ours`] takes only text of this program, and what
//! [`Line::theirs`] takes is made harmless by each renderer in its own way. So a report cannot forget to escape. Pure.

use super::units::{self, Plain};

/// A piece of a line.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    /// Words of this program.
    Ours(&'static str),
    /// A command or a setting of this program.
    Code(&'static str),
    /// Numbers and times.
    Plain(Plain),
    /// Whatever comes from outside: names, IDs, notes.
    Theirs(String),
}

/// Text without a line end.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(pub(super) Vec<Piece>);

impl Line {
    pub(super) fn ours(mut self, text: &'static str) -> Self {
        self.0.push(Piece::Ours(text));
        self
    }

    pub(super) fn code(mut self, text: &'static str) -> Self {
        self.0.push(Piece::Code(text));
        self
    }

    pub(super) fn plain(mut self, text: Plain) -> Self {
        self.0.push(Piece::Plain(text));
        self
    }

    pub(super) fn number(self, number: u64) -> Self {
        self.plain(units::grouped(number))
    }

    pub(super) fn theirs(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Theirs(text.into()));
        self
    }
}

/// A line that begins with words of ours.
pub(super) fn ours(text: &'static str) -> Line {
    Line::default().ours(text)
}

/// A line that begins with something from outside.
pub(super) fn theirs(text: impl Into<String>) -> Line {
    Line::default().theirs(text)
}

/// A line that begins with a number or a time.
pub(super) fn plain(text: Plain) -> Line {
    Line::default().plain(text)
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Numbers stand at the right.
    pub(super) number: bool,
}

impl Column {
    pub(super) fn text(title: &'static str) -> Self {
        Self { title, number: false }
    }

    pub(super) fn number(title: &'static str) -> Self {
        Self { title, number: true }
    }
}

/// A part of a document.
#[derive(Debug, Clone)]
pub(super) enum Block {
    /// What it all is.
    Title(Line),
    /// What a section is.
    Heading(&'static str),
    /// Words.
    Paragraph(Line),
    /// Facts by name.
    Facts(Vec<(&'static str, Line)>),
    /// Rows.
    Table(Vec<Column>, Vec<Vec<Line>>),
    /// One thing a line.
    List(Vec<Line>),
    /// Lines that went or came, each with its mark.
    Diff(Vec<String>),
    /// A command to type, as it comes from the caller.
    Command(String),
}
