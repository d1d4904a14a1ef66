//! What must not be shown of a message: what the caller names, and what looks like a secret, such as addresses of e-mail, card
//! numbers, tokens, keys. The latter is a guess, in favour of hiding: nothing here is asked when messages are judged or sent.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use redrive_protocol::message::{AttributeValue, Message, Payload};
use redrive_rules::rule::Veil;
use regex::{Captures, Regex};

use crate::look::looks_like_json;

/// A pattern, and what is shown in its place. A group named `keep` stays.
struct Secret {
    pattern: Regex,
    shown: &'static str,
}

static SECRETS: LazyLock<Vec<Secret>> = LazyLock::new(|| {
    [
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|$)", "[private key]"),
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", "[token]"),
        (r"(?i)(?P<keep>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", "[token]"),
        (r"\b(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{16}\b", "[AWS access key]"),
        (
            r#"(?i)(?P<keep>(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|token|authorization|private[_-]?key|credential)[a-z_-]*\\*["']?\s*[:=]\s*\\*["']?)(?:[^\s"'\\,;&}\]\[][^\s"'\\,;&}\]]{2,})"#,
            "[secret]",
        ),
        (r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}", "[e-mail]"),
    ]
    .into_iter()
    // A pattern that is none would be a fault of this file, which its tests find.
    .filter_map(|(pattern, shown)| Some(Secret { pattern: Regex::new(pattern).ok()?, shown }))
    .collect()
});

/// Letters and digits that may be a secret access key of AWS, and digits that may be of a card.
static KEY: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9/+]{40,}").ok());
static DIGITS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b[2-6][0-9](?:[ -]?[0-9]){11,17}\b").ok());

/// A message without what is at these paths of its body and in attributes of these names, for whoever describes it. A body that is
/// no JSON has no such places.
pub(crate) fn veiled<'m>(message: &'m Message, redact: &[String]) -> Cow<'m, Message> {
    if redact.is_empty() {
        return Cow::Borrowed(message);
    }
    let hidden = Veil::with(redact, message, |veil| {
        let mut hidden = message.clone();
        let shown = message.shown();
        if looks_like_json(shown) {
            hidden.payload = message.payload.as_ref().map(|_| Payload::Fetched(veil.body(shown)));
            hidden.body = if hidden.payload.is_none() { veil.body(shown) } else { hidden.body };
        }
        for (name, attribute) in &mut hidden.attributes {
            if let AttributeValue::Text(_) = attribute.value {
                attribute.value = AttributeValue::Text(veil.attribute(name, &attribute.value));
            }
        }
        hidden
    });
    // Paths that are none hide nothing, and whoever names them is told so before; what cannot be hidden is not shown.
    Cow::Owned(hidden.unwrap_or_else(|_| Message {
        body: String::new(),
        attributes: BTreeMap::new(),
        ..message.clone()
    }))
}

/// The text without what looks like a secret.
pub fn hide(text: &str) -> Cow<'_, str> {
    let mut hidden = Cow::Borrowed(text);
    for Secret { pattern, shown } in SECRETS.iter() {
        replace(&mut hidden, pattern, |found, before| {
            let keep = found.name("keep").map_or("", |keep| keep.as_str());
            let quote = quote_of_a_value(if keep.is_empty() { before } else { keep });
            Some(format!("{keep}{quote}{shown}{quote}"))
        });
    }
    if let Some(pattern) = &*KEY {
        replace(&mut hidden, pattern, |found, _| is_aws_secret(&found[0]).then(|| "[AWS secret key]".to_owned()));
    }
    if let Some(pattern) = &*DIGITS {
        replace(&mut hidden, pattern, |found, before| {
            let quote = quote_of_a_value(before);
            is_card(&found[0]).then(|| format!("{quote}[card number]{quote}"))
        });
    }
    hidden
}

/// Replaces what is found; `with` is also given the text before it.
fn replace(text: &mut Cow<'_, str>, pattern: &Regex, with: impl Fn(&Captures<'_>, &str) -> Option<String>) {
    let replaced = pattern.replace_all(text, |found: &Captures<'_>| {
        let before = found.get(0).map_or("", |all| &text[..all.start()]);
        with(found, before).unwrap_or_else(|| found[0].to_owned())
    });
    if let Cow::Owned(replaced) = replaced {
        *text = Cow::Owned(replaced);
    }
}

/// What has to stand around the replacement of a value of JSON that is not in quotes, so that it stays JSON: the quote behind the
/// member's name, with its backslashes if that is JSON within text. Nothing elsewhere.
fn quote_of_a_value(before: &str) -> &str {
    let Some(name) = before.trim_end().strip_suffix(':').map(str::trim_end) else { return "" };
    let quote = name.strip_suffix('"').map_or(name, |name| name.trim_end_matches('\\'));
    &name[quote.len()..]
}

/// Forty letters, of both cases, and digits: neither a word nor a digest in hexadecimal.
fn is_aws_secret(text: &str) -> bool {
    let has = |wanted: fn(&u8) -> bool| text.bytes().any(|byte| wanted(&byte));
    text.len() == 40 && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit)
}

/// Luhn's check.
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|letter| letter.to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(position, digit)| match position % 2 {
            0 => *digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_hidden() {
        for (text, shown) in [
            ("mail anna.b+c@mail.example.com now", "mail [e-mail] now"),
            ("card 4111 1111 1111 1111, order 4111111111111112", "card [card number], order 4111111111111112"),
            (r#"{"pan":5555555555554444}"#, r#"{"pan":"[card number]"}"#),
            (r#"{"a":"{\"token\": null, \"n\":1}"}"#, r#"{"a":"{\"token\": \"[secret]\", \"n\":1}"}"#),
            (
                r#"{"password": 12345, "pan" : "4111111111111111"}"#,
                r#"{"password": "[secret]", "pan" : "[card number]"}"#,
            ),
            ("Authorization: Bearer abc.DEF-123_456", "Authorization: [secret] [token]"),
            ("key AKIAIOSFODNN7EXAMPLE", "key [AWS access key]"),
            ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "[AWS secret key]"),
            ("abcdefghijklmnopqrstuvwxyzabcdefghijklmn", "abcdefghijklmnopqrstuvwxyzabcdefghijklmn"),
            (r#"{"password": "hunter22", "n": 1}"#, r#"{"password": "[secret]", "n": 1}"#),
            (r#"{\"api_key\":\"abcdef\"}"#, r#"{\"api_key\":\"[secret]\"}"#),
            ("postgres://x?password=geheim&y=1", "postgres://x?password=[secret]&y=1"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.c2ln", "[token]"),
            ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "[private key]"),
            ("da39a3ee5e6b4b0d3255bfef95601890afd80709", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("nothing to hide: 2026-11-20, order 17", "nothing to hide: 2026-11-20, order 17"),
        ] {
            assert_eq!(hide(text), shown, "{text}");
        }
        assert_eq!(SECRETS.len(), 6);
        assert!(KEY.is_some() && DIGITS.is_some());
    }
}
