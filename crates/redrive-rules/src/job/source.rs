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
            (Some(within), false) => self.inside(&problem.at, value, within),
            (None, false) => value,
        };
        let also = finding.also.map(|(place, label)| (self.span(&place.0).1, label));
        Located { problem, span, also }
    }

    /// The spans of the key and of the value at a path, or at its deepest part that is there.
    fn span(&self, path: &[Step]) -> (Range<usize>, Range<usize>) {
        self.find(path).0
    }

    /// The value at a path.
    fn value(&self, path: &[Step]) -> Option<&'t DeValue<'t>> {
        self.find(path).1
    }

    /// What is at a path, with the spans of key and value; or no value, and the spans of the deepest part that is there.
    fn find(&self, path: &[Step]) -> ((Range<usize>, Range<usize>), Option<&'t DeValue<'t>>) {
        let mut found = (0..0, 0..0);
        let mut at = None;
        let mut table = Some(self.root);
        let mut array = None;
        for (depth, step) in path.iter().enumerate() {
            let (key, value): (_, &Spanned<DeValue<'_>>) = match step {
                Step::Key(name) => {
                    let Some((key, value)) = table.and_then(|table| self.entry(table, &path[..=depth], name)) else {
                        return (found, None);
                    };
                    (key, value)
                }
                Step::Index(index) => {
                    let Some(value) = array.and_then(|array: &toml::de::DeArray<'_>| array.get(*index)) else {
                        return (found, None);
                    };
                    (value.span(), value)
                }
            };
            found = (key, value.span());
            at = Some(value.get_ref());
            table = value.get_ref().as_table();
            array = value.get_ref().as_array();
        }
        (found, at)
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

    /// Part of a text value: where its bytes stand, quotes and escapes considered. Where that cannot be said, the whole value.
    fn inside(&self, path: &[Step], span: Range<usize>, within: &Range<usize>) -> Range<usize> {
        let part = || {
            let (text, starts) = super::quoted::read(self.text.get(span.clone())?)?;
            // What is read here must be what the parser read, or the place would be a guess.
            (self.value(path)?.as_str()? == text).then_some(())?;
            text.get(within.clone())?;
            Some(span.start + starts.get(within.start)?..span.start + starts.get(within.end)?)
        };
        part().unwrap_or(span.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Place;
    use super::*;

    const TEXT: &str = "name = \"plain\"\n[source]\nqueue = 'a{b}'\nescaped = \"\\té\\\"{b}\"\nlong = \"\"\"\nab\"\"\"\n\
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
        assert_eq!(underlined(&source.key("escaped"), Some(4..7), false), "{b}");
        assert_eq!(underlined(&source.key("escaped"), Some(3..4), false), "\\\"");
        assert_eq!(underlined(&source.key("long"), Some(1..2), false), "b");
        assert_eq!(underlined(&source.key("queue"), Some(1..99), false), "'a{b}'");
        assert_eq!(underlined(&body, Some(2..4), false), "é");
        assert_eq!(underlined(&body, Some(3..4), false), "\"$.é.x\"", "no char boundary");
        assert_eq!(underlined(&source, Some(0..3), false), "[source]");
    }
}
