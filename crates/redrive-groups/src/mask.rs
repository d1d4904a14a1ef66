//! The words of an error's message, with what varies from one message to the next masked: numbers, identifiers, times,
//! addresses, quoted parts. Two messages of one kind have the same words then.
//!
//! It goes through a text once, without a regular expression: it is called for every message. Bounded: at most [`MAX_WORDS`]
//! words of the first [`MAX_TEXT`] bytes.

use std::ops::Range;

use crate::hash::hash;

/// Words of a text that are looked at.
pub(crate) const MAX_WORDS: usize = 28;

/// Bytes of a text that are looked at.
pub(crate) const MAX_TEXT: usize = 480;

/// A quoted part longer than this, in bytes, is none: an apostrophe opened it.
const MAX_QUOTED: usize = 120;

/// Stands for everything masked.
pub(crate) const WILD: u32 = 0;

/// A word, and where in the text it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// The hash of the word, or [`WILD`]. Its lowest bit says whether it is plain: letters of lower case alone, or the first
    /// of the text. Plain words say what happened, others tend to be names.
    pub(crate) hash: u32,
    pub(crate) at: Range<usize>,
}

/// Whether the word of this hash is plain.
pub(crate) fn is_plain(word: u32) -> bool {
    word & 1 == 1
}

/// The words of a text.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let text = crate::bounded(text, MAX_TEXT);
    let mut words: Vec<Word> = Vec::with_capacity(12);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() && words.len() < MAX_WORDS {
        let found = bytes[at];
        if matches!(found, b'\'' | b'"' | b'`')
            && let Some(end) = quoted(bytes, at)
        {
            push(&mut words, WILD, at..end);
            at = end;
            continue;
        }
        if found.is_ascii_whitespace() || is_separator(found) {
            at += 1;
            continue;
        }
        let end = word_end(bytes, at);
        let trimmed = trimmed_end(bytes, at, end);
        if trimmed > at {
            let hash = masked(&text[at..trimmed], &words, text);
            push(&mut words, hash, at..trimmed);
        }
        at = end.max(at + 1);
    }
    words
}

/// Masked words that follow each other are one: how many words a name has says nothing.
fn push(words: &mut Vec<Word>, hash: u32, at: Range<usize>) {
    match words.last_mut() {
        Some(last) if last.hash == WILD && hash == WILD => last.at.end = at.end,
        _ => words.push(Word { hash, at }),
    }
}

/// Between words, and no part of them.
fn is_separator(byte: u8) -> bool {
    matches!(
        byte,
        b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b',' | b';' | b'=' | b'|' | b'"' | b'\'' | b'`'
    )
}

fn word_end(bytes: &[u8], from: usize) -> usize {
    let mut end = from;
    while end < bytes.len() {
        let byte = bytes[end];
        if byte.is_ascii_whitespace() {
            break;
        }
        if is_separator(byte) {
            // An apostrophe within a word, such as "can't", is part of it; `user's` too.
            let within = byte == b'\''
                && end > from
                && bytes[end - 1].is_ascii_alphabetic()
                && bytes.get(end + 1).is_some_and(u8::is_ascii_alphabetic);
            // Parameters of an address belong to it.
            let parameter = byte == b'=' && bytes[from..end].contains(&b'?');
            if !within && !parameter {
                break;
            }
        }
        end += 1;
    }
    end
}

/// Without the punctuation that ends a sentence or a clause.
fn trimmed_end(bytes: &[u8], from: usize, mut end: usize) -> usize {
    while end > from && matches!(bytes[end - 1], b'.' | b':' | b'!' | b'?' | b'*' | b'#') {
        end -= 1;
    }
    end
}

/// Where the quoted part that begins here ends.
fn quoted(bytes: &[u8], open: usize) -> Option<usize> {
    let quote = bytes[open];
    let from = open + 1;
    let most = bytes.len().min(from + MAX_QUOTED);
    let mut at = from;
    while at < most {
        if bytes[at] == quote && !bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) {
            return Some(at + 1);
        }
        at += 1;
    }
    None
}

/// The hash of a word, or [`WILD`] where it is of a kind that varies.
fn masked(word: &str, before: &[Word], text: &str) -> u32 {
    let bytes = word.as_bytes();
    if word.contains("://") {
        return address(word);
    }
    if bytes.contains(&b'@') && bytes.len() > 3 {
        return WILD;
    }
    if bytes.contains(&b'/') && bytes.len() > 1 {
        return path(word);
    }
    if bytes.iter().any(u8::is_ascii_digit) {
        if is_status(word, before, text) || is_code(bytes) {
            return named(word);
        }
        return WILD;
    }
    if is_of_a_date(word) || is_long_hex(bytes) {
        return WILD;
    }
    let first = before.is_empty();
    let is_plain = bytes.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'\'')
        || first && bytes.iter().all(u8::is_ascii_alphabetic);
    if is_plain { hash(word) | 1 } else { named(word) }
}

fn named(word: &str) -> u32 {
    let hash = hash(word) & !1;
    if hash == WILD { 2 } else { hash }
}

