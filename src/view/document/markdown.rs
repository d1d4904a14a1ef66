//! A document as Markdown for a ticket or a pull request. What comes from outside makes no markup, no link and mentions nobody:
//! names stand in code spans, sentences are escaped. What does not fit into a comment is left out and counted.

use std::fmt::Write as _;

use super::super::text::{Screen, Style, neutral, neutral_lines};
use super::blocks::{Block, DiffLine, Line, MOST_LISTED, Piece, Row, beginning};
use super::text;
use crate::words::thousands;

/// GitHub takes a comment of this many characters, and nothing of a longer one.
pub(in crate::view) const MAX_COMMENT: usize = 65_536;

/// Characters of a piece of text from outside at most; escaping makes up to six of one.
const MAX_PIECE: usize = 1000;

/// Bytes of the words on what was left out.
const NOTE: usize = 80;

/// A block whose items can be left out.
struct Part {
    before: String,
    items: Vec<String>,
    after: String,
}

impl Part {
    fn whole(text: String) -> Self {
        Self { before: text, items: Vec::new(), after: String::new() }
    }

    fn fixed(&self) -> usize {
        self.before.len() + self.after.len() + if self.items.is_empty() { 0 } else { NOTE }
    }
}

/// The whole document.
pub(super) fn render(blocks: &[Block]) -> String {
    let parts = parts(blocks);
    let mut room = MAX_COMMENT - 2 * NOTE;
    // First the frame, then as many items as there is room for. A frame that is too large loses its end.
    let framed = parts.iter().take_while(|part| {
        let left = room.checked_sub(part.fixed() + 1);
        room = left.unwrap_or(room);
        left.is_some()
    });
    let framed = framed.count();
    let mut text = String::new();
    for part in parts.iter().take(framed) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&part.before);
        let shown = part.items.iter().take_while(|item| {
            let left = room.checked_sub(item.len());
            // A list with holes in it reads as a whole one, so nothing follows what did not fit.
            room = left.unwrap_or_default();
            left.is_some()
        });
        let shown = shown.count();
        text.extend(part.items.iter().take(shown).map(String::as_str));
        text.push_str(&part.after);
        if shown < part.items.len() {
            let _ = writeln!(text, "\n{} more do not fit in a comment.", thousands((part.items.len() - shown) as u64));
        }
    }
    if framed < parts.len() {
        text.push_str("\nThe rest does not fit in a comment.\n");
    }
    text
}

/// The blocks, with notices and details that follow each other as the items of one.
fn parts(blocks: &[Block]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut last = None;
    for block in blocks {
        let kind = std::mem::discriminant(block);
        let joins = matches!(block, Block::Notice(..) | Block::Fold(..) | Block::Closed(..) | Block::Card(..))
            && last == Some(kind);
        let part = part(block);
        match parts.last_mut() {
            Some(before) if joins => before.items.extend(part.items),
            _ => parts.push(part),
        }
        last = Some(kind);
    }
    parts
}

fn part(block: &Block) -> Part {
    let entries = |lines: &[Line]| {
        let items = lines.iter().map(|line| format!("- {}\n", words(line))).collect();
        Part { items, ..Part::whole(String::new()) }
    };
    match block {
        Block::Title(line) => Part::whole(format!("## {}\n", words(line))),
        Block::Headline(_, line) => Part::whole(format!("**{}**\n", words(line))),
        Block::Heading(line) => Part::whole(format!("### {}\n", words(line))),
        Block::Paragraph(line) => Part::whole(format!("{}\n", words(line))),
        Block::Facts(facts) => {
            let items = facts.iter().map(|(name, value)| format!("- {}: {}\n", words(name), words(value))).collect();
            Part { items, ..Part::whole(String::new()) }
        }
        Block::Table(columns, rows) => {
            let titles = cells(columns.iter().map(|column| column.title.to_owned()));
            let marks = cells(columns.iter().map(|column| if column.number { "---:" } else { "---" }.to_owned()));
            let items = rows.iter().map(|row| table_row(row, columns.len())).collect();
            Part { before: titles + &marks, items, after: String::new() }
        }
        Block::List(lines) => entries(lines),
        Block::Long(lines, all) => entries(&beginning(lines, *all, MOST_LISTED)),
        Block::Outline(lines) => {
            let items = lines.iter().map(|(depth, line)| format!("{}- {}\n", "  ".repeat(*depth), words(line)));
            Part { items: items.collect(), ..Part::whole(String::new()) }
        }
        Block::Notice(severity, name, meaning) => {
            let item = format!("- **{}: {}**: {}\n", severity.name(), words(name), words(meaning));
            Part { items: vec![item], ..Part::whole(String::new()) }
        }
        Block::Diff(lines) => {
            let items: Vec<String> = lines.iter().map(diff_line).collect();
            let fence = fence(items.iter().map(String::as_str));
            Part { before: format!("{fence}diff\n"), items, after: format!("{fence}\n") }
        }
        Block::Bars(_) | Block::Plots(_) => {
            Part::whole(fenced("text", &text::render(std::slice::from_ref(block), NARROW)))
        }
        Block::Fold(title, blocks) | Block::Closed(title, blocks) => {
            let mut folded = format!("<details><summary>{}</summary>\n", summary(title));
            push_all(&mut folded, blocks);
            folded.push_str("\n</details>\n\n");
            Part { items: vec![folded], ..Part::whole(String::new()) }
        }
        Block::Command(command) => Part::whole(fenced("sh", &cut(&neutral(command), 2 * MAX_PIECE))),
        Block::Toml(text) => Part::whole(fenced("toml", &neutral_lines(text))),
        Block::Card(title, blocks) => Part { items: vec![card(title, blocks)], ..Part::whole(String::new()) },
    }
}

