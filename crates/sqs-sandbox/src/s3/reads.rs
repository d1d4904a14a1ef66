//! S3's reads of an object: on conditions, by range.

use std::ops::Range;

use hyper::header::{ETAG, HeaderMap, HeaderValue};
use s3s::dto::{
    ChecksumMode, ETagCondition, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, StreamingBlob,
    Timestamp,
};
use s3s::{Body, S3Error, S3Result, s3_error};

use super::body::Checksums;
use super::object::{Object, signed, strong, timestamp};
use super::objects::{Objects, bucket, failed_condition, is_one};

/// What an object is of whose type nobody said.
const ANY_TYPE: &str = "binary/octet-stream";

/// What a read is made to depend on.
pub(super) struct Conditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) modified_since: Option<Timestamp>,
    pub(super) unmodified_since: Option<Timestamp>,
}

impl Conditions {
    /// Of those that contradict each other the entity tag's goes before the time's.
    pub(super) fn check(&self, object: &Object) -> S3Result<()> {
        let (etag, modified) = (&object.head.etag, timestamp(object.head.modified));
        let is_right = match (&self.if_match, &self.unmodified_since) {
            (Some(wanted), _) => is_one(wanted, etag),
            (None, Some(time)) => modified <= *time,
            (None, None) => true,
        };
        if !is_right {
            return Err(failed_condition());
        }
        let is_known = match (&self.if_none_match, &self.modified_since) {
            (Some(known), _) => is_one(known, etag),
            (None, Some(time)) => modified <= *time,
            (None, None) => false,
        };
        if is_known {
            let mut unchanged = S3Error::new(s3s::S3ErrorCode::NotModified);
            let etag = HeaderValue::from_str(&format!("\"{etag}\""));
            unchanged.set_headers(etag.into_iter().map(|etag| (ETAG, etag)).collect::<HeaderMap>());
            return Err(unchanged);
        }
        Ok(())
    }
}

/// The part of an object that is asked for, and how it is announced.
fn range(object: &Object, asked: Option<s3s::dto::Range>) -> S3Result<(Range<usize>, Option<String>)> {
    let whole = object.body.len();
    let Some(asked) = asked else { return Ok((0..whole, None)) };
    let range = asked.check(whole as u64)?;
    let as_index = |at: u64| usize::try_from(at).unwrap_or(whole);
    let announced = format!("bytes {}-{}/{whole}", range.start, range.end.saturating_sub(1));
    Ok((as_index(range.start)..as_index(range.end), Some(announced)))
}

/// Refuses what would be answered wrongly: one part of an object.
fn no_part(number: Option<i32>) -> S3Result<()> {
    number
        .map_or(Ok(()), |_| Err(s3_error!(NotImplemented, "The sandbox reads objects whole or by range, not by part.")))
}

/// An output with what a read tells of an object. `$checksums` are those that it may show.
macro_rules! shown {
    ($output:ident, $object:expr, $checksums:expr, $input:expr, $length:expr, $range:expr) => {{
        let (about, checksums) = ($object.head.about.clone(), $checksums);
        $output {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: $input.response_cache_control.or(about.cache_control),
            checksum_crc32: checksums.crc32,
            checksum_crc32c: checksums.crc32c,
            checksum_crc64nvme: checksums.crc64nvme,
            checksum_sha1: checksums.sha1,
            checksum_sha256: checksums.sha256,
            content_disposition: $input.response_content_disposition.or(about.content_disposition),
            content_encoding: $input.response_content_encoding.or(about.content_encoding),
            content_language: $input.response_content_language.or(about.content_language),
            content_length: Some(signed($length)),
            content_range: $range,
            content_type: $input.response_content_type.or(about.content_type).or_else(|| Some(ANY_TYPE.to_owned())),
            e_tag: Some(strong(&$object.head.etag)),
            last_modified: Some(timestamp($object.head.modified)),
            metadata: about.metadata.map(|metadata| metadata.into_iter().collect()),
            storage_class: about.storage_class.map(Into::into),
            ..$output::default()
        }
    }};
}

/// What of an object's checksums an answer shows: those of the whole body, if they are asked for.
fn visible(object: &Object, mode: Option<&ChecksumMode>, is_whole: bool) -> Checksums {
    let is_asked = mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    if is_asked && is_whole { object.head.checksums.clone() } else { Checksums::default() }
}

/// The object that an input asks for, on the input's conditions; the range of it, how that is announced, and the checksums to show.
/// A macro, since the inputs of get and head have the same fields and no type in common.
macro_rules! found {
    ($objects:ident, $input:ident) => {{
        no_part($input.part_number)?;
        let object = bucket(&mut $objects.lock(), &$input.bucket)?.object(&$input.key)?.clone();
        let conditions = Conditions {
            if_match: $input.if_match,
            if_none_match: $input.if_none_match,
            modified_since: $input.if_modified_since,
            unmodified_since: $input.if_unmodified_since,
        };
        conditions.check(&object)?;
        let (range, announced) = range(&object, $input.range)?;
        let checksums = visible(&object, $input.checksum_mode.as_ref(), range.len() == object.body.len());
        (object, range, announced, checksums)
    }};
}

impl Objects {
    pub(super) fn get_object(&self, input: GetObjectInput) -> S3Result<GetObjectOutput> {
        let (object, range, announced, checksums) = found!(self, input);
        let body = object.body.slice(range.clone());
        let mut output = shown!(GetObjectOutput, object, checksums, input, range.len(), announced);
        output.body = Some(StreamingBlob::from(Body::from(body)));
        Ok(output)
    }

    pub(super) fn head_object(&self, input: HeadObjectInput) -> S3Result<HeadObjectOutput> {
        let (object, range, announced, checksums) = found!(self, input);
        Ok(shown!(HeadObjectOutput, object, checksums, input, range.len(), announced))
    }
}
