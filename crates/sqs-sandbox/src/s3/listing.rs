//! Which keys and common prefixes a page of a listing has, and how they are written. Pure: it knows nothing of objects.

use s3s::dto::EncodingType;

/// The most that one page holds.
const MOST: usize = 1_000;

/// What is asked for.
#[derive(Clone, Copy, Default)]
pub(super) struct Ask<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: &'a str,
    /// Only what comes after this; a common prefix of exactly this name was listed before.
    pub(super) after: &'a str,
    pub(super) most: usize,
}

/// An element of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    Key(&'a str),
    Prefix(&'a str),
}

impl<'a> Entry<'a> {
    pub(super) fn name(self) -> &'a str {
        match self {
            Entry::Key(name) | Entry::Prefix(name) => name,
        }
    }
}

/// The elements of a page, and whether there are more after it. The keys come sorted.
pub(super) fn page<'a>(keys: impl Iterator<Item = &'a str>, ask: Ask<'_>) -> (Vec<Entry<'a>>, bool) {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    for key in keys {
        let Some(rest) = key.strip_prefix(ask.prefix).filter(|_| key > ask.after) else { continue };
        let end = Some(ask.delimiter)
            .filter(|delimiter| !delimiter.is_empty())
            .and_then(|delimiter| rest.find(delimiter).map(|at| ask.prefix.len() + at + delimiter.len()));
        let entry = end.map_or(Entry::Key(key), |end| Entry::Prefix(&key[..end]));
        let is_known = matches!(entry, Entry::Prefix(name) if name == ask.after) || entries.last() == Some(&entry);
        if is_known {
            continue;
        }
        if entries.len() == ask.most {
            return (entries, ask.most > 0);
        }
        entries.push(entry);
    }
    (entries, false)
}

/// A name as in a URL, slashes as they are.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// A name as a listing in this encoding writes it.
pub(super) fn written(encoding: Option<&EncodingType>, name: &str) -> String {
    match encoding {
        Some(encoding) if encoding.as_str() == EncodingType::URL => encode(name),
        _ => name.to_owned(),
    }
}

/// How many a page has, if a client wants no more than this.
pub(super) fn most(max: Option<i32>) -> usize {
    max.map_or(MOST, |max| usize::try_from(max).unwrap_or(0).min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 7] = ["a", "a/", "a/1", "a/2", "a/b/3", "b", "c/4"];

    fn names(ask: Ask<'_>) -> (Vec<&'static str>, bool) {
        let (entries, has_more) = page(KEYS.into_iter(), ask);
        (entries.into_iter().map(Entry::name).collect(), has_more)
    }

    #[test]
    fn common_prefixes_stand_for_what_is_below_them() {
        let ask = Ask { delimiter: "/", most: 10, ..Ask::default() };
        assert_eq!(names(ask), (vec!["a", "a/", "b", "c/"], false));
        assert_eq!(names(Ask { prefix: "a/", ..ask }), (vec!["a/", "a/1", "a/2", "a/b/"], false));
        assert_eq!(names(Ask { delimiter: "", ..ask }), (KEYS.to_vec(), false));
        assert_eq!(names(Ask { prefix: "x", ..ask }), (vec![], false));
    }

    #[test]
    fn pages_of_any_size_give_every_element_once() {
        for delimiter in ["", "/"] {
            let ask = Ask { delimiter, most: 10, ..Ask::default() };
            let whole = names(ask).0;
            for most in 1..=whole.len() {
                let (mut after, mut gathered) = ("", Vec::new());
                loop {
                    let (page, has_more) = names(Ask { after, most, ..ask });
                    gathered.extend(page);
                    after = gathered.last().copied().unwrap_or_default();
                    if !has_more {
                        break;
                    }
                }
                assert_eq!(gathered, whole, "{most} of {delimiter:?}");
            }
        }
        assert_eq!(names(Ask::default()), (vec![], false), "none is no page of more");
    }

    #[test]
    fn names_are_encoded_as_in_a_url() {
        assert_eq!(encode("x/a+b &é%20"), "x/a%2Bb%20%26%C3%A9%2520");
    }
}