fn card(title: &Line, blocks: &[Block]) -> String {
    let mut card = format!("### {}\n", words(title));
    push_all(&mut card, blocks);
    card.push('\n');
    card
}

fn push_all(text: &mut String, blocks: &[Block]) {
    for block in blocks {
        let Part { before, items, after } = part(block);
        text.extend(["\n", before.as_str(), items.concat().as_str(), after.as_str()]);
    }
}

/// Plots are text in a fence.
const NARROW: Screen = Screen { width: 80, style: Style::PLAIN };

fn cells(cells: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for cell in cells {
        text.extend(["| ", cell.as_str(), " "]);
    }
    text + "|\n"
}

fn table_row(row: &Row, columns: usize) -> String {
    let shown = row.cells.iter().enumerate().map(|(position, line)| match (position, row.nested) {
        (0, true) if row.remark => format!("*{}*", words(line)),
        (0, true) => format!("– {}", words(line)),
        _ => words(line),
    });
    cells(shown.chain(std::iter::repeat_n(String::new(), columns.saturating_sub(row.cells.len()))))
}

fn diff_line(line: &DiffLine) -> String {
    let text: String = line.pieces.iter().map(|(text, _)| neutral(text)).collect();
    format!("{}{}\n", line.mark.sign(), cut(&text, 2 * MAX_PIECE))
}

fn words(line: &Line) -> String {
    written(line, code)
}

/// A line where Markdown is not read.
fn summary(line: &Line) -> String {
    written(line, escaped)
}

fn written(line: &Line, name: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    for piece in &line.0 {
        match piece {
            Piece::Ours(ours) => text.push_str(ours),
            Piece::Code(ours) => text.extend(["`", ours, "`"]),
            Piece::Plain(plain) => text.push_str(plain.as_str()),
            Piece::Theirs(theirs) => text.push_str(&name(theirs)),
            Piece::Prose(prose) => text.push_str(&escaped(prose)),
        }
    }
    text
}

fn fenced(language: &str, content: &str) -> String {
    let fence = fence(std::iter::once(content));
    format!("{fence}{language}\n{}\n{fence}\n", content.trim_end())
}

/// A fence that is longer than every run of backticks in these texts.
fn fence<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let runs = texts.flat_map(|text| text.split(|character| character != '`').map(str::len));
    "`".repeat(runs.max().unwrap_or(0).max(2) + 1)
}

/// The beginning of a text that is too long.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most { text.to_owned() } else { format!("{}…", &text[..text.floor_char_boundary(most)]) }
}

/// Text from outside as a code span, wherever it stands.
fn code(theirs: &str) -> String {
    let theirs = cut(&neutral(theirs), MAX_PIECE);
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

/// Text that makes no markup, no HTML, no link and mentions nobody. Character references mean the same in and outside tables.
fn escaped(text: &str) -> String {
    let neutral = cut(&neutral(text), MAX_PIECE);
    let mut escaped = String::with_capacity(neutral.len());
    let mut last = ' ';
    let mut characters = neutral.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied().unwrap_or(' ');
        let plain = match character {
            '(' | ')' | '-' | ',' | ';' | '?' | '%' | '/' | '\'' | '=' | '+' => true,
            // Not in `https://` and `www.`, which would become links.
            ':' => next != '/',
            '.' => !escaped.to_ascii_lowercase().ends_with("www"),
            // Only at the edge of a word it is markup.
            '_' => last.is_alphanumeric() && next.is_alphanumeric(),
            _ => !character.is_ascii_punctuation(),
        };
        last = character;
        match character {
            _ if plain => escaped.push(character),
            // A page looks for names and numbers after references are resolved, so an element has to part them.
            '@' | '#' => {
                escaped.push(character);
                escaped.push_str("<!-- -->");
            }
            _ => drop(write!(escaped, "&#{};", u32::from(character))),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::blocks::{Column, heading, row, theirs};
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

    #[test]
    fn sentences_make_no_markup() {
        assert_eq!(escaped("orders-dlq, about 5 (in all)."), "orders-dlq, about 5 (in all).");
        assert_eq!(escaped("<b>|`*_[x](y)"), "&#60;b&#62;&#124;&#96;&#42;&#95;&#91;x&#93;(y)");
        assert_eq!(escaped("@team #1"), "@<!-- -->team #<!-- -->1");
        assert_eq!(escaped("http://x.example Www.x.example"), "http&#58;//x.example Www&#46;x.example");
        assert_eq!(escaped("too_many_stay _x_ arn:aws:sqs"), "too_many_stay &#95;x&#95; arn:aws:sqs");
        assert_eq!(escaped("a\n# b"), "a&#92;n#<!-- --> b");
    }

    #[test]
    fn what_does_not_fit_is_counted_and_the_end_is_there() {
        let lines = vec![theirs("x".repeat(400)); 300];
        let rows = vec![row(vec![theirs("y")]); 7];
        let end = Block::Command("redrive apply".to_owned());
        let blocks = [heading("A"), Block::List(lines), Block::Table(vec![Column::text("t")], rows), end];
        let page = render(&blocks);
        assert!((60_000..MAX_COMMENT).contains(&page.len()), "{}", page.len());
        assert!(
            page.contains("\n7 more do not fit in a comment.\n") && page.ends_with("redrive apply\n```\n"),
            "{page}"
        );
        let page = render(&vec![Block::Title(theirs("`".repeat(600))); 1000]);
        assert!(page.len() < MAX_COMMENT && page.ends_with("The rest does not fit in a comment.\n"));
    }
}
