//! A document as one HTML page that stands alone: no scripts, nothing loaded, styles inside, light and dark. Everything
//! is escaped; a policy in the page keeps a browser from running or loading anything should that fail.

use super::super::text::neutral;
use super::blocks::{Block, Column, DiffLine, Line, Mark, Piece, Row, beginning};
use super::{plot, text};
use crate::words::thousands;

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
"#;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(super) fn render(blocks: &[Block]) -> String {
    let title = blocks.iter().find_map(|block| match block {
        Block::Title(line) => Some(text::words(line)),
        _ => None,
    });
    let mut page = String::from(HEAD);
    add(&mut page, &["<title>", &escaped(&title.unwrap_or_default()), "</title>\n<style>\n", STYLE, "</style>\n"]);
    page.push_str("</head>\n<body>\n");
    for block in blocks {
        render_block(&mut page, block);
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn add(page: &mut String, parts: &[&str]) {
    page.extend(parts.iter().copied());
}

fn render_block(page: &mut String, block: &Block) {
    match block {
        Block::Title(line) => add(page, &["<h1>", &words(line), "</h1>\n"]),
        Block::Headline(severity, line) => {
            add(page, &["<p class=\"headline ", severity.name(), "\">", &words(line), "</p>\n"]);
        }
        Block::Heading(line) => add(page, &["<h2>", &words(line), "</h2>\n"]),
        Block::Paragraph(line) => add(page, &["<p>", &words(line), "</p>\n"]),
        Block::Facts(facts) => {
            page.push_str("<dl>\n");
            for (name, line) in facts {
                add(page, &["<dt>", &words(name), "</dt><dd>", &words(line), "</dd>\n"]);
            }
            page.push_str("</dl>\n");
        }
        Block::Table(columns, rows) => table(page, columns, rows),
        Block::List(lines) => list(page, lines),
        Block::Long(lines, all) => list(page, &beginning(lines, *all, usize::MAX)),
        Block::Outline(lines) => {
            for (depth, line) in lines {
                let indent = (depth * 2).to_string();
                add(page, &["<p class=\"outline\" style=\"margin-left:", &indent, "em\">", &words(line), "</p>\n"]);
            }
        }
        Block::Notice(severity, name, meaning) => {
            let class = severity.name();
            add(page, &["<div class=\"notice ", class, "\"><b>", class, ": ", &words(name), "</b><br>"]);
            add(page, &[&words(meaning), "</div>\n"]);
        }
        Block::Diff(lines) => {
            page.push_str("<pre>");
            for line in lines {
                diff_line(page, line);
            }
            page.push_str("</pre>\n");
        }
        Block::Bars(bars) => bars_of(page, bars),
        Block::Plots(plots) => {
            for (title, counts) in plots {
                add(page, &["<p class=\"plot\">", &words(title), "</p>\n", &plot::svg(counts)]);
            }
        }
        Block::Fold(title, blocks) | Block::Closed(title, blocks) => {
            add(page, &["<details><summary>", &words(title), "</summary>\n"]);
            for block in blocks {
                render_block(page, block);
            }
            page.push_str("</details>\n");
        }
        Block::Command(command) => add(page, &["<pre>", &escaped(command), "</pre>\n"]),
        Block::Toml(text) => {
            let lines: Vec<String> = text.lines().map(escaped).collect();
            add(page, &["<pre>", &lines.join("\n"), "</pre>\n"]);
        }
        Block::Card(title, blocks) => {
            add(page, &["<section><h2>", &words(title), "</h2>\n"]);
            for block in blocks {
                render_block(page, block);
            }
            page.push_str("</section>\n");
        }
    }
}

fn list(page: &mut String, lines: &[Line]) {
    page.push_str("<ul>\n");
    for line in lines {
        add(page, &["<li>", &words(line), "</li>\n"]);
    }
    page.push_str("</ul>\n");
}

fn table(page: &mut String, columns: &[Column], rows: &[Row]) {
    let class = |number: bool| if number { " class=\"number\"" } else { "" };
    page.push_str("<table>\n<thead><tr>");
    for column in columns {
        add(page, &["<th scope=\"col\"", class(column.number), ">", &escaped(column.title), "</th>"]);
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        page.push_str(if row.nested { "<tr class=\"nested\">" } else { "<tr>" });
        if row.remark {
            let span = columns.len().to_string();
            add(page, &["<td class=\"remark\" colspan=\"", &span, "\">", &words(&row.cells[0]), "</td>"]);
        } else {
            for (cell, column) in row.cells.iter().zip(columns) {
                add(page, &["<td", class(column.number), ">", &words(cell), "</td>"]);
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
}

/// Bars with their numbers, readable without the picture too.
fn bars_of(page: &mut String, bars: &[(Line, u64)]) {
    /// In pixels: the longest bar, the height of a line, and where bars begin.
    const BAR: u64 = 360;
    const LINE: usize = 24;
    const START: &str = "240";
    let most = bars.iter().map(|(_, number)| *number).max().unwrap_or(0).max(1);
    let height = (bars.len() * LINE).to_string();
    add(page, &["<svg viewBox=\"0 0 720 ", &height, "\" role=\"img\">\n"]);
    for (position, (label, number)) in bars.iter().enumerate() {
        let (top, middle) = ((position * LINE + 3).to_string(), (position * LINE + 17).to_string());
        let length = (u128::from(*number) * u128::from(BAR)).div_ceil(u128::from(most)).to_string();
        let end = (u128::from(*number) * u128::from(BAR) / u128::from(most) + 248).to_string();
        add(page, &["<text x=\"0\" y=\"", &middle, "\">", &escaped(&text::words(label)), "</text>"]);
        add(page, &["<rect x=\"", START, "\" y=\"", &top, "\" width=\"", &length, "\" height=\"18\"/>"]);
        add(page, &["<text x=\"", &end, "\" y=\"", &middle, "\">", &thousands(*number), "</text>\n"]);
    }
    page.push_str("</svg>\n");
}

fn diff_line(page: &mut String, line: &DiffLine) {
    let class = match line.mark {
        Mark::Same => "same",
        Mark::Removed => "removed",
        Mark::Added => "added",
        Mark::Gap => "gap",
    };
    add(page, &["<span class=\"", class, "\">", line.mark.sign()]);
    for (text, differs) in &line.pieces {
        let (open, close) = if *differs { ("<b>", "</b>") } else { ("", "") };
        add(page, &[open, &escaped(text), close]);
    }
    page.push_str("</span>\n");
}

fn words(line: &Line) -> String {
    let mut text = String::new();
    for piece in &line.0 {
        match piece {
            Piece::Ours(ours) => text.push_str(&escaped(ours)),
            Piece::Code(code) => add(&mut text, &["<code>", &escaped(code), "</code>"]),
            Piece::Plain(plain) => text.push_str(&escaped(plain.as_str())),
            // Isolated, so that right-to-left letters cannot reorder what stands around them.
            Piece::Theirs(theirs) | Piece::Prose(theirs) => add(&mut text, &["<bdi>", &escaped(theirs), "</bdi>"]),
        }
    }
    text
}

/// Text for the content of an element or a quoted attribute.
fn escaped(text: &str) -> String {
    let text = neutral(text);
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::blocks::{Severity, row, theirs};
    use super::*;

    /// Every element that is opened is closed, in order.
    fn assert_well_formed(page: &str) {
        let mut open: Vec<&str> = Vec::new();
        for tag in page.split('<').skip(1).filter_map(|part| part.split_once('>')).map(|(tag, _)| tag) {
            let name = tag.split_whitespace().next().unwrap_or_default();
            match name.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed), "{page}"),
                None if tag.ends_with('/') || matches!(name, "!doctype" | "meta" | "br") => {}
                None => open.push(name),
            }
        }
        assert_eq!(open, [""; 0]);
    }

    #[test]
    fn markup_from_outside_is_text_in_every_block() {
        const EVIL: &str = "</title><script>x</script><img src=x onerror='a'> & \"q\"\u{202e}";
        let evil = || theirs(EVIL);
        let diff = DiffLine { mark: Mark::Added, pieces: vec![(EVIL.to_owned(), true)] };
        let page = render(&[
            Block::Title(evil()),
            Block::Headline(Severity::Danger, evil()),
            Block::Heading(evil()),
            Block::Paragraph(evil().prose(EVIL)),
            Block::Facts(vec![(evil(), evil())]),
            Block::Table(vec![Column::text("a")], vec![row(vec![evil()]).nested(), Row::remark(evil())]),
            Block::List(vec![evil()]),
            Block::Long(vec![evil()], 2),
            Block::Outline(vec![(1, evil())]),
            Block::Notice(Severity::Caution, evil(), evil()),
            Block::Diff(vec![diff]),
            Block::Bars(vec![(evil(), 1)]),
            Block::Plots(vec![(evil(), vec![Some(1), None])]),
            Block::Fold(evil(), vec![Block::Command(EVIL.to_owned())]),
            Block::Card(evil(), vec![Block::Toml(EVIL.to_owned())]),
            Block::Closed(evil(), vec![Block::Paragraph(evil())]),
        ]);
        let shown = "&lt;/title&gt;&lt;script&gt;x&lt;/script&gt;&lt;img src=x onerror=&#39;a&#39;&gt; &amp; \
                     &quot;q&quot;\\u{202e}";
        assert_well_formed(&page);
        // The title stands in the page and in its head.
        assert_eq!(page.matches(shown).count(), 24, "{page}");
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'));
    }
}
