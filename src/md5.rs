//! The MD5 digests by which SQS says what it has taken: of a body, of message attributes, of system attributes. The SDK
//! does not check them; a send here counts only when they agree. Pure; knows no SDK.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation>

use ::md5::{Digest, Md5};
use redrive_protocol::message::{Attribute, AttributeValue, Attributes};

/// The name under which the X-Ray trace header travels as a system attribute.
pub const TRACE_HEADER: &str = "AWSTraceHeader";

/// The digest of a body: of its UTF-8 bytes.
pub fn of_body(body: &str) -> String {
    hex(&Md5::digest(body))
}

/// The digest of message attributes; `None` where there are none, as SQS then gives none.
pub fn of_attributes(attributes: &Attributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    // A BTreeMap yields names in the order of their bytes, which is the order SQS digests them in.
    for (name, attribute) in attributes {
        feed(&mut digest, name, attribute);
    }
    Some(hex(&digest.finalize()))
}

/// The digest of the one system attribute that can be sent, the trace header.
pub fn of_trace_header(header: &str) -> String {
    let mut digest = Md5::new();
    feed(&mut digest, TRACE_HEADER, &Attribute::string(header));
    hex(&digest.finalize())
}

fn feed(digest: &mut Md5, name: &str, attribute: &Attribute) {
    const TEXT: u8 = 1;
    const BINARY: u8 = 2;
    part(digest, name.as_bytes());
    part(digest, attribute.data_type.as_bytes());
    match &attribute.value {
        AttributeValue::Text(text) => {
            digest.update([TEXT]);
            part(digest, text.as_bytes());
        }
        AttributeValue::Binary(bytes) => {
            digest.update([BINARY]);
            part(digest, bytes);
        }
    }
}

/// A length in four bytes, big-endian, and the bytes. What is longer than four bytes can say, SQS would refuse anyway.
fn part(digest: &mut Md5, bytes: &[u8]) {
    digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    digest.update(bytes);
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
    let mut text = String::with_capacity(2 * bytes.len());
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(list: &[(&str, Attribute)]) -> Attributes {
        list.iter().map(|(name, attribute)| ((*name).to_owned(), attribute.clone())).collect()
    }

    fn typed(data_type: &str, value: AttributeValue) -> Attribute {
        Attribute { data_type: data_type.to_owned(), value }
    }

    #[test]
    fn bodies_have_the_digests_of_rfc_1321() {
        assert_eq!(of_body(""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(of_body("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
    }

    #[test]
    fn one_number_has_the_digest_that_other_clients_expect() {
        let one = attributes(&[("timestamp", Attribute::number("1493147359900"))]);
        assert_eq!(of_attributes(&one).unwrap(), "235c5c510d26fb653d073faed50ae77c");
    }

    #[test]
    fn all_types_together_have_the_digest_that_other_clients_expect() {
        let mixed = attributes(&[
            ("ccc", Attribute::string("testjunk")),
            ("aaa", typed("Binary", AttributeValue::Binary(vec![2, 3, 4]))),
            ("zzz", Attribute::number("0230.01")),
            ("öther_encodings", Attribute::string("T\u{fc}st")),
        ]);
        assert_eq!(of_attributes(&mixed).unwrap(), "8ae21a7957029ef04146b42aeaa18a22");
    }

    #[test]
    fn no_attributes_have_no_digest() {
        assert_eq!(of_attributes(&Attributes::new()), None);
    }

    #[test]
    fn a_custom_label_and_the_kind_of_value_change_the_digest() {
        let digest = |attribute: Attribute| of_attributes(&attributes(&[("a", attribute)])).unwrap();
        let text = digest(Attribute::string("x"));
        assert_ne!(text, digest(typed("String.label", AttributeValue::Text("x".to_owned()))));
        assert_ne!(text, digest(typed("String", AttributeValue::Binary(b"x".to_vec()))));
    }

    #[test]
    fn a_part_cannot_be_moved_across_a_boundary() {
        // Without the lengths, ("ab", "c") and ("a", "bc") would digest alike.
        let one = attributes(&[("ab", typed("c", AttributeValue::Text(String::new())))]);
        let other = attributes(&[("a", typed("bc", AttributeValue::Text(String::new())))]);
        assert_ne!(of_attributes(&one), of_attributes(&other));
    }
}
