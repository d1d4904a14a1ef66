//! What documents are made of.

use super::super::units::{self, Plain};

/// A piece of a line.
#[derive(Debug, Clone)]
pub(in crate::view) enum Piece {
    /// Words of this program.
    Ours(&'static str),
    /// A command or a setting of this program.
    Code(&'static str),
    /// Numbers and times.
    Plain(Plain),
    /// A name, an ID or a note from outside.
    Theirs(String),
    /// A sentence that may hold text from outside.
    Prose(String),
}

/// Text without a line end.
#[derive(Debug, Clone, Default)]
pub(in crate::view) struct Line(pub(super) Vec<Piece>);

impl Line {
    fn with(mut self, piece: Piece) -> Self {
        self.0.push(piece);
        self
    }

    pub(in crate::view) fn ours(self, text: &'static str) -> Self {
        self.with(Piece::Ours(text))
    }

    pub(in crate::view) fn code(self, text: &'static str) -> Self {
        self.with(Piece::Code(text))
    }

    pub(in crate::view) fn plain(self, text: Plain) -> Self {
        self.with(Piece::Plain(text))
    }

    pub(in crate::view) fn number(self, number: u64) -> Self {
        self.plain(units::grouped(number))
    }

    pub(in crate::view) fn theirs(self, text: impl Into<String>) -> Self {
        self.with(Piece::Theirs(text.into()))
    }

    pub(in crate::view) fn prose(self, text: impl Into<String>) -> Self {
        self.with(Piece::Prose(text.into()))
    }

    pub(in crate::view) fn line(mut self, line: Self) -> Self {
        self.0.extend(line.0);
        self
    }
}

/// A line that begins with words of ours.
pub(in crate::view) fn ours(text: &'static str) -> Line {
    Line::default().ours(text)
}

/// A line that begins with something from outside.
pub(in crate::view) fn theirs(text: impl Into<String>) -> Line {
    Line::default().theirs(text)
}

/// A line that begins with a sentence that may hold text from outside.
pub(in crate::view) fn prose(text: impl Into<String>) -> Line {
    Line::default().prose(text)
}

/// A line that begins with a number or a time.
pub(in crate::view) fn plain(text: Plain) -> Line {
    Line::default().plain(text)
}

/// How much attention something needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::view) enum Severity {
    Good,
    Note,
    Caution,
    Danger,
}

impl Severity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Caution => "caution",
            Self::Danger => "danger",
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(in crate::view) struct Column {
    pub(super) title: &'static str,
    /// Numbers are aligned to the right, and never broken.
    pub(super) number: bool,
}

impl Column {
    pub(in crate::view) fn text(title: &'static str) -> Self {
        Self { title, number: false }
    }

    pub(in crate::view) fn number(title: &'static str) -> Self {
        Self { title, number: true }
    }
}

/// A row of a table.
#[derive(Debug, Clone)]
pub(in crate::view) struct Row {
    pub(super) cells: Vec<Line>,
    /// Belongs to the row above.
    pub(super) nested: bool,
    /// One cell, a remark on the rows above.
    pub(super) remark: bool,
}

/// A row of these cells.
pub(in crate::view) fn row(cells: Vec<Line>) -> Row {
    Row { cells, nested: false, remark: false }
}

impl Row {
    pub(in crate::view) fn nested(self) -> Self {
        Self { nested: true, ..self }
    }

    pub(in crate::view) fn remark(line: Line) -> Self {
        Self { cells: vec![line], nested: true, remark: true }
    }
}

/// What a line of a diff is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::view) enum Mark {
    /// In both.
    Same,
    /// Only before.
    Removed,
    /// Only after.
    Added,
    /// Stands for lines that are left out.
    Gap,
}

impl Mark {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Same => "  ",
            Self::Removed => "- ",
            Self::Added => "+ ",
            Self::Gap => "@ ",
        }
    }
}

/// A line of a diff, in pieces, each with whether it is what differs from the line on the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::view) struct DiffLine {
    pub(in crate::view) mark: Mark,
    pub(in crate::view) pieces: Vec<(String, bool)>,
}

impl DiffLine {
    pub(in crate::view) fn new(mark: Mark, text: impl Into<String>) -> Self {
        Self { mark, pieces: vec![(text.into(), false)] }
    }
}

/// A part of a document.
#[derive(Debug, Clone)]
pub(in crate::view) enum Block {
    /// What it all is.
    Title(Line),
    /// The one line for a person in a hurry.
    Headline(Severity, Line),
    /// What a section is.
    Heading(Line),
    /// Words.
    Paragraph(Line),
    /// Facts by name.
    Facts(Vec<(Line, Line)>),
    /// Rows.
    Table(Vec<Column>, Vec<Row>),
    /// One thing a line.
    List(Vec<Line>),
    /// The beginning of a list, and how many entries it has in all. Text and Markdown show less of it than a page.
    Long(Vec<Line>, u64),
    /// One thing a line, each as deep below the others as its number says.
    Outline(Vec<(usize, Line)>),
    /// Something to know before going on: its name, and what it means.
    Notice(Severity, Line, Line),
    /// Lines that went or came, each with its mark.
    Diff(Vec<DiffLine>),
    /// A plot of counts.
    Bars(Vec<(Line, u64)>),
    /// Counts over time, each with what it counts. `None` stands for a longer time in which nothing happened.
    Plots(Vec<(Line, Vec<Option<u64>>)>),
    /// Details below a line of their own.
    Fold(Line, Vec<Block>),
    /// Details that a page hides until they are asked for, and a text leaves out.
    Closed(Line, Vec<Block>),
    /// A command to type, as it comes from the caller.
    Command(String),
    /// Lines of a job, to copy.
    Toml(String),
    /// One thing of several, with all that belongs to it.
    Card(Line, Vec<Block>),
}

/// A heading of ours.
pub(in crate::view) fn heading(text: &'static str) -> Block {
    Block::Heading(ours(text))
}

/// How many of a long list text and Markdown show.
pub(in crate::view) const MOST_LISTED: usize = 10;

/// At most so many entries of a long list, and how many more there are in all.
pub(super) fn beginning(lines: &[Line], all: u64, most: usize) -> Vec<Line> {
    let mut shown: Vec<Line> = lines.iter().take(most).cloned().collect();
    let left_out = all.saturating_sub(shown.len() as u64);
    if left_out > 0 {
        shown.push(ours("and ").number(left_out).ours(" more"));
    }
    shown
}
