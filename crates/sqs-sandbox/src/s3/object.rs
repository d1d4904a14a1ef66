//! An object: its body, and what S3 keeps beside it.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use hyper::body::Bytes;
use md5::{Digest, Md5};
use s3s::dto::{ETag, Timestamp};
use serde::{Deserialize, Serialize};

use super::body::Checksums;
use crate::sqs::message::{Millis, hex};

/// What a client says of an object, beside its body.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) metadata: Option<BTreeMap<String, String>>,
    pub(super) storage_class: Option<String>,
}

/// An object without its body.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Head {
    /// Without quotes.
    pub(super) etag: String,
    pub(super) modified: Millis,
    pub(super) checksums: Checksums,
    pub(super) about: About,
}

/// An object.
#[derive(Clone)]
pub(super) struct Object {
    pub(super) body: Bytes,
    pub(super) head: Head,
}

impl Object {
    pub(super) fn new(body: Bytes, checksums: Checksums, about: About, now: Millis) -> Self {
        let etag = hex(&Md5::digest(&body));
        Self { body, head: Head { etag, modified: now, checksums, about } }
    }
}

pub(super) fn strong(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}

/// A time as S3 keeps it: in seconds, and conditions are compared with them.
pub(super) fn timestamp(at: Millis) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_secs(at / 1_000))
}

pub(super) fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// What an input says of an object.
macro_rules! about {
    ($input:expr) => {
        $crate::s3::object::About {
            cache_control: $input.cache_control,
            content_disposition: $input.content_disposition,
            content_encoding: $input.content_encoding,
            content_language: $input.content_language,
            content_type: $input.content_type,
            metadata: $input
                .metadata
                .map(|metadata| metadata.into_iter().collect::<std::collections::BTreeMap<_, _>>()),
            storage_class: $input.storage_class.map(|class| class.as_str().to_owned()),
        }
    };
}

/// The checksums in an input.
macro_rules! checksums {
    ($input:expr) => {
        $crate::s3::body::Checksums {
            crc32: $input.checksum_crc32.take(),
            crc32c: $input.checksum_crc32c.take(),
            crc64nvme: $input.checksum_crc64nvme.take(),
            sha1: $input.checksum_sha1.take(),
            sha256: $input.checksum_sha256.take(),
        }
    };
}
pub(super) use {about, checksums};
