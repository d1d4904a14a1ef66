//! Changes one place of a JSON text and nothing else: what a transform does not address stays byte for byte, with its
//! spacing, number texts, escapes, the order of its keys, and even two keys of one name elsewhere.
//!
//! Works on texts that `json::parse` took; anything else is answered with a fault, never with a panic.

use std::ops::Range;

use redrive_protocol::json::plain;

use super::path::Key;
use super::query::position;

/// Why a change cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The place is not there, or nothing can be put there.
    NoSuchPlace,
    /// An object on the way has two members of the name, so that it is not one place.
    DuplicateKeys,
    /// Something is there already, where something is to be moved to.
    Taken,
}

/// The value at the place, as it is written.
pub(super) fn value<'t>(text: &'t str, place: &[Key]) -> Result<&'t str, Fault> {
    let Some((last, way)) = place.split_last() else {
        return Ok(text.trim_matches(SPACE));
    };
    let container = container(text, way)?;
    let at = container.find(text, last)?.ok_or(Fault::NoSuchPlace)?;
    text.get(container.items[at].value.clone()).ok_or(Fault::NoSuchPlace)
}

/// Puts `value`, a JSON text, at the place. The last name may be new in an object.
pub(super) fn set(text: &str, place: &[Key], value: &str) -> Result<String, Fault> {
    let Some((last, way)) = place.split_last() else {
        return Ok(value.to_owned());
    };
    let container = container(text, way)?;
    match (container.find(text, last)?, last) {
        (Some(at), _) => splice(text, container.items[at].value.clone(), value),
        (None, Key::Name(name)) if container.object => container.insert(text, name, value),
        _ => Err(Fault::NoSuchPlace),
    }
}

/// Removes the member or element at the place.
pub(super) fn remove(text: &str, place: &[Key]) -> Result<String, Fault> {
    let (last, way) = place.split_last().ok_or(Fault::NoSuchPlace)?;
    let container = container(text, way)?;
    let at = container.find(text, last)?.ok_or(Fault::NoSuchPlace)?;
    let items = &container.items;
    // The comma goes with it: the one behind, or at the end the one before.
    let gone = match (items.get(at + 1), at.checked_sub(1).and_then(|before| items.get(before))) {
        (Some(next), _) => items[at].start..next.start,
        (None, Some(before)) => before.value.end..items[at].value.end,
        (None, None) => items[at].start..items[at].value.end,
    };
    splice(text, gone, "")
}

/// Gives the value at `from` the place `to`, a new name in an object. Within one object the member stays where it stands and
/// only its key changes; elsewhere it becomes the last member. Both places are meant in the text as it was.
pub(super) fn rename(text: &str, from: &[Key], to: &[Key]) -> Result<String, Fault> {
    let (Some((last, way)), Some((new_key @ Key::Name(name), new_way))) = (from.split_last(), to.split_last()) else {
        return Err(Fault::NoSuchPlace);
    };
    let (old, new) = (container(text, way)?, container(text, new_way)?);
    let item = &old.items[old.find(text, last)?.ok_or(Fault::NoSuchPlace)?];
    // Into itself: two ways to write an index can hide it from who checks the paths.
    if item.value.contains(&new.open) || !new.object {
        return Err(Fault::NoSuchPlace);
    }
    if new.find(text, new_key)?.is_some() {
        return Err(Fault::Taken);
    }
    if old.object && old.open == new.open {
        return splice(text, item.start..item.key_end, &serde_json::Value::from(name.as_str()).to_string());
    }
    let value = text.get(item.value.clone()).ok_or(Fault::NoSuchPlace)?;
    // First there and then gone: what is inserted is a member of an object, and moves no index of `from`.
    remove(&new.insert(text, name, value)?, from)
}

fn splice(text: &str, range: Range<usize>, with: &str) -> Result<String, Fault> {
    let before = text.get(..range.start).ok_or(Fault::NoSuchPlace)?;
    let after = text.get(range.end..).ok_or(Fault::NoSuchPlace)?;
    Ok([before, with, after].concat())
}

