//! JSON's letters: what reading a customer's body and SQS's answers have in common, and a text written as JSON. What a value
//! means is the reader's to say.
//!
//! It takes what `serde_json` takes, which tests hold; lone surrogates are not JSON here.

use std::borrow::Cow;

/// Goes through a text from its start. What gives `None` has met something that is not JSON, or not what was looked for;
/// where it stands then says nothing.
#[derive(Debug)]
pub struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    /// At the start of this text.
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// The first byte of what comes next, after spaces.
    pub fn peek(&mut self) -> Option<u8> {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.byte()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, wanted: u8) -> bool {
        let is_it = self.byte() == Some(wanted);
        self.at += usize::from(is_it);
        is_it
    }

    /// One of JSON's words, `null` for example.
    pub fn word(&mut self, word: &str) -> Option<()> {
        self.text.as_bytes().get(self.at..)?.starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    /// An object: `member` reads the value that belongs to each name. Names come as often as they are there.
    pub fn members(&mut self, mut member: impl FnMut(&mut Self, Cow<'t, str>) -> Option<()>) -> Option<()> {
        self.list(b'{', b'}', |scanner| {
            scanner.peek()?;
            let name = scanner.string()?;
            scanner.peek()?;
            if !scanner.take(b':') {
                return None;
            }
            scanner.peek()?;
            member(scanner, name)
        })
    }

    /// An array: `element` reads each value of it.
    pub fn elements(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.list(b'[', b']', |scanner| {
            scanner.peek()?;
            element(scanner)
        })
    }

    fn list(&mut self, open: u8, close: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if !self.take(open) {
            return None;
        }
        self.peek()?;
        if self.take(close) {
            return Some(());
        }
        loop {
            item(self)?;
            self.peek()?;
            if self.take(close) {
                return Some(());
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    /// A text, without its escapes.
    pub fn string(&mut self) -> Option<Cow<'t, str>> {
        let open = self.at;
        if !self.take(b'"') {
            return None;
        }
        let mut escaped = false;
        loop {
            self.at += plain(self.text.as_bytes().get(self.at..)?);
            match self.byte()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                _ => return None,
            }
        }
        self.at += 1;
        let raw = self.text.get(open + 1..self.at - 1)?;
        if !escaped {
            return Some(Cow::Borrowed(raw));
        }
        unescaped(raw).or_else(|| serde_json::from_str(self.text.get(open..self.at)?).ok()).map(Cow::Owned)
    }

    /// A number as it is written.
    pub fn number(&mut self) -> Option<&'t str> {
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
        self.text.get(start..self.at)
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<()> {
        let first = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > first).then_some(())
    }
}

/// A text without its escapes, where these are of one letter each.
fn unescaped(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut parts = raw.split('\\');
    text.push_str(parts.next()?);
    while let Some(part) = parts.next() {
        let (meant, rest) = match part.as_bytes().first() {
            // Two backslashes stand for one, and what follows them is no escape.
            None => ('\\', parts.next()?),
            Some(b'"') => ('"', &part[1..]),
            Some(b'/') => ('/', &part[1..]),
            Some(b'n') => ('\n', &part[1..]),
            Some(b'r') => ('\r', &part[1..]),
            Some(b't') => ('\t', &part[1..]),
            Some(b'b') => ('\u{8}', &part[1..]),
            Some(b'f') => ('\u{c}', &part[1..]),
            Some(_) => return None,
        };
        text.push(meant);
        text.push_str(rest);
    }
    Some(text)
}

/// How many bytes come before the first that means something in a string: a quote, a backslash or a control character. Most
/// of a body is looked at here, so eight bytes at a time: `found` has the highest bit of such a byte set, and of none before it.
pub fn plain(bytes: &[u8]) -> usize {
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

/// Writes a text as JSON, quotes included.
pub fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some((before, from)) = rest.split_at_checked(plain(rest.as_bytes())) {
        out.push_str(before);
        let Some(meaning) = from.chars().next() else { break };
        match meaning {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control => {
                let digit = |value: u32| char::from_digit(value, 16).unwrap_or('0');
                out.push_str("\\u00");
                out.extend([digit(u32::from(control) >> 4), digit(u32::from(control) & 15)]);
            }
        }
        rest = &from[1..];
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        fn a_text_is_read_as_serde_reads_it(raw in r#"(\\["\\/bfnrtux0]|\\u[0-9a-fA-F]{4}|\\u[dD][89abAB]00\\u[dD][c-fC-F]00|[a-z"é\x1f\\]){0,8}"#) {
            let text = format!("\"{raw}\"");
            let mut scanner = Scanner::new(&text);
            let ours = scanner.string().filter(|_| scanner.at == text.len()).map(Cow::into_owned);
            prop_assert_eq!(ours, serde_json::from_str::<String>(&text).ok(), "{}", text);
        }

        #[test]
        fn a_text_is_written_as_serde_writes_it(text in "([\\x00-\\x22\\\\/a-c\u{7f}é€\u{1f600}]|[ -~]{8}){0,20}") {
            let mut ours = String::new();
            write_text(&mut ours, &text);
            prop_assert_eq!(&ours, &serde_json::to_string(&text).expect("JSON"));
            let read = Scanner::new(&ours).string();
            prop_assert_eq!(read.as_deref(), Some(text.as_str()));
        }
    }
}
