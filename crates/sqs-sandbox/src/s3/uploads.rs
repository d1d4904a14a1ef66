//! Multipart uploads: their parts, and what is looked at when one is completed.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use md5::{Digest, Md5};
use s3s::dto::CompletedPart;
use s3s::{S3Error, s3_error};

use super::body::Checksums;
use super::object::{About, Head, Object};
use crate::sqs::message::{Millis, hex};

/// The least that a part holds which is not the last.
const LEAST: usize = 5 * 1024 * 1024;

/// The highest number of a part.
pub(super) const LAST: i32 = 10_000;

/// An upload that is under way.
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) begun: Millis,
    pub(super) about: About,
    pub(super) parts: BTreeMap<i32, Part>,
}

/// A part of an upload.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) body: Bytes,
    pub(super) etag: String,
    pub(super) modified: Millis,
    pub(super) checksums: Checksums,
}

/// What a client says of a part when it completes an upload.
pub(super) struct Named {
    number: i32,
    etag: Option<String>,
    checksums: Checksums,
}

impl Named {
    pub(super) fn of(part: CompletedPart) -> Self {
        Self {
            number: part.part_number.unwrap_or_default(),
            etag: part.e_tag.map(s3s::dto::ETag::into_value),
            checksums: Checksums {
                crc32: part.checksum_crc32,
                crc32c: part.checksum_crc32c,
                crc64nvme: part.checksum_crc64nvme,
                sha1: part.checksum_sha1,
                sha256: part.checksum_sha256,
            },
        }
    }
}

impl Upload {
    /// The object that the named parts make, in the order of their numbers.
    pub(super) fn complete(&self, named: &[Named], checksums: Checksums, now: Millis) -> Result<Object, S3Error> {
        if named.is_empty() {
            return Err(s3_error!(MalformedXML, "An upload is completed with at least one part."));
        }
        if named.windows(2).any(|pair| pair[0].number >= pair[1].number) {
            return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order."));
        }
        let mut parts = Vec::with_capacity(named.len());
        for name in named {
            let is_meant =
                |part: &&Part| name.etag.as_ref() == Some(&part.etag) && part.checksums.agree(&name.checksums);
            let part = self.parts.get(&name.number).filter(is_meant);
            parts.push(part.ok_or_else(|| {
                s3_error!(
                    InvalidPart,
                    "Part {} could not be found: it was not uploaded, or its entity tag or checksum is another.",
                    name.number
                )
            })?);
        }
        if parts.iter().rev().skip(1).any(|part| part.body.len() < LEAST) {
            return Err(s3_error!(EntityTooSmall, "A part that is not the last has less than 5 MiB."));
        }
        let (mut body, mut digest) = (Vec::with_capacity(parts.iter().map(|part| part.body.len()).sum()), Md5::new());
        for part in &parts {
            body.extend_from_slice(&part.body);
            digest.update(Md5::digest(&part.body));
        }
        if !checksums.hold(&body) {
            return Err(s3_error!(BadDigest, "The checksum you specified did not match the calculated checksum."));
        }
        let etag = format!("{}-{}", hex(&digest.finalize()), parts.len());
        Ok(Object { body: body.into(), head: Head { etag, modified: now, checksums, about: self.about.clone() } })
    }
}
