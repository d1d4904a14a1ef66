//! `JSONPath` (RFC 9535), compiled once. `jsonpath-rust` reads the text and `tree` makes of it what `query` walks. Its own
//! walk is not used: it compares numbers as floats, compiles patterns at each node, and writes down a path for every node.
//! Nothing here looks at a body.
//!
//! One thing is narrower than the RFC: the pattern of `match` and `search` must be a literal, so that nothing is compiled
//! per message, least of all a pattern that came in a message.

mod tree;

use std::ops::Range;

use jsonpath_rust::parser::errors::JsonPathError;
use jsonpath_rust::parser::model::{JpQuery, Segment, Selector as Read};
use jsonpath_rust::parser::parse_json_path;
use pest::error::InputLocation;

pub(super) use self::tree::{Op, Operand, Query, Selector, Step, Test};

/// The memory that one compiled regular expression may take.
pub(super) const MAX_REGEX: usize = 4 << 20;

/// A path into a body, ready to be walked.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) steps: Vec<Step>,
}

/// A path that denotes one place, whether something is there or not.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) keys: Vec<Key>,
}

/// One step of a [`Place`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Name(String),
    /// Counted from the end where negative.
    Index(i64),
}

/// Why a text is not a path that can be used here, and which of its bytes are meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PathError {
    pub(super) within: Option<Range<usize>>,
    pub(super) message: String,
}

impl Path {
    pub(super) fn parse(text: &str) -> Result<Self, PathError> {
        tree::steps(&read(text)?.segments).map(|steps| Self { steps })
    }
}

impl Place {
    pub(super) fn parse(text: &str) -> Result<Self, PathError> {
        let keys = read(text)?.segments.into_iter().map(|segment| match segment {
            Segment::Selector(Read::Name(name)) => Ok(Key::Name(name)),
            Segment::Selector(Read::Index(index)) => Ok(Key::Index(index)),
            _ => Err(PathError::whole(
                "the path must denote one place: only names and indexes, such as \"$.order.items[0].sku\"",
            )),
        });
        keys.collect::<Result<_, _>>().map(|keys| Self { keys })
    }
}

impl PathError {
    fn whole(message: impl Into<String>) -> Self {
        Self { within: None, message: message.into() }
    }
}

/// Deeper calls than this take the parser exponential time, and nobody reads them.
const MAX_PARENTHESES: usize = 8;

fn read(text: &str) -> Result<JpQuery, PathError> {
    if !text.starts_with('$') {
        return Err(PathError::whole("a JSONPath begins with \"$\""));
    }
    pre_check(text)?;
    parse_json_path(text).map_err(|error| match error {
        JsonPathError::PestError(error) => {
            let at = match error.location {
                InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
            };
            if at >= text.len() {
                let last = text.char_indices().next_back().map_or(0, |(start, _)| start);
                return PathError {
                    within: Some(last..text.len()),
                    message: "the JSONPath ends in the middle".to_owned(),
                };
            }
            let end = text[at..].chars().next().map_or(at, |found| at + found.len_utf8());
            PathError { within: Some(at..end), message: "not a JSONPath from here on".to_owned() }
        }
        JsonPathError::InvalidJsonPath(what) => PathError::whole(format!("not a JSONPath: {what}")),
        JsonPathError::MaxNestingDepthExceeded(depth) => {
            PathError::whole(format!("brackets are nested more than {depth} deep"))
        }
        other => PathError::whole(format!("not a JSONPath: {other}")),
    })
}

/// Refuses what the parser would take the wrong way: calls nested so deep that it takes exponential time, and `$.order total`,
/// which it reads as one name with a space.
fn pre_check(text: &str) -> Result<(), PathError> {
    let is_word = |found: char| found.is_ascii_alphanumeric() || found == '_' || !found.is_ascii();
    let mut depth = 0_usize;
    let mut quote = None;
    // Whether a word ended here, or before the space that ends here.
    let (mut word, mut spaced) = (false, false);
    let mut chars = text.char_indices();
    while let Some((at, found)) = chars.next() {
        match (quote, found) {
            (Some(_), '\\') => drop(chars.next()),
            (Some(open), _) if open == found => quote = None,
            (Some(_), _) => continue,
            (None, '\'' | '"') => quote = Some(found),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, ' ' | '\t' | '\r' | '\n') => {
                spaced = true;
                continue;
            }
            (None, _) => {}
        }
        if depth > MAX_PARENTHESES {
            return Err(PathError::whole(format!("parentheses are nested more than {MAX_PARENTHESES} deep")));
        }
        if word && spaced && is_word(found) {
            return Err(PathError {
                within: Some(at..at + found.len_utf8()),
                message: "not a JSONPath from here on; a name with a space is written ['a name']".to_owned(),
            });
        }
        (word, spaced) = (is_word(found), false);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn faults_point_at_where_the_path_stops_being_one() {
        for (text, within) in [
            ("$.order total", Some(8..9)),
            ("$[?@.a  b == 1]", Some(8..9)),
            ("$.a[", Some(3..4)),
            ("$.", Some(1..2)),
            ("$.a.é[x]", Some(7..8)),
            ("$.a[?@.b ==]", Some(11..12)),
        ] {
            let error = Path::parse(text).expect_err(text);
            assert_eq!(error.within, within, "{text}: {}", error.message);
        }
        assert_eq!(Path::parse("order.total").expect_err("no root").message, "a JSONPath begins with \"$\"");
        assert!(Path::parse("").is_err());
    }

    #[test]
    fn what_the_rfc_calls_not_well_typed_is_refused() {
        for text in [
            "$[?length(@.a)]",
            "$[?count(@.*)]",
            "$[?match(@.a, 'x') == true]",
            "$[?length(@.*) > 1]",
            "$[?in(@.a, $.b)]",
            "$[?match(@.a, @.b)]",
            "$[?search(@.a, '(')]",
            "$[?count(1) > 1]",
            "$[?@.a == 1e400]",
        ] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
        for text in
            ["$", "$..*", "$['a','b'][0,-1][1:5:2]", "$[?(@.a || !@.b) && @['c d'] != null]", "$[?length('é')==1]"]
        {
            assert!(Path::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn one_place_is_names_and_indexes() {
        let keys = Place::parse("$.a['b.c'][-1]").expect("one place").keys;
        assert_eq!(keys, [Key::Name("a".into()), Key::Name("b.c".into()), Key::Index(-1)]);
        assert_eq!(Place::parse("$").expect("the body itself").keys, []);
        for text in ["$.*", "$..a", "$[0,1]", "$[?@.a]", "$[0:1]", "$['a','b']"] {
            assert!(Place::parse(text).expect_err(text).message.contains("one place"), "{text}");
        }
    }

    #[test]
    fn nesting_takes_neither_the_stack_nor_the_afternoon() {
        let begun = Instant::now();
        for open in ["(", "[", "[?(", "[?length(", "[?@[", "[?!(", "[?match(length(", "[?count(@["] {
            for times in [1, 4, 8, 50, 5000] {
                let _ = Path::parse(&format!("${}", open.repeat(times)));
                let _ = Path::parse(&format!("$[?{}@.a", open.trim_start_matches("[?").repeat(times)));
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}
