//! The job file's text as TOML with positions: from a key path to the bytes it stands for.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::{KeyPath, Located, Step};
use super::finding::Finding;

/// A parsed text, to look up places in.
pub(super) struct Source<'t> {
    text: &'t str,
    root: &'t DeTable<'t>,
    /// Misspelt keys that are read as what they were meant for: the path as it should be, and the key as it stands there.
    aliases: &'t [(KeyPath, String)],
}

impl<'t> Source<'t> {
    /// Looks up in this tree of this text.
    pub(super) fn new(text: &'t str, root: &'t DeTable<'t>, aliases: &'t [(KeyPath, String)]) -> Self {
        Self { text, root, aliases }
    }

    /// Places a finding in the text.
    pub(super) fn locate(&self, finding: Finding) -> Located {
        let problem = finding.problem;
        let (key, value) = self.span(&problem.at);
        let span = match (&problem.within, finding.on_key) {
            (_, true) => key,
            (Some(within), false) => self.inside(value, within.clone()),
            (None, false) => value,
        };
        let also = finding.also.map(|(place, label)| (self.span(&place.0).1, label));
        Located { problem, span, also }
    }

    /// The spans of the key and of the value at a path, or at its deepest part that is there.
    fn span(&self, path: &[Step]) -> (Range<usize>, Range<usize>) {
        let mut found = (0..0, 0..0);
        let mut table = Some(self.root);
        let mut array = None;
        for (depth, step) in path.iter().enumerate() {
            let (key, value): (_, &Spanned<DeValue<'_>>) = match step {
                Step::Key(name) => {
                    let Some((key, value)) = table.and_then(|table| self.entry(table, &path[..=depth], name)) else {
                        return found;
                    };
                    (key, value)
                }
                Step::Index(index) => {
                    let Some(value) = array.and_then(|array: &toml::de::DeArray<'_>| array.get(*index)) else {
                        return found;
                    };
                    (value.span(), value)
                }
            };
            found = (key, value.span());
            table = value.get_ref().as_table();
            array = value.get_ref().as_array();
        }
        found
    }

    fn entry(
        &self,
        table: &'t DeTable<'t>,
        path: &[Step],
        name: &str,
    ) -> Option<(Range<usize>, &'t Spanned<DeValue<'t>>)> {
        let find = |name: &str| table.iter().find(|(key, _)| key.get_ref() == name);
        let alias = || self.aliases.iter().find(|(alias, _)| alias == path).map(|(_, key)| key.as_str());
        let (key, value) = find(name).or_else(|| find(alias()?))?;
        Some((key.span(), value))
    }

    /// Part of a text value. Where escapes make bytes of the value and of the source differ, the whole value.
    fn inside(&self, span: Range<usize>, within: Range<usize>) -> Range<usize> {
        let Some(written) = self.text.get(span.clone()) else { return span };
        let Some((delimiter, content)) = ["\"\"\"", "'''", "\"", "'"].into_iter().find_map(|delimiter| {
            let content = written.strip_prefix(delimiter)?.strip_suffix(delimiter)?;
            Some((delimiter, content))
        }) else {
            return span;
        };
        // TOML leaves out the line end right after three quotes.
        let content = match delimiter.len() {
            3 => content.strip_prefix("\r\n").or_else(|| content.strip_prefix('\n')).unwrap_or(content),
            _ => content,
        };
        if content.contains('\r') || (delimiter.starts_with('"') && content.contains('\\')) {
            return span;
        }
        let start = span.end - delimiter.len() - content.len();
        match content.get(within.clone()) {
            Some(_) => start + within.start..start + within.end,
            None => span,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Place;
    use super::*;

    const TEXT: &str = "name = \"plain\"\n[source]\nqueue = 'a{b}'\nescaped = \"\\t{b}\"\nlong = \"\"\"\nab\"\"\"\n\
                        [[rule]]\nname = \"x\"\n[[rule]]\nwhen = [{ body = \"$.é.x\" }]\n";

    fn underlined(place: &Place, within: Option<Range<usize>>, on_key: bool) -> &'static str {
        let (root, errors) = DeTable::parse_recoverable(TEXT);
        assert!(errors.is_empty());
        let mut finding = Finding::new(place, "");
        finding.problem.within = within;
        finding.on_key = on_key;
        &TEXT[Source::new(TEXT, root.get_ref(), &[]).locate(finding).span]
    }

    #[test]
    fn places_are_found() {
        let root = Place::root();
        let source = root.key("source");
        let body = root.key("rule").index(1).key("when").index(0).key("body");
        assert_eq!(underlined(&root, None, false), "");
        assert_eq!(underlined(&root.key("name"), None, false), "\"plain\"");
        assert_eq!(underlined(&root.key("name"), None, true), "name");
        assert_eq!(underlined(&source, None, false), "[source]");
        assert_eq!(underlined(&source.key("region"), None, false), "[source]");
        assert_eq!(underlined(&source.key("queue").key("x").index(3), None, false), "'a{b}'");
        assert_eq!(underlined(&body, None, false), "\"$.é.x\"");
        assert_eq!(underlined(&root.key("rule").index(9), None, false), "[[rule]]");
    }

    #[test]
    fn parts_of_text_are_found_where_bytes_are_the_same() {
        let source = Place::root().key("source");
        let body = Place::root().key("rule").index(1).key("when").index(0).key("body");
        assert_eq!(underlined(&source.key("queue"), Some(1..4), false), "{b}");
        assert_eq!(underlined(&source.key("escaped"), Some(1..4), false), "\"\\t{b}\"");
        assert_eq!(underlined(&source.key("long"), Some(1..2), false), "b");
        assert_eq!(underlined(&source.key("queue"), Some(1..99), false), "'a{b}'");
        assert_eq!(underlined(&body, Some(2..4), false), "é");
        assert_eq!(underlined(&body, Some(3..4), false), "\"$.é.x\"", "no char boundary");
        assert_eq!(underlined(&source, Some(0..3), false), "[source]");
    }
}
