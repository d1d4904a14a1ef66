//! A document as text for a terminal of a hundred columns. Reads without colour.

use super::super::document::{Block, Column, Line, Piece};
use super::super::text::{neutral, wrapped};

const WIDTH: usize = 100;

/// The longest cell of a table; a longer one is cut, so that a hostile name cannot push the figures out of sight.
const CELL: usize = 60;

/// The whole document.
pub(in crate::view) fn render(blocks: &[Block]) -> String {
    let mut text = String::new();
    let mut last: Option<&Block> = None;
    for block in blocks {
        if last.is_some_and(|last| stands_apart(last, block)) {
            text.push('\n');
        }
        last = Some(block);
        match block {
            Block::Title(line) => wrap(&mut text, &words(line), "", ""),
            Block::Heading(title) => {
                text.push_str(title);
                text.push('\n');
            }
            Block::Paragraph(line) => wrap(&mut text, &words(line), "  ", "  "),
            Block::Facts(facts) => {
                let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
                for (name, line) in facts {
                    let first = format!("  {name:width$}  ");
                    wrap(&mut text, &words(line), &first, &" ".repeat(width + 4));
                }
            }
            Block::Table(columns, rows) => table(&mut text, columns, rows),
            Block::List(lines) => {
                for line in lines {
                    wrap(&mut text, &words(line), "  - ", "    ");
                }
            }
            Block::Diff(lines) => {
                for line in lines {
                    text.push_str("  ");
                    text.push_str(&neutral(line));
                    text.push('\n');
                }
            }
            Block::Command(command) => {
                // Never wrapped: it is there to be copied.
                text.push_str("    ");
                text.push_str(&neutral(command));
                text.push('\n');
            }
        }
    }
    text
}

/// Whether an empty line makes the text easier to read: not between words and what they lead to.
fn stands_apart(last: &Block, block: &Block) -> bool {
    match block {
        Block::List(_) | Block::Command(_) => !matches!(last, Block::Paragraph(_) | Block::Heading(_)),
        _ => !matches!(last, Block::Title(_) | Block::Heading(_)),
    }
}

/// A line as text that cannot drive a terminal.
pub(super) fn words(line: &Line) -> String {
    let mut text = String::new();
    for piece in &line.0 {
        match piece {
            Piece::Ours(ours) => text.push_str(ours),
            Piece::Code(code) => {
                text.push('`');
                text.push_str(code);
                text.push('`');
            }
            Piece::Plain(plain) => text.push_str(plain.as_str()),
            Piece::Theirs(theirs) => text.push_str(&neutral(theirs)),
        }
    }
    text
}

fn wrap(text: &mut String, words: &str, first: &str, further: &str) {
    text.push_str(&wrapped(words, WIDTH, first, further));
    text.push('\n');
}

fn table(text: &mut String, columns: &[Column], rows: &[Vec<Line>]) {
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|line| shortened(words(line))).collect()).collect();
    let width = |position: usize| {
        let cells = cells.iter().filter_map(|row| row.get(position)).map(|cell| cell.chars().count());
        cells.chain([columns[position].title.len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut line = |cells: Vec<&str>| {
        let mut row = String::new();
        for ((cell, column), width) in cells.into_iter().zip(columns).zip(&widths) {
            row.push_str("  ");
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            if column.number {
                row.push_str(&padding);
                row.push_str(cell);
            } else {
                row.push_str(cell);
                row.push_str(&padding);
            }
        }
        text.push_str(row.trim_end());
        text.push('\n');
    };
    line(columns.iter().map(|column| column.title).collect());
    for row in &cells {
        line(row.iter().map(String::as_str).collect());
    }
}

fn shortened(cell: String) -> String {
    if cell.chars().count() <= CELL {
        return cell;
    }
    cell.chars().take(CELL - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::document::{ours, theirs};
    use super::*;

    #[test]
    fn long_words_stand_alone_and_lines_keep_within_the_width() {
        let long = "x".repeat(150);
        let text = render(&[Block::Paragraph(theirs(format!("{} {long} end", "word ".repeat(40))))]);
        let over: Vec<&str> = text.lines().filter(|line| line.chars().count() > WIDTH).collect();
        assert_eq!(over, [format!("  {long}")]);
        assert!(text.ends_with("\n  end\n"));
    }

    #[test]
    fn a_hostile_name_cannot_push_the_figures_away() {
        let columns = vec![Column::text("rule"), Column::number("messages")];
        let rows = vec![vec![theirs("n".repeat(5000)), ours("1")], vec![theirs("ö"), ours("22")]];
        let text = render(&[Block::Table(columns, rows)]);
        let ends: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert_eq!(ends, [72, 72, 72]);
    }
}
