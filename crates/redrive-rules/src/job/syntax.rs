//! Errors of TOML's own syntax, in our words, and which parts of the recovered tree they make unreliable.

use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use super::diagnostics::{Located, Problem};

/// The parser's words for a key or table that is there already.
const DUPLICATE: &str = "duplicate key";

/// What is wrong with the text as TOML.
#[derive(Debug, Default)]
pub(super) struct Syntax {
    /// The errors to show.
    pub(super) problems: Vec<Located>,
    /// The lines that errors are on, all of them.
    broken: Vec<Range<usize>>,
}

impl Syntax {
    /// Takes the parser's errors. One mistake makes the parser stumble several times: of those on one line, or inside one
    /// array or inline table, only the first is shown.
    pub(super) fn new(text: &str, errors: &[Error], root: &DeTable<'_>) -> Self {
        let mut spans: Vec<_> = errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message())).collect();
        spans.sort_by_key(|(span, _)| (span.start, span.end));
        let mut values = Vec::new();
        for value in root.values() {
            collect(value, &mut values);
        }
        let mut syntax = Self::default();
        let mut shown: Option<Range<usize>> = None;
        // Behind the header of a table that is there already, its keys may be there already as well.
        let mut repeated = 0;
        for (span, message) in spans {
            let line = line_of(text, &span);
            let follows = shown.as_ref().is_some_and(|shown| {
                shown.start < line.end && line.start < shown.end
                    || values.iter().any(|value| touches(value, shown) && touches(value, &span))
            });
            let follows = follows || (message == DUPLICATE && span.start < repeated);
            if message == DUPLICATE && text[line.clone()].trim_start().starts_with('[') {
                repeated = text[line.end..].find("\n[").map_or(text.len(), |next| line.end + next);
            }
            if !follows {
                let (message, help) = in_words(text, &span, message);
                let problem = Problem { at: Vec::new(), within: Some(span.clone()), message, help };
                syntax.problems.push(Located { problem, span, also: None });
            }
            shown =
                Some(if follows { shown.map_or(line.clone(), |shown| shown.start..line.end) } else { line.clone() });
            syntax.broken.push(line);
        }
        syntax
    }

    /// Whether there is any error: then what is missing may only not have been read.
    pub(super) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Whether a value with this span may not be what was meant.
    pub(super) fn spoils(&self, span: &Range<usize>) -> bool {
        self.is_broken() && (span.is_empty() || self.broken.iter().any(|line| touches(line, span)))
    }
}

fn touches(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start <= b.end && b.start <= a.end
}

/// The spans of arrays and inline tables, which an error can run through to the end of the file.
fn collect(value: &toml::Spanned<DeValue<'_>>, into: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Array(array) => {
            // An array of tables has the span of its first header.
            if !array.iter().any(|element| element.get_ref().is_table() && element.span().start == value.span().start) {
                into.push(value.span());
            }
            array.iter().for_each(|element| collect(element, into));
        }
        DeValue::Table(table) => table.values().for_each(|value| collect(value, into)),
        _ => {}
    }
}

/// The bytes of the line or lines of a span, without the last line end.
fn line_of(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text[..text.floor_char_boundary(span.start)].rfind('\n').map_or(0, |at| at + 1);
    let from = text.floor_char_boundary(span.end.max(start));
    let end = text[from..].find('\n').map_or(text.len(), |at| from + at);
    start..end
}

fn in_words(text: &str, span: &Range<usize>, message: &str) -> (String, Option<String>) {
    let written = text.get(span.clone()).unwrap_or_default();
    if message.starts_with("string values must be quoted") {
        return if written.is_empty() {
            ("a value is missing".to_owned(), None)
        } else {
            ("text must stand in quotes".to_owned(), Some(format!("write \"{}\"", written.trim())))
        };
    }
    if message == "invalid basic string, expected `\"`" || message == "invalid literal string, expected `'`" {
        return ("the closing quote is missing".to_owned(), None);
    }
    if message.starts_with("missing escaped value") {
        let help = "put regular expressions in 'single quotes': a backslash means itself there";
        return ("TOML knows no such escape".to_owned(), Some(help.to_owned()));
    }
    if message == DUPLICATE {
        let help = "a key or table stands in a file once; several rules are several `[[rule]]`";
        return (format!("`{written}` is here a second time"), Some(help.to_owned()));
    }
    (message.trim_end_matches(", expected nothing").to_owned(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let syntax = Syntax::new(text, &errors, root.get_ref());
        assert_eq!(syntax.is_broken(), !errors.is_empty());
        syntax.problems.into_iter().map(|located| located.problem.message).collect()
    }

    #[test]
    fn one_mistake_is_one_error() {
        assert_eq!(messages("a = [1, 2\nb = 3\nc = 4\n").len(), 1);
        assert_eq!(messages("when = [\n  { body = 'x' \n  { body = 'y' }\n]\nto = 'x'\n").len(), 1);
        assert_eq!(messages("a = = 3\n").len(), 1);
        assert_eq!(messages("[a]\nx = 1\n[a]\nx = 1\n"), ["`a` is here a second time"]);
        assert_eq!(messages("a = \"x\n"), ["the closing quote is missing"]);
    }

    #[test]
    fn a_pattern_in_double_quotes_is_told_of_single_ones() {
        let (root, errors) = DeTable::parse_recoverable("a = \"^\\d+$\"\n");
        let problem = Syntax::new("a = \"^\\d+$\"\n", &errors, root.get_ref()).problems.remove(0).problem;
        assert_eq!(problem.message, "TOML knows no such escape");
        assert!(problem.help.is_some_and(|help| help.contains("'single quotes'")));
    }

    #[test]
    fn several_mistakes_are_several_errors_in_order() {
        assert_eq!(
            messages("a = orders\nb = 1\nb = 2\nc =\n"),
            ["text must stand in quotes", "`b` is here a second time", "a value is missing"]
        );
        assert_eq!(messages("a = 1\nb = true\n"), [""; 0]);
    }
}
