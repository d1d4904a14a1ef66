//! Documents: what people read is built once, as typed blocks, and rendered as text, Markdown or HTML.
//!
//! A builder says what a piece of text is ([`Line`]); each renderer neutralises and escapes every piece, so that a builder
//! cannot forget it.

mod blocks;
mod html;
mod markdown;
mod plot;
mod text;

pub(super) use blocks::{
    Block, Column, DiffLine, Line, MOST_LISTED, Mark, Row, Severity, heading, ours, plain, prose, row, theirs,
};
#[cfg(test)]
pub(super) use markdown::MAX_COMMENT;

use super::text::Screen;

/// A document, whatever it will be rendered as.
#[derive(Debug, Clone, Default)]
pub struct Document(Vec<Block>);

impl Document {
    pub(super) fn new(blocks: Vec<Block>) -> Self {
        Self(blocks)
    }

    /// For a terminal, or a mail.
    pub fn text(&self, screen: Screen) -> String {
        text::render(&self.0, screen)
    }

    /// For a ticket or a pull request; never longer than a comment may be.
    pub fn markdown(&self) -> String {
        markdown::render(&self.0)
    }

    /// For a browser: one page that stands alone.
    pub fn html(&self) -> String {
        html::render(&self.0)
    }
}
