//! The bodies of requests: the aws-chunked encoding, which needs no secret to be taken off, and the digests that come with a body.
//! They are compared before anything is stored.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::sqs::message::hex;

const CHECKSUMS: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

/// The checksums that a client gave for a body, in base64.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksums {
    pub(super) crc32: Option<String>,
    pub(super) crc32c: Option<String>,
    pub(super) crc64nvme: Option<String>,
    pub(super) sha1: Option<String>,
    pub(super) sha256: Option<String>,
}

impl Checksums {
    fn of(headers: &HeaderMap) -> Self {
        let [crc32, crc32c, crc64nvme, sha1, sha256] =
            CHECKSUMS.map(|name| headers.get(name).and_then(|value| Some(value.to_str().ok()?.to_owned())));
        Self { crc32, crc32c, crc64nvme, sha1, sha256 }
    }

    /// Whether they are those of this body, as far as there are any.
    pub(super) fn hold(&self, body: &[u8]) -> bool {
        let mut hasher = ChecksumHasher {
            crc32: self.crc32.as_ref().map(|_| Crc32::default()),
            crc32c: self.crc32c.as_ref().map(|_| Crc32c::default()),
            crc64nvme: self.crc64nvme.as_ref().map(|_| Crc64Nvme::default()),
            sha1: self.sha1.as_ref().map(|_| Sha1::default()),
            sha256: self.sha256.as_ref().map(|_| Sha256::default()),
        };
        hasher.update(body);
        let computed = hasher.finalize();
        *self
            == Self {
                crc32: computed.checksum_crc32,
                crc32c: computed.checksum_crc32c,
                crc64nvme: computed.checksum_crc64nvme,
                sha1: computed.checksum_sha1,
                sha256: computed.checksum_sha256,
            }
    }

    /// Whether none that is given in both differs.
    pub(super) fn agree(&self, other: &Self) -> bool {
        let agree = |one: &Option<String>, other: &Option<String>| one.is_none() || other.is_none() || one == other;
        agree(&self.crc32, &other.crc32)
            && agree(&self.crc32c, &other.crc32c)
            && agree(&self.crc64nvme, &other.crc64nvme)
            && agree(&self.sha1, &other.sha1)
            && agree(&self.sha256, &other.sha256)
    }
}

/// Takes the aws-chunked encoding off a body; its trailers become headers.
pub(super) fn decode(headers: &mut HeaderMap, body: Bytes) -> Result<Bytes, Refusal> {
    let is_chunked =
        headers.get("x-amz-content-sha256").is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"));
    if !is_chunked {
        return Ok(body);
    }
    let malformed = || Refusal::new(400, "IncompleteBody", "The aws-chunked body is not complete.");
    let mut decoded = Vec::with_capacity(body.len());
    let mut rest: &[u8] = &body;
    loop {
        let line = take_line(&mut rest).ok_or_else(malformed)?;
        let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
        let digits = std::str::from_utf8(digits).map_err(|_| malformed())?;
        let length = usize::from_str_radix(digits.trim(), 16).map_err(|_| malformed())?;
        if length == 0 {
            break;
        }
        let after = length.checked_add(2).ok_or_else(malformed)?;
        decoded.extend_from_slice(rest.get(..length).ok_or_else(malformed)?);
        rest = rest.get(after..).ok_or_else(malformed)?;
    }
    while let Some(line) = take_line(&mut rest).filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|&byte| byte == b':').ok_or_else(malformed)?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| malformed())?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).map_err(|_| malformed())?;
        if CHECKSUMS.contains(&name.as_str()) {
            headers.insert(name, value);
        }
    }
    let announced = headers.remove("x-amz-decoded-content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|announced: usize| announced != decoded.len()) {
        return Err(malformed());
    }
    headers.remove("x-amz-trailer");
    headers.insert(CONTENT_LENGTH, HeaderValue::from(decoded.len()));
    headers.remove(TRANSFER_ENCODING);
    let encodings = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let others: Vec<&str> =
        encodings.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "aws-chunked").collect();
    match HeaderValue::from_str(&others.join(",")) {
        Ok(value) if !others.is_empty() => headers.insert(CONTENT_ENCODING, value),
        _ => headers.remove(CONTENT_ENCODING),
    };
    Ok(decoded.into())
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    Some(line)
}

/// Compares a body with every digest that its headers give.
pub(super) fn verify(headers: &HeaderMap, body: &[u8], is_object: bool) -> Result<(), Refusal> {
    if let Some(expected) = headers.get("content-md5")
        && STANDARD.encode(Md5::digest(body)).as_bytes() != expected.as_bytes()
    {
        return Err(Refusal::new(400, "BadDigest", "The Content-MD5 you specified did not match what we received."));
    }
    if let Some(expected) = headers.get("x-amz-content-sha256").filter(|value| value.len() == 64)
        && hex(&sha2::Sha256::digest(body)).as_bytes() != expected.as_bytes()
    {
        return Err(Refusal::new(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ));
    }
    if is_object && !Checksums::of(headers).hold(body) {
        let message = "The checksum you specified did not match the calculated checksum.";
        return Err(Refusal::new(400, "BadDigest", message));
    }
    Ok(())
}
