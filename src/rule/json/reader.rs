//! Reads JSON: the only judge of what is JSON here. It is our own for two reasons. Others make of a number what it was not: in
//! ours its text is the value. And a tree that borrows costs a fraction of one that copies each key, text and number.
//!
//! It takes what `serde_json` takes, which a test holds. So lone surrogates are not JSON, nor is nesting deeper than 127, which
//! bounds every recursion over a body. Where an object has two members of one name, the last one counts, as in most readers.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::{FEW, Member, Node};

/// A body that was read.
#[derive(Debug)]
pub(in crate::rule) struct Document<'b> {
    pub(in crate::rule) root: Node<'b>,
    /// Whether an object somewhere in it has two members of one name.
    pub(in crate::rule) duplicate_keys: bool,
}

/// Reads a body, and says what of it the tree does not show; `None` where it is not JSON.
pub(in crate::rule) fn read(body: &str) -> Option<Document<'_>> {
    let mut reader = Reader { text: body, at: 0, depth: 0, duplicate_keys: false };
    let root = reader.value()?;
    reader.skip_space();
    (reader.at == body.len()).then_some(Document { root, duplicate_keys: reader.duplicate_keys })
}

/// As deep as a body can be nested.
const DEEPEST: usize = 127;

struct Reader<'b> {
    text: &'b str,
    at: usize,
    depth: usize,
    duplicate_keys: bool,
}

impl<'b> Reader<'b> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, wanted: u8) -> bool {
        let is_it = self.peek() == Some(wanted);
        self.at += usize::from(is_it);
        is_it
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Option<Node<'b>> {
        self.skip_space();
        match self.peek()? {
            b'"' => self.string().map(Node::Text),
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'n' => self.word("null", Node::Null),
            b't' => self.word("true", Node::Bool(true)),
            b'f' => self.word("false", Node::Bool(false)),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str, node: Node<'b>) -> Option<Node<'b>> {
        self.text.as_bytes().get(self.at..)?.starts_with(word.as_bytes()).then(|| {
            self.at += word.len();
            node
        })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Option<Node<'b>>) -> Option<Node<'b>> {
        if self.depth == DEEPEST {
            return None;
        }
        (self.at, self.depth) = (self.at + 1, self.depth + 1);
        let node = read(self);
        self.depth -= 1;
        node
    }

    fn array(&mut self) -> Option<Node<'b>> {
        let mut elements = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Some(Node::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            self.skip_space();
            match self.next()? {
                b',' => {}
                b']' => return Some(Node::Array(elements)),
                _ => return None,
            }
        }
    }

    fn object(&mut self) -> Option<Node<'b>> {
        let mut members = Vec::new();
        self.skip_space();
        if self.take(b'}') {
            return Some(Node::Object(members));
        }
        loop {
            self.skip_space();
            let key = self.string()?;
            self.skip_space();
            if !self.take(b':') {
                return None;
            }
            members.push((key, self.value()?));
            self.skip_space();
            match self.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        if has_twice(&members) {
            self.duplicate_keys = true;
            members = last_of_each(members);
        }
        Some(Node::Object(members))
    }

    fn string(&mut self) -> Option<Cow<'b, str>> {
        let open = self.at;
        if !self.take(b'"') {
            return None;
        }
        let mut escaped = false;
        loop {
            self.at += plain(self.text.as_bytes().get(self.at..)?);
            match self.next()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                }
                _ => return None,
            }
        }
        if escaped {
            serde_json::from_str(self.text.get(open..self.at)?).ok().map(Cow::Owned)
        } else {
            self.text.get(open + 1..self.at - 1).map(Cow::Borrowed)
        }
    }

    fn number(&mut self) -> Option<Node<'b>> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        self.text.get(start..self.at).map(|text| Node::Number(text.into()))
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<()> {
        let first = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > first).then_some(())
    }
}

/// How many bytes come before the first that means something in a string: a quote, a backslash or a control character. Most
/// of a body is looked at here, so eight bytes at a time: `found` has the highest bit of such a byte set, and of none before it.
pub(in crate::rule) fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHEST: u64 = ONES << 7;
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHEST;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let is_control = word.wrapping_sub(ONES * 0x20) & !word & HIGHEST;
        let found = is_zero(word ^ (ONES * u64::from(b'"'))) | is_zero(word ^ (ONES * u64::from(b'\\'))) | is_control;
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let means = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    words.len() * 8 + rest.iter().position(means).unwrap_or(rest.len())
}