fn container(text: &str, way: &[Key]) -> Result<Container, Fault> {
    let bytes = text.as_bytes();
    let mut start = skip_space(bytes, 0);
    for key in way {
        let container = Container::read(bytes, start).ok_or(Fault::NoSuchPlace)?;
        let at = container.find(text, key)?.ok_or(Fault::NoSuchPlace)?;
        start = container.items[at].value.start;
    }
    Container::read(bytes, start).ok_or(Fault::NoSuchPlace)
}

/// An object or array: where its items are.
struct Container {
    object: bool,
    open: usize,
    items: Vec<Item>,
}

/// A member or element.
struct Item {
    /// Where it begins: a member at its key.
    start: usize,
    /// Where its key ends, quote included; for an element the same as `start`.
    key_end: usize,
    value: Range<usize>,
}

impl Container {
    fn read(bytes: &[u8], open: usize) -> Option<Self> {
        let object = match bytes.get(open)? {
            b'{' => true,
            b'[' => false,
            _ => return None,
        };
        let mut items = Vec::new();
        let mut at = skip_space(bytes, open + 1);
        if matches!(bytes.get(at)?, b'}' | b']') {
            return Some(Self { object, open, items });
        }
        loop {
            let start = at;
            let mut key_end = at;
            if object {
                key_end = skip_string(bytes, at)?;
                let colon = skip_space(bytes, key_end);
                if bytes.get(colon)? != &b':' {
                    return None;
                }
                at = skip_space(bytes, colon + 1);
            }
            let value = at..skip_value(bytes, at)?;
            at = skip_space(bytes, value.end);
            items.push(Item { start, key_end, value });
            match bytes.get(at)? {
                b',' => at = skip_space(bytes, at + 1),
                b'}' | b']' => return Some(Self { object, open, items }),
                _ => return None,
            }
        }
    }

    fn find(&self, text: &str, key: &Key) -> Result<Option<usize>, Fault> {
        match key {
            Key::Index(index) if !self.object => Ok(position(*index, self.items.len())),
            Key::Name(name) if self.object => {
                let named = |item: &Item| text.get(item.start..item.key_end).is_some_and(|key| is_key(key, name));
                let mut found = self.items.iter().enumerate().filter(|(_, item)| named(item)).map(|(at, _)| at);
                match (found.next(), found.next()) {
                    (Some(_), Some(_)) => Err(Fault::DuplicateKeys),
                    (first, _) => Ok(first),
                }
            }
            _ => Ok(None),
        }
    }

    /// Puts a new member behind the last, spaced as that one is.
    fn insert(&self, text: &str, name: &str, value: &str) -> Result<String, Fault> {
        let key = serde_json::Value::from(name);
        let Some(last) = self.items.last() else {
            return splice(text, self.open + 1..self.open + 1, &format!("{key}:{value}"));
        };
        let before = text.get(..last.start).ok_or(Fault::NoSuchPlace)?;
        let gap = &before[before.trim_end_matches(SPACE).len()..];
        let colon = text.get(last.key_end..last.value.start).ok_or(Fault::NoSuchPlace)?;
        splice(text, last.value.end..last.value.end, &format!(",{gap}{key}{colon}{value}"))
    }
}

