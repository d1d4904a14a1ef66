//! A document as one HTML page that stands alone: no scripts, nothing loaded, styles inside, light and dark. Everything
//! from outside is escaped; a policy in the page keeps a browser from running or loading anything should that fail.

use super::super::document::{Block, Line, Piece};
use super::super::text::neutral;

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
"#;

const STYLE: &str = "<style>
:root { color-scheme: light dark; --line: #d0d0d0; --soft: #f4f4f4; --text: #1a1a1a; --page: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --line: #444444; --soft: #262626; --text: #e6e6e6; --page: #181818; }
}
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif;
  color: var(--text); background: var(--page); }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
h1, p, dd, li, td { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: 0.3rem 0.6rem; text-align: left; vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1rem; } dt { opacity: 0.75; } dd { margin: 0; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; background: var(--soft); padding: 0 0.2em; }
pre { padding: 0.6rem; overflow-x: auto; }
</style>
";

/// The whole page.
pub(super) fn render(title: &str, blocks: &[Block]) -> String {
    let mut page = String::from(HEAD);
    add(&mut page, &["<title>", &escaped(title), "</title>\n"]);
    page.push_str(STYLE);
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
        Block::Heading(title) => add(page, &["<h2>", &escaped(title), "</h2>\n"]),
        Block::Paragraph(line) => add(page, &["<p>", &words(line), "</p>\n"]),
        Block::Facts(facts) => {
            page.push_str("<dl>\n");
            for (name, line) in facts {
                add(page, &["<dt>", &escaped(name), "</dt><dd>", &words(line), "</dd>\n"]);
            }
            page.push_str("</dl>\n");
        }
        Block::Table(columns, rows) => {
            let class = |number: bool| if number { " class=\"number\"" } else { "" };
            page.push_str("<table>\n<thead><tr>");
            for column in columns {
                add(page, &["<th scope=\"col\"", class(column.number), ">", &escaped(column.title), "</th>"]);
            }
            page.push_str("</tr></thead>\n<tbody>\n");
            for row in rows {
                page.push_str("<tr>");
                for (cell, column) in row.iter().zip(columns) {
                    add(page, &["<td", class(column.number), ">", &words(cell), "</td>"]);
                }
                page.push_str("</tr>\n");
            }
            page.push_str("</tbody>\n</table>\n");
        }
        Block::List(lines) => {
            page.push_str("<ul>\n");
            for line in lines {
                add(page, &["<li>", &words(line), "</li>\n"]);
            }
            page.push_str("</ul>\n");
        }
        Block::Diff(lines) => {
            let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
            add(page, &["<pre>", &lines.join("\n"), "</pre>\n"]);
        }
        Block::Command(command) => add(page, &["<pre>", &escaped(command), "</pre>\n"]),
    }
}

fn words(line: &Line) -> String {
    let mut text = String::new();
    for piece in &line.0 {
        match piece {
            Piece::Ours(ours) => text.push_str(&escaped(ours)),
            Piece::Code(code) => add(&mut text, &["<code>", &escaped(code), "</code>"]),
            Piece::Plain(plain) => text.push_str(&escaped(plain.as_str())),
            // Isolated, so that right-to-left letters cannot reorder what stands around them.
            Piece::Theirs(theirs) => add(&mut text, &["<bdi>", &escaped(theirs), "</bdi>"]),
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
    use super::super::super::document::theirs;
    use super::*;

    #[test]
    fn markup_from_outside_is_text() {
        let page = render("</title><script>", &[Block::Paragraph(theirs("<img src=x onerror='a'> & \"q\""))]);
        assert!(page.contains("<title>&lt;/title&gt;&lt;script&gt;</title>"));
        assert!(page.contains("<p><bdi>&lt;img src=x onerror=&#39;a&#39;&gt; &amp; &quot;q&quot;</bdi></p>"));
        assert!(!page.contains("<script") && !page.contains("<img"));
    }
}