/// Whether two members have one name.
fn has_twice(members: &[Member<'_>]) -> bool {
    if members.len() <= FEW {
        let before = |at: usize, key: &str| members[..at].iter().any(|(other, _)| other == key);
        return members.iter().enumerate().any(|(at, (key, _))| before(at, key));
    }
    let mut seen = HashSet::with_capacity(members.len());
    !members.iter().all(|(key, _)| seen.insert(&**key))
}

/// Of the members of one name the last, where the first was.
fn last_of_each(members: Vec<Member<'_>>) -> Vec<Member<'_>> {
    let mut places = HashMap::new();
    let mut each: Vec<Member<'_>> = Vec::new();
    for (key, member) in members {
        let place = *places.entry(key.clone()).or_insert(each.len());
        match each.get_mut(place) {
            Some((_, earlier)) => *earlier = member,
            None => each.push((key, member)),
        }
    }
    each
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::super::tests::fidelity::json_text;
    use super::super::{equal, is_json, parse};
    use super::*;

    #[test]
    fn numbers_keep_their_text() {
        for text in ["1.10", "12345678901234567890123", "1e+400", "-0", "-0.0", "0.1e-7", "18446744073709551616", "-5"]
        {
            let body = format!("[{text}]");
            assert_eq!(parse(&body), Some(Node::Array(vec![Node::Number(text.into())])));
        }
        assert!(equal(&parse("[1E5,1e400]").expect("is JSON"), &parse("[100000.0,10E399]").expect("is JSON")));
    }

    #[test]
    fn an_object_that_looks_like_serdes_number_stays_an_object() {
        for value in ["\"5\"", "\"x\"", "5", "1.5", "null", "{}", "[1]", "true", r#""\u0035""#] {
            for key in ["$serde_json::private::Number", r"\u0024serde_json::private::Number"] {
                let body = format!(r#"{{"{key}":{value},"b":1}}"#);
                let value = parse(&body).expect("is JSON");
                assert!(matches!(&value, Node::Object(members) if members.len() == 2), "{body}");
                let text = value.to_string();
                assert!(equal(&value, &parse(&text).expect("is JSON")));
            }
        }
    }

    #[test]
    fn what_is_not_json() {
        for body in [
            "",
            " ",
            "{",
            "plain",
            "{\"a\":1}x",
            r#""\ud800""#,
            "01",
            "+1",
            "NaN",
            "'a'",
            "{a:1}",
            "[1,]",
            "\u{feff}{}",
        ] {
            assert!(!is_json(body), "{body:?}");
        }
        for body in ["1", "null", "\"a\"", " {} ", "[]", r#""\ud83d\ude00""#] {
            assert!(is_json(body), "{body:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_no_harm() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for depth in [126, 127, 128] {
            assert_eq!(is_json(&nested(depth)), serde_json::from_str::<Value>(&nested(depth)).is_ok(), "{depth}");
        }
        assert!(is_json(&nested(127)));
        assert!(!is_json(&nested(128)));
        assert!(!is_json(&nested(100_000)));
        assert!(!is_json(&"{\"a\":".repeat(100_000)));
    }

    #[test]
    fn duplicate_keys_are_found_wherever_they_are() {
        for (body, expected) in [
            (r#"{"a":1,"b":{"a":1},"c":[{"a":":"}]}"#, false),
            (r#"{"a":1,"a":1}"#, true),
            (r#"[{"b":{"a":1,"\u0061":2}}]"#, true),
            (r#"{"a\"":1,"a":"\\","b":"\":"}"#, false),
            (r#"{"a":{"x":1,"x":2},"a":3}"#, true),
            ("5", false),
        ] {
            assert_eq!(read(body).expect("is JSON").duplicate_keys, expected, "{body}");
        }
    }

    #[test]
    fn of_two_members_of_one_name_the_last_counts_where_the_first_was() {
        let many: Vec<String> = (0..40).map(|n| format!("\"k{}\":{n}", n % 20)).collect();
        let many = format!("{{{}}}", many.join(","));
        for body in [r#"{"a":1,"b":2,"\u0061":3}"#.to_owned(), many] {
            let theirs = serde_json::from_str::<Value>(&body).expect("is JSON");
            assert_eq!(parse(&body).expect("is JSON").to_string(), theirs.to_string());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn eight_bytes_at_a_time_find_what_one_at_a_time_finds(
            bytes in prop::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), any::<u8>(), 0x1e..0x24_u8, 0x20..0xff_u8, 0x80..0xff_u8], 0..40),
        ) {
            let means = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < 0x20;
            prop_assert_eq!(plain(&bytes), bytes.iter().position(means).unwrap_or(bytes.len()));
        }

        #[test]
        fn agrees_with_serde(body in r#"[\[\]{}",:\\0-9a-ent\-+.E u]{0,24}"#, body_of_json in json_text()) {
            for body in [body, body_of_json] {
                let theirs = serde_json::from_str::<Value>(&body).ok().map(|value| value.to_string());
                // It makes `1e+5` of `1E5`, and ours stays: so what we read is written, and read again by it.
                let ours = parse(&body).map(|ours| serde_json::from_str::<Value>(&ours.to_string()).expect("JSON"));
                prop_assert_eq!(ours.map(|value| value.to_string()), theirs, "{}", body);
            }
        }
    }
}
