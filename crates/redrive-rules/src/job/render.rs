//! Problems as text, with the source underlined. Writes nothing itself; neutralises whatever the file holds.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::diagnostics::{Diagnostics, Located};

/// Longer lines are cut around what is underlined.
const WIDTH: usize = 120;

impl Diagnostics {
    /// All problems as text: each with file, line, column and the underlined source. Whatever the file holds, nothing in the
    /// result can drive a terminal but the colours, where they are asked for.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.term_width(WIDTH);
        let mut text = String::new();
        for located in &self.problems {
            text.push_str(&one(self, located, &renderer));
            text.push_str("\n\n");
        }
        let count = match self.problems.len() {
            1 => "1 error".to_owned(),
            count => format!("{count} errors"),
        };
        text.extend([&neutral(&self.file), ": ", &count, "\n"]);
        text
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

fn one(diagnostics: &Diagnostics, located: &Located, renderer: &Renderer) -> String {
    let window = Window::new(&diagnostics.text, located);
    let file = neutral(&diagnostics.file);
    let mut snippet = Snippet::source(neutral(window.text))
        .path(file.as_ref())
        .line_start(window.first_line)
        .annotation(AnnotationKind::Primary.span(window.shift(&located.span)));
    if let Some((span, label)) = &located.also {
        let label = neutral(label);
        snippet = snippet.annotation(AnnotationKind::Context.span(window.shift(span)).label(label));
    }
    let message = neutral(&located.problem.message);
    let help = located.problem.help.as_deref().map(neutral);
    let mut group = Level::ERROR.primary_title(message).element(snippet);
    if let Some(help) = help {
        group = group.element(Level::HELP.message(help));
    }
    renderer.render(&[group])
}

/// The lines of the text that a problem is about.
struct Window<'t> {
    text: &'t str,
    start: usize,
    first_line: usize,
}

impl<'t> Window<'t> {
    fn new(text: &'t str, located: &Located) -> Self {
        let other = located.also.as_ref().map_or(&located.span, |(span, _)| span);
        // What is missing at the end of the file is shown at the end of its last line.
        let last = text.trim_end_matches(['\r', '\n']).len();
        let start = text.floor_char_boundary(located.span.start.min(other.start).min(last));
        let end = text.ceil_char_boundary(located.span.end.max(other.end));
        let start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[end..].find('\n').map_or(text.len(), |at| end + at);
        Self { text: &text[start..end], start, first_line: text[..start].matches('\n').count() + 1 }
    }

    /// A span of the whole text as one of the neutralised window: replaced characters differ in length.
    fn shift(&self, span: &Range<usize>) -> Range<usize> {
        let shift = |at: usize| {
            let at = self.text.floor_char_boundary(at.saturating_sub(self.start).min(self.text.len()));
            neutral(&self.text[..at]).len()
        };
        shift(span.start)..shift(span.end)
    }
}

/// Text in which nothing can drive a terminal or reorder what is read: each such character becomes one that is only seen.
fn neutral(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_active) {
        return Cow::Borrowed(text);
    }
    let replace = |c: char| match c {
        // Half of a line end, mostly.
        '\r' => ' ',
        c if is_active(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    Cow::Owned(text.chars().map(replace).collect())
}

/// Controls (C0 without tab and line end, C1), bidirectional controls, and what ends a line or takes no room unseen.
fn is_active(c: char) -> bool {
    match c {
        '\t' | '\n' => false,
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::diagnostics::Problem;
    use super::*;

    fn shown(text: &str, span: Range<usize>, also: Option<(Range<usize>, String)>) -> String {
        let problem = Problem {
            at: Vec::new(),
            within: None,
            message: "m\u{1b}[2J".to_owned(),
            help: Some("h\u{202e}".to_owned()),
        };
        let problems = vec![Located { problem, span, also }];
        Diagnostics { file: "f\u{9b}".to_owned(), text: text.to_owned(), problems }.render(false)
    }

    #[test]
    fn what_is_underlined_stays_so_beside_characters_that_are_replaced() {
        let text = "a = 1\n\u{202e}\u{1b} = \"x\"\nb = 2\n";
        let start = text.find('"').expect("a quote");
        let rendered = shown(text, start..start + 3, None);
        assert!(rendered.contains("2 | \u{fffd}\u{fffd} = \"x\"\n  |      ^^^\n"), "{rendered}");
        assert!(!rendered.chars().any(is_active), "{rendered:?}");
    }

    #[test]
    fn no_span_is_too_odd() {
        for text in ["", "\n", "\n\n", "é", "a\r\n", "\u{feff}"] {
            for start in 0..=text.len() + 2 {
                for end in start..=text.len() + 2 {
                    let rendered = shown(text, start..end, Some((0..end, "x".to_owned())));
                    assert!(rendered.contains("error: m"), "{text:?} {start}..{end}");
                }
            }
        }
    }

    #[test]
    fn long_lines_are_cut() {
        let text = format!("a = \"{}\"\n", "x".repeat(5000));
        let rendered = shown(&text, 2000..2001, None);
        assert!(rendered.lines().all(|line| line.chars().count() <= WIDTH + 20), "{rendered}");
    }

    #[test]
    fn colours_only_where_they_are_asked_for() {
        let problem = Problem { at: Vec::new(), within: None, message: "m".to_owned(), help: None };
        let problems = vec![Located { problem, span: 0..1, also: None }];
        let diagnostics = Diagnostics { file: "f".to_owned(), text: "a".to_owned(), problems };
        assert!(diagnostics.render(true).contains('\u{1b}'));
        assert!(!diagnostics.render(false).contains('\u{1b}'));
        assert_eq!(diagnostics.to_string(), diagnostics.render(false));
    }
}
