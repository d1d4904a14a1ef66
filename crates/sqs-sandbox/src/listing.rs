//! What `s3s-fs` leaves open in a listing of a bucket: keys in the encoding that the listing says they are in, `ETag` and storage
//! class of each object. Pure text; whoever calls it knows the objects.

use super::query::escape;

/// The elements of a listing that are encoded where it says so.
const ENCODED: [&str; 6] = ["Delimiter", "Key", "Marker", "NextMarker", "Prefix", "StartAfter"];

/// A listing, completed. `etag` gives that of a key.
pub(super) fn complete(xml: &str, etag: impl Fn(&str) -> Option<String>) -> String {
    let is_encoded = xml.contains("<EncodingType>url</EncodingType>");
    let mut done = String::with_capacity(xml.len() + xml.len() / 4);
    let (mut rest, mut key, mut has) = (xml, String::new(), (false, false));
    while let Some(at) = rest.find('<') {
        let end = rest[at..].find('>').map_or(rest.len(), |end| at + end + 1);
        let (text, tag) = (&rest[..at], &rest[at..end]);
        let name = tag.trim_matches(['<', '>', '/']);
        let closes = tag.starts_with("</");
        if closes && name == "Key" {
            key = unescape(text);
        }
        if closes && is_encoded && ENCODED.contains(&name) {
            done.push_str(&encode(&unescape(text)));
        } else {
            done.push_str(text);
        }
        match (name, closes) {
            ("Contents", false) => has = (false, false),
            ("ETag", _) => has.0 = true,
            ("StorageClass", _) => has.1 = true,
            ("Contents", true) => {
                if let Some(etag) = (!has.0).then(|| etag(&key)).flatten() {
                    done.extend(["<ETag>", &escape(&etag), "</ETag>"]);
                }
                if !has.1 {
                    done.push_str("<StorageClass>STANDARD</StorageClass>");
                }
            }
            _ => {}
        }
        done.push_str(tag);
        rest = &rest[end..];
    }
    done.push_str(rest);
    done
}

/// As in a URL, slashes as they are.
fn encode(text: &str) -> String {
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

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = rest.find(';').map(|end| &rest[1..end]);
        let number = |entity: &str| {
            let digits = entity.strip_prefix('#')?;
            let code = digits.strip_prefix('x').map_or_else(|| digits.parse(), |hex| u32::from_str_radix(hex, 16));
            char::from_u32(code.ok()?)
        };
        let read = entity.and_then(|entity| match entity {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => number(entity),
        });
        if let (Some(entity), Some(c)) = (entity, read) {
            plain.push(c);
            rest = &rest[entity.len() + 2..];
        } else {
            plain.push('&');
            rest = &rest[1..];
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_where_the_listing_says_so() {
        let listing = "<ListBucketResult><EncodingType>url</EncodingType><Prefix>x/a b</Prefix><Contents><Key>x/a+b &amp; \
                       &#xE9;%20</Key><Size>1</Size></Contents></ListBucketResult>";
        let seen = std::cell::RefCell::new(Vec::new());
        let done = complete(listing, |key| {
            seen.borrow_mut().push(key.to_owned());
            Some("\"0\"".to_owned())
        });
        assert_eq!(
            done,
            "<ListBucketResult><EncodingType>url</EncodingType><Prefix>x/a%20b</Prefix><Contents>\
             <Key>x/a%2Bb%20%26%20%C3%A9%2520</Key><Size>1</Size><ETag>&quot;0&quot;</ETag>\
             <StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>"
        );
        assert_eq!(seen.into_inner(), ["x/a+b & é%20"]);
    }

    #[test]
    fn a_plain_listing_keeps_its_keys() {
        let listing = "<R><Contents><Key>a&lt;b</Key><ETag>e</ETag><StorageClass>S</StorageClass></Contents></R>";
        assert_eq!(complete(listing, |_| None), listing);
        for broken in ["", "<", "<Key", "</Contents>", "&", "<Key>&#x110000;&;</Key>"] {
            complete(broken, |_| None);
        }
    }
}
