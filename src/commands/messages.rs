//! Messages out of a file: what redrive archived, one envelope a line, plain or compressed, or what `aws sqs receive-message` prints.
//! A file of envelopes is read line by line, however long it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use redrive_protocol::message::{Attribute, AttributeValue, Message, MessageId, SystemAttributes};
use redrive_rules::rule::read_envelope;
use serde::Deserialize;

use crate::error::{Error, Result};

/// The longest line, and the longest answer of the AWS CLI, in bytes.
const LONGEST: u64 = 64 << 20;

/// What the AWS CLI prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    messages: Vec<Printed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    message_id: String,
    body: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    message_attributes: BTreeMap<String, PrintedAttribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PrintedAttribute {
    data_type: String,
    string_value: Option<String>,
    binary_value: Option<String>,
}

/// Gives each message of a file to `take`. Nothing is taken of a file that does not begin with a message.
pub(super) fn read(path: &Path, mut take: impl FnMut(Message)) -> Result<()> {
    let name = path.display();
    let unreadable = |error: std::io::Error| Error::failed(format!("{name} cannot be read: {error}"));
    let mut reader = open(path).map_err(unreadable)?;
    let mut number = 0_u64;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(LONGEST + 1).read_until(b'\n', &mut line).map_err(unreadable)?;
        if read == 0 {
            return Ok(());
        }
        number += 1;
        if line.len() as u64 > LONGEST {
            return Err(Error::usage(format!("line {number} of {name} is longer than {LONGEST} bytes"))
                .hint("an archive has one message a line"));
        }
        let text = str::from_utf8(&line).map_err(|_| not_messages(path, number))?;
        if text.trim().is_empty() {
            continue;
        }
        match read_envelope(text) {
            Some(message) => take(message),
            None if number == 1 => {
                let mut whole = text.as_bytes().to_vec();
                reader.by_ref().take(LONGEST).read_to_end(&mut whole).map_err(unreadable)?;
                for message in printed(&whole).ok_or_else(|| not_messages(path, number))? {
                    take(message);
                }
                return Ok(());
            }
            None => return Err(not_messages(path, number)),
        }
    }
}

fn not_messages(path: &Path, line: u64) -> Error {
    Error::usage(format!("line {line} of {} is no message", path.display()))
        .hint("an archive has one envelope a line, as redrive writes it; `aws sqs receive-message` prints another form, which is read too")
}

/// A file, or stdin, decompressed if it is compressed.
fn open(path: &Path) -> std::io::Result<Box<dyn BufRead>> {
    let input: Box<dyn Read> =
        if path == Path::new("-") { Box::new(std::io::stdin()) } else { Box::new(File::open(path)?) };
    let mut input = BufReader::new(input);
    let start = input.fill_buf()?;
    Ok(if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(input)))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(BufReader::new(zstd::stream::read::Decoder::with_buffer(input)?))
    } else {
        Box::new(input)
    })
}

fn printed(text: &[u8]) -> Option<Vec<Message>> {
    let answer: Answer = serde_json::from_slice(text).ok()?;
    answer.messages.into_iter().map(message).collect()
}

fn message(printed: Printed) -> Option<Message> {
    let attribute = |(name, printed): (String, PrintedAttribute)| {
        let value = match (printed.string_value, printed.binary_value) {
            (Some(text), None) => AttributeValue::Text(text),
            (None, Some(base64)) => AttributeValue::Binary(BASE64_STANDARD.decode(base64).ok()?),
            _ => return None,
        };
        Some((name, Attribute { data_type: printed.data_type, value }))
    };
    Some(Message {
        id: MessageId::new(printed.message_id),
        body: printed.body,
        attributes: printed.message_attributes.into_iter().map(attribute).collect::<Option<_>>()?,
        system: SystemAttributes(printed.attributes),
        payload: None,
    })
}