/// A number of three digits behind a word that says that it is a status, such as `HTTP 503`.
fn is_status(word: &str, before: &[Word], text: &str) -> bool {
    let is_number =
        word.len() == 3 && matches!(word.as_bytes()[0], b'1'..=b'5') && word.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        && before.last().is_some_and(|last| {
            let last = text[last.at.clone()].trim_end_matches(':');
            ["status", "http", "code", "error", "http/1.1", "statuscode"]
                .iter()
                .any(|name| last.eq_ignore_ascii_case(name))
        })
}

/// Letters of upper case and a few digits, such as `E1042`, `ORA-00942` or `S3`: the name of an error or of a thing. One that is
/// an identifier after all is seen to vary later.
fn is_code(bytes: &[u8]) -> bool {
    let letters = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let rest = &bytes[letters..];
    let rest = rest.strip_prefix(b"-").or(rest.strip_prefix(b"_")).unwrap_or(rest);
    (1..=6).contains(&letters) && (1..=5).contains(&rest.len()) && rest.iter().all(u8::is_ascii_digit)
}

/// Eight hexadecimal digits or more, all of them letters by chance.
fn is_long_hex(bytes: &[u8]) -> bool {
    bytes.len() >= 8 && bytes.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
}

const OF_DATES: [&str; 21] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Mon", "Tue", "Wed", "Thu",
    "Fri", "Sat", "Sun", "UTC", "GMT",
];

fn is_of_a_date(word: &str) -> bool {
    word.len() == 3 && OF_DATES.contains(&word)
}

/// An address: its host and the steps of its path that do not vary.
fn address(word: &str) -> u32 {
    let (scheme, rest) = word.split_once("://").unwrap_or(("", word));
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    named(&format!("{scheme}://{}", steps(rest)))
}

/// A path of a file system or an address.
fn path(word: &str) -> u32 {
    let steps = steps(word.split(['?', '#']).next().unwrap_or(word));
    if steps.chars().all(|step| matches!(step, '*' | '/')) { WILD } else { named(&steps) }
}

fn steps(path: &str) -> String {
    let mut steps = String::with_capacity(path.len());
    for (position, step) in path.split('/').take(8).enumerate() {
        if position > 0 {
            steps.push('/');
        }
        let varies = step.len() > 2 && step.bytes().any(|byte| byte.is_ascii_digit()) || is_long_hex(step.as_bytes());
        // An S3 URI's bucket or a version such as `v1` stays.
        steps.push_str(if varies { "*" } else { step });
    }
    steps
}

/// Whether a value that names a kind of error is an identifier of this one error instead: a UUID, a long number, a hash.
pub(crate) fn is_identifier(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let long_hex = value.len() >= 12 && value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    digits >= 6 || long_hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(texts: &[&str]) {
        let hashes = |text: &str| words(text).into_iter().map(|word| word.hash).collect::<Vec<_>>();
        for text in texts {
            assert_eq!(hashes(text), hashes(texts[0]), "{text:?}\n{:?}", shown(text));
        }
    }

    fn shown(text: &str) -> String {
        let shown = |word: Word| if word.hash == WILD { "*" } else { &text[word.at] };
        words(text).into_iter().map(shown).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_varies_is_masked_and_what_names_the_error_stays() {
        for (text, expected) in [
            ("Task timed out after 3.00 seconds", "Task timed out after * seconds"),
            ("2026-11-20T10:00:00.000Z 5f2b8c1e-aaaa-4bbb-8ccc-0123456789ab Task timed out", "* Task timed out"),
            ("KeyError: 'customer_id'", "KeyError *"),
            ("can't find user=anna@example.com (id 17)", "can't find user * id *"),
            (
                "upstream answered HTTP 503 for https://api.example.com/v1/charges/ch_1N2?x=1",
                "upstream answered HTTP 503 for https://api.example.com/v1/charges/ch_1N2?x=1",
            ),
            ("ORA-00942: table or view does not exist", "ORA-00942 table or view does not exist"),
            ("at 0x7ffdeadbeef, Fri Nov 20 10:00:00 UTC 2026", "at *"),
            ("Bestellung 4711 für Zürich: ungültig", "Bestellung * für Zürich ungültig"),
            ("connect ECONNREFUSED 10.0.3.17:5432", "connect ECONNREFUSED *"),
            ("it's a `weird` \"quote", "it's a * quote"),
            ("", ""),
            ("'''\"\"\"", "*"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn messages_of_one_kind_have_the_same_words() {
        same(&[
            "GET https://api.example.com/v1/charges/ch_1N2?x=1 failed",
            "GET https://api.example.com/v1/charges/ch_9Qz7 failed",
        ]);
        same(&["lock 12345678 is held", "lock 1a2b3c4d is held", "lock deadbeef is held"]);
        same(&["no such file /var/task/orders/17.json", "no such file /var/task/orders/18.json"]);
    }

    #[test]
    fn no_text_is_too_long_or_too_strange() {
        assert!(words(&"word ".repeat(100_000)).len() <= MAX_WORDS);
        assert!(words(&"é'\u{202e}\"".repeat(10_000)).len() <= MAX_WORDS);
    }
}
