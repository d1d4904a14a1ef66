//! S3's actions on multipart uploads.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CopyPartResult, CreateMultipartUploadInput, CreateMultipartUploadOutput, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload, Part as PartDto, UploadPartCopyInput,
    UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Result, s3_error};
use uuid::Uuid;

use super::body::Checksums;
use super::listing::{self, most, written};
use super::object::{About, Object, about, checksums, signed, strong, timestamp};
use super::objects::{Objects, bucket};
use super::uploads::{LAST, Named, Part, Upload};

/// The range of a part that is copied: two positions, both within.
fn copied(object: &Object, asked: Option<&str>) -> S3Result<Bytes> {
    let Some(asked) = asked else { return Ok(object.body.clone()) };
    let positions = asked.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let positions = positions.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let (first, last): (usize, usize) = positions
        .ok_or_else(|| s3_error!(InvalidArgument, "The x-amz-copy-source-range value must be bytes=first-last."))?;
    if first > last || last >= object.body.len() {
        return Err(s3_error!(InvalidRange, "The requested range is not satisfiable"));
    }
    Ok(object.body.slice(first..=last))
}

impl Objects {
    pub(super) fn create_multipart_upload(
        &self,
        input: CreateMultipartUploadInput,
    ) -> S3Result<CreateMultipartUploadOutput> {
        let (id, key) = (Uuid::new_v4().simple().to_string(), input.key);
        let upload = Upload { key: key.clone(), begun: self.now(), about: about!(input), parts: BTreeMap::new() };
        bucket(&mut self.lock(), &input.bucket)?.uploads.insert(id.clone(), upload);
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            ..CreateMultipartUploadOutput::default()
        })
    }

    pub(super) fn upload_part(&self, mut input: UploadPartInput, body: Bytes) -> S3Result<UploadPartOutput> {
        let checksums = checksums!(input);
        let etag =
            self.store_part(&input.bucket, &input.key, &input.upload_id, input.part_number, body, checksums.clone())?;
        Ok(UploadPartOutput {
            e_tag: Some(strong(&etag)),
            checksum_crc32: checksums.crc32,
            checksum_crc32c: checksums.crc32c,
            checksum_crc64nvme: checksums.crc64nvme,
            checksum_sha1: checksums.sha1,
            checksum_sha256: checksums.sha256,
            ..UploadPartOutput::default()
        })
    }

    pub(super) fn upload_part_copy(&self, input: &UploadPartCopyInput) -> S3Result<UploadPartCopyOutput> {
        let source = self.source(&input.copy_source)?;
        let body = copied(&source, input.copy_source_range.as_deref())?;
        let none = Checksums::default();
        let etag = self.store_part(&input.bucket, &input.key, &input.upload_id, input.part_number, body, none)?;
        let result = CopyPartResult {
            e_tag: Some(strong(&etag)),
            last_modified: Some(timestamp(self.now())),
            ..CopyPartResult::default()
        };
        let copy_part_result = Some(result);
        Ok(UploadPartCopyOutput { copy_part_result, ..UploadPartCopyOutput::default() })
    }

    fn store_part(
        &self,
        name: &str,
        key: &str,
        id: &str,
        number: i32,
        body: Bytes,
        checksums: Checksums,
    ) -> S3Result<String> {
        if !(1..=LAST).contains(&number) {
            return Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"));
        }
        let Object { body, head } = Object::new(body, checksums, About::default(), self.now());
        let part = Part { body, etag: head.etag.clone(), modified: head.modified, checksums: head.checksums };
        let mut buckets = self.lock();
        bucket(&mut buckets, name)?.upload(id, key)?.parts.insert(number, part);
        Ok(head.etag)
    }

    pub(super) fn list_parts(&self, input: ListPartsInput) -> S3Result<ListPartsOutput> {
        let mut buckets = self.lock();
        let upload = bucket(&mut buckets, &input.bucket)?.upload(&input.upload_id, &input.key)?;
        let after = input.part_number_marker.unwrap_or(0);
        let most = most(input.max_parts);
        let mut rest = upload.parts.range(after.saturating_add(1)..);
        let parts: Vec<PartDto> = rest
            .by_ref()
            .take(most)
            .map(|(number, part)| PartDto {
                e_tag: Some(strong(&part.etag)),
                last_modified: Some(timestamp(part.modified)),
                part_number: Some(*number),
                size: Some(signed(part.body.len())),
                checksum_crc32: part.checksums.crc32.clone(),
                checksum_crc32c: part.checksums.crc32c.clone(),
                checksum_crc64nvme: part.checksums.crc64nvme.clone(),
                checksum_sha1: part.checksums.sha1.clone(),
                checksum_sha256: part.checksums.sha256.clone(),
            })
            .collect();
        Ok(ListPartsOutput {
            is_truncated: Some(rest.next().is_some()),
            next_part_number_marker: parts.last().and_then(|part| part.part_number),
            part_number_marker: Some(after),
            max_parts: Some(i32::try_from(most).unwrap_or(1_000)),
            parts: Some(parts),
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            ..ListPartsOutput::default()
        })
    }

    pub(super) fn list_multipart_uploads(
        &self,
        input: ListMultipartUploadsInput,
    ) -> S3Result<ListMultipartUploadsOutput> {
        if input.delimiter.is_some() || input.key_marker.is_some() {
            return Err(s3_error!(NotImplemented, "The sandbox lists all uploads of a prefix at once."));
        }
        let prefix = input.prefix.clone().unwrap_or_default();
        let mut buckets = self.lock();
        let uploads = &bucket(&mut buckets, &input.bucket)?.uploads;
        let shown =
            uploads.iter().filter(|(_, upload)| upload.key.starts_with(&prefix)).map(|(id, upload)| MultipartUpload {
                initiated: Some(timestamp(upload.begun)),
                key: Some(written(input.encoding_type.as_ref(), &upload.key)),
                upload_id: Some(id.clone()),
                ..MultipartUpload::default()
            });
        let mut shown: Vec<_> = shown.collect();
        shown.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(ListMultipartUploadsOutput {
            uploads: Some(shown),
            is_truncated: Some(false),
            encoding_type: input.encoding_type,
            prefix: input.prefix,
            bucket: Some(input.bucket),
            ..ListMultipartUploadsOutput::default()
        })
    }

    pub(super) fn complete_multipart_upload(
        &self,
        mut input: CompleteMultipartUploadInput,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let checksums = checksums!(input);
        let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let parts: Vec<Named> = parts.into_iter().map(Named::of).collect();
        let now = self.now();
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, &input.bucket)?;
        let object = bucket.upload(&input.upload_id, &input.key)?.complete(&parts, checksums, now)?;
        bucket.check(&input.key, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let e_tag = Some(strong(&object.head.etag));
        self.put(&input.bucket, bucket, &input.key, object)?;
        bucket.uploads.remove(&input.upload_id);
        Ok(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, listing::encode(&input.key))),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag,
            ..CompleteMultipartUploadOutput::default()
        })
    }

    pub(super) fn abort_multipart_upload(
        &self,
        input: &AbortMultipartUploadInput,
    ) -> S3Result<AbortMultipartUploadOutput> {
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, &input.bucket)?;
        bucket.upload(&input.upload_id, &input.key)?;
        bucket.uploads.remove(&input.upload_id);
        Ok(AbortMultipartUploadOutput::default())
    }
}
