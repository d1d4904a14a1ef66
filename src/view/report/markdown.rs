//! A document as Markdown for a ticket. What comes from outside stands in code spans, where nothing is markup, a mention,
//! a reference or a link.

use std::fmt::Write as _;

use super::super::document::{Block, Line, Piece};
use super::super::text::neutral;

/// GitHub takes a comment of this many characters, and nothing of a longer one.
pub(in crate::view) const MAX_COMMENT: usize = 65_536;

/// The whole document.
pub(in crate::view) fn render(blocks: &[Block]) -> String {
    let mut text = String::new();
    for block in blocks {
        if !text.is_empty() {
            text.push('\n');
        }
        match block {
            Block::Title(line) => entry(&mut text, "## ", line),
            Block::Heading(title) => {
                text.push_str("### ");
                text.push_str(title);
                text.push('\n');
            }
            Block::Paragraph(line) => entry(&mut text, "", line),
            Block::Facts(facts) => {
                for (name, line) in facts {
                    entry(&mut text, &format!("- {name}: "), line);
                }
            }
            Block::Table(columns, rows) => {
                let titles = columns.iter().map(|column| column.title.to_owned());
                row(&mut text, titles);
                row(&mut text, columns.iter().map(|column| if column.number { "---:" } else { "---" }.to_owned()));
                for cells in rows {
                    row(&mut text, cells.iter().map(words));
                }
            }
            Block::List(lines) => {
                for line in lines {
                    entry(&mut text, "- ", line);
                }
            }
            Block::Diff(lines) => {
                let lines: Vec<String> = lines.iter().map(|line| neutral(line).into_owned()).collect();
                text.push_str(&fenced("diff", &lines.join("\n")));
            }
            Block::Command(command) => {
                text.push_str(&code(command));
                text.push('\n');
            }
        }
    }
    text
}

fn entry(text: &mut String, prefix: &str, line: &Line) {
    text.push_str(prefix);
    text.push_str(&words(line));
    text.push('\n');
}

fn row(text: &mut String, cells: impl Iterator<Item = String>) {
    for cell in cells {
        text.push_str("| ");
        text.push_str(&cell);
        text.push(' ');
    }
    text.push_str("|\n");
}

fn words(line: &Line) -> String {
    let mut text = String::new();
    for piece in &line.0 {
        match piece {
            Piece::Ours(ours) => text.push_str(ours),
            Piece::Code(ours) => {
                text.push('`');
                text.push_str(ours);
                text.push('`');
            }
            Piece::Plain(plain) => text.push_str(plain.as_str()),
            Piece::Theirs(theirs) => text.push_str(&code(theirs)),
        }
    }
    text
}

/// A code block whose fence is longer than every run of backticks in it.
pub(in crate::view) fn fenced(language: &str, content: &str) -> String {
    let longest = content.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{content}\n{fence}\n")
}

/// Text from outside as a code span, wherever it stands.
fn code(theirs: &str) -> String {
    let theirs = neutral(theirs);
    if theirs.trim().is_empty() {
        return "(empty)".to_owned();
    }
    if !theirs.contains(['`', '|']) {
        return format!("`{theirs}`");
    }
    // A backtick could end the span and a pipe the table's cell, and escapes mean different things inside and outside
    // tables. Character references mean the same everywhere and never are markup.
    let mut text = String::from("<code>");
    for character in theirs.chars() {
        if character.is_ascii_punctuation() {
            let _ = write!(text, "&#{};", u32::from(character));
        } else {
            text.push(character);
        }
    }
    text.push_str("</code>");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        assert_eq!(fenced("diff", "a\n````\nb"), "`````diff\na\n````\nb\n`````\n");
    }

    #[test]
    fn nothing_leaves_its_code_span() {
        for (theirs, expected) in [
            ("orders", "`orders`"),
            ("<script> @team #1 *b* [x](y)", "`<script> @team #1 *b* [x](y)`"),
            ("a`b", "<code>a&#96;b</code>"),
            (r"a\|b", "<code>a&#92;&#124;b</code>"),
            ("</code>|", "<code>&#60;&#47;code&#62;&#124;</code>"),
            ("", "(empty)"),
            (" ", "(empty)"),
        ] {
            assert_eq!(code(theirs), expected);
        }
        assert!(!code("a\n\n# heading").contains('\n'));
    }
}