/// Whether a key as it is written, quotes included, is this name.
fn is_key(written: &str, name: &str) -> bool {
    if written.contains('\\') {
        serde_json::from_str::<String>(written).is_ok_and(|key| key == name)
    } else {
        written.strip_prefix('"').and_then(|key| key.strip_suffix('"')) == Some(name)
    }
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

fn skip_string(bytes: &[u8], open: usize) -> Option<usize> {
    if bytes.get(open)? != &b'"' {
        return None;
    }
    let mut at = open + 1;
    loop {
        at += plain(bytes.get(at..)?);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn skip_value(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        match bytes.get(at) {
            Some(b'"') => at = skip_string(bytes, at)?,
            Some(b'{' | b'[') => {
                depth += 1;
                at += 1;
            }
            Some(b'}' | b']') if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            None | Some(b'}' | b']') => return (depth == 0 && at > start).then_some(at),
            Some(b',' | b' ' | b'\t' | b'\r' | b'\n') if depth == 0 => return (at > start).then_some(at),
            // A number or a word, or what separates items further down.
            Some(_) => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::path::Place;
    use super::*;

    fn place(path: &str) -> Vec<Key> {
        Place::parse(path).expect(path).keys
    }

    #[test]
    fn sets_one_place_and_leaves_the_rest() {
        for (text, path, expected) in [
            (r#"{"a":1,"b":2}"#, "$.a", r#"{"a":X,"b":2}"#),
            (r#"{"a":1,"b":2}"#, "$.c", r#"{"a":1,"b":2,"c":X}"#),
            ("{}", "$.c", r#"{"c":X}"#),
            ("{ }", "$.c", r#"{"c":X }"#),
            ("{\n  \"a\": 1\n}\n", "$.c", "{\n  \"a\": 1,\n  \"c\": X\n}\n"),
            ("{\n  \"a\": 1,\n  \"b\": 1E5\n}", "$.c", "{\n  \"a\": 1,\n  \"b\": 1E5,\n  \"c\": X\n}"),
            (r#" [ 1 , {"a" : [ -0 ] } ] "#, "$[1].a[0]", r#" [ 1 , {"a" : [ X ] } ] "#),
            ("[1,2,3]", "$[-1]", "[1,2,X]"),
            (r#"{"a":"}],\"","b":{"c":"\\"}}"#, "$.b.c", r#"{"a":"}],\"","b":{"c":X}}"#),
            (r#"{"\u0061":1}"#, "$.a", r#"{"\u0061":X}"#),
            (r#"{"é\n":1}"#, r"$['é\n']", r#"{"é\n":X}"#),
            (r#"{"a":{}}"#, r#"$.a['q"\\']"#, r#"{"a":{"q\"\\":X}}"#),
            (r#"{"":1}"#, "$['']", r#"{"":X}"#),
            (r#"{"a":1,"a":2,"b":{"c":1,"c":2},"d":0}"#, "$.d", r#"{"a":1,"a":2,"b":{"c":1,"c":2},"d":X}"#),
            (" 5 ", "$", "X"),
        ] {
            assert_eq!(set(text, &place(path), "X").as_deref(), Ok(expected), "{text} {path}");
        }
    }

    #[test]
    fn removes_one_place_with_its_comma() {
        for (text, path, expected) in [
            (r#"{"a":1,"b":2,"c":3}"#, "$.a", r#"{"b":2,"c":3}"#),
            (r#"{"a":1,"b":2,"c":3}"#, "$.b", r#"{"a":1,"c":3}"#),
            (r#"{"a":1,"b":2,"c":3}"#, "$.c", r#"{"a":1,"b":2}"#),
            (r#"{ "a" : 1 }"#, "$.a", "{  }"),
            ("{\n  \"a\": 1,\n  \"b\": 2\n}", "$.b", "{\n  \"a\": 1\n}"),
            ("[1,[2,3]]", "$[1][0]", "[1,[3]]"),
            ("[1,2]", "$[-2]", "[2]"),
            ("[[]]", "$[0]", "[]"),
        ] {
            assert_eq!(remove(text, &place(path)).as_deref(), Ok(expected), "{text} {path}");
        }
    }

    #[test]
    fn renames_in_place_or_moves_with_the_value_as_it_is_written() {
        for (text, from, to, expected) in [
            (r#"{"a": 1.10 ,"b":2}"#, "$.a", "$.c", r#"{"c": 1.10 ,"b":2}"#),
            (r#"{"\u0061":1e400}"#, "$.a", r#"$['q"']"#, r#"{"q\"":1e400}"#),
            (r#"{"a":{"b":[-0, 1]},"c":{}}"#, "$.a.b", "$.c.d", r#"{"a":{},"c":{"d":[-0, 1]}}"#),
            (r#"{"a":{"b":1}}"#, "$.a.b", "$.b", r#"{"a":{},"b":1}"#),
            (r#"{"a":1,"b":{"x":0}}"#, "$.a", "$.b.a", r#"{"b":{"x":0,"a":1}}"#),
            (r#"{"l":[1,{"x":2}],"f":0}"#, "$.l[0]", "$.l[1].y", r#"{"l":[{"x":2,"y":1}],"f":0}"#),
            (r#"{"l":[1,2]}"#, "$.l[-1]", "$.last", r#"{"l":[1],"last":2}"#),
        ] {
            assert_eq!(rename(text, &place(from), &place(to)).as_deref(), Ok(expected), "{text} {from} {to}");
        }
        for (text, from, to, fault) in [
            (r#"{"a":1,"b":2}"#, "$.a", "$.b", Fault::Taken),
            (r#"{"a":1}"#, "$.b", "$.c", Fault::NoSuchPlace),
            (r#"{"a":1}"#, "$.a", "$.b.c", Fault::NoSuchPlace),
            (r#"{"a":1,"b":[]}"#, "$.a", "$.b.c", Fault::NoSuchPlace),
            (r#"{"l":[{"x":1}]}"#, "$.l[0]", "$.l[-1].y", Fault::NoSuchPlace),
            (r#"{"a":1,"a":2}"#, "$.a", "$.c", Fault::DuplicateKeys),
        ] {
            assert_eq!(rename(text, &place(from), &place(to)), Err(fault), "{text} {from} {to}");
        }
    }

    #[test]
    fn values_as_they_are_written() {
        for (text, path, expected) in [
            (" {\"a\": 1 } ", "$", "{\"a\": 1 }"),
            (r#"{"a": [ 1.10 ] }"#, "$.a", "[ 1.10 ]"),
            (r#"{"a":["x\n", 1e400]}"#, "$.a[-1]", "1e400"),
            (r#"{"a":"x\n"}"#, "$.a", r#""x\n""#),
        ] {
            assert_eq!(value(text, &place(path)), Ok(expected), "{text} {path}");
        }
    }

    #[test]
    fn what_is_not_there_or_not_one_place() {
        for (text, path) in [
            (r#"{"a":1}"#, "$.b.c"),
            (r#"{"a":1}"#, "$.a.c"),
            (r#"{"a":[1]}"#, "$.a[1]"),
            (r#"{"a":[1]}"#, "$.a[-2]"),
            (r#"{"a":[1]}"#, "$.a.b"),
            (r#"{"a":{"b":1}}"#, "$.a[0]"),
            ("5", "$.a"),
            ("\"{}\"", "$.a"),
            ("[]", "$[0]"),
        ] {
            assert_eq!(set(text, &place(path), "1"), Err(Fault::NoSuchPlace), "{text} {path}");
            assert_eq!(remove(text, &place(path)), Err(Fault::NoSuchPlace), "{text} {path}");
        }
        assert_eq!(remove("{}", &place("$")), Err(Fault::NoSuchPlace));
        for text in [r#"{"a":{"b":1},"a":{"b":2}}"#, r#"{"a":{"b":1,"\u0062":2}}"#] {
            assert_eq!(set(text, &place("$.a.b"), "1"), Err(Fault::DuplicateKeys), "{text}");
            assert_eq!(remove(text, &place("$.a.b")), Err(Fault::DuplicateKeys), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r#"[\[\]{}",:\\a1é \n]{0,30}"#, path in 0_usize..4) {
            let path = place(["$.a", "$[0]", "$.a[0].a", "$[1].a"][path]);
            let _ = set(&text, &path, "1");
            let _ = remove(&text, &path);
            let _ = rename(&text, &path, &place("$.b"));
            let _ = value(&text, &path);
        }
    }
}
