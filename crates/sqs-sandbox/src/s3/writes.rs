//! S3's writes of whole objects: puts, copies, deletes.

use hyper::body::Bytes;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, Error as DeleteError, MetadataDirective, PutObjectInput,
    PutObjectOutput,
};
use s3s::{S3Result, s3_error};

use super::object::{Object, about, checksums, strong, timestamp};
use super::objects::{Objects, bucket, failed_condition};
use super::reads::Conditions;

impl Objects {
    pub(super) fn put_object(&self, mut input: PutObjectInput, body: Bytes) -> S3Result<PutObjectOutput> {
        let checksums = checksums!(input);
        let object = Object::new(body, checksums.clone(), about!(input), self.now());
        let e_tag = Some(strong(&object.head.etag));
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, &input.bucket)?;
        bucket.check(&input.key, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        self.put(&input.bucket, bucket, &input.key, object)?;
        Ok(PutObjectOutput {
            e_tag,
            checksum_crc32: checksums.crc32,
            checksum_crc32c: checksums.crc32c,
            checksum_crc64nvme: checksums.crc64nvme,
            checksum_sha1: checksums.sha1,
            checksum_sha256: checksums.sha256,
            ..PutObjectOutput::default()
        })
    }

    /// The source of a copy.
    pub(super) fn source(&self, source: &CopySource) -> S3Result<Object> {
        let CopySource::Bucket { bucket: name, key, version_id } = source else {
            return Err(s3_error!(NotImplemented, "The sandbox copies from buckets only."));
        };
        if version_id.as_deref().is_some_and(|version| version != "null") {
            return Err(s3_error!(NoSuchVersion, "The specified version does not exist."));
        }
        bucket(&mut self.lock(), name)?.object(key).cloned()
    }

    pub(super) fn copy_object(&self, input: CopyObjectInput) -> S3Result<CopyObjectOutput> {
        let source = self.source(&input.copy_source)?;
        let conditions = Conditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            modified_since: input.copy_source_if_modified_since,
            unmodified_since: input.copy_source_if_unmodified_since,
        };
        // A copy has nothing that is unchanged: it is made or it is not.
        conditions.check(&source).map_err(|_| failed_condition())?;
        let replaces =
            input.metadata_directive.as_ref().is_some_and(|what| what.as_str() == MetadataDirective::REPLACE);
        let is_itself = matches!(&input.copy_source, CopySource::Bucket { bucket, key, .. }
            if **bucket == *input.bucket && **key == *input.key);
        if is_itself && !replaces && input.storage_class.is_none() {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the \
                 object's metadata, storage class, website redirect location or encryption attributes."
            ));
        }
        let mut about = source.head.about.clone();
        let storage_class = input.storage_class.as_ref().map(|class| class.as_str().to_owned());
        if replaces {
            about = about!(input);
        }
        about.storage_class = storage_class;
        let object = Object::new(source.body, source.head.checksums, about, self.now());
        let result = CopyObjectResult {
            e_tag: Some(strong(&object.head.etag)),
            last_modified: Some(timestamp(object.head.modified)),
            ..CopyObjectResult::default()
        };
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, &input.bucket)?;
        self.put(&input.bucket, bucket, &input.key, object)?;
        let copy_object_result = Some(result);
        Ok(CopyObjectOutput { copy_object_result, ..CopyObjectOutput::default() })
    }

    pub(super) fn delete_object(&self, input: &DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, &input.bucket)?;
        bucket.check(&input.key, input.if_match.as_ref(), None)?;
        self.delete(&input.bucket, bucket, &input.key)?;
        Ok(DeleteObjectOutput::default())
    }

    pub(super) fn delete_objects(&self, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, &input.bucket)?;
        let is_quiet = input.delete.quiet.unwrap_or(false);
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for named in input.delete.objects {
            if named.version_id.as_deref().is_some_and(|version| version != "null") {
                errors.push(DeleteError {
                    code: Some("NoSuchVersion".to_owned()),
                    key: Some(named.key),
                    message: Some("The specified version does not exist.".to_owned()),
                    version_id: named.version_id,
                });
                continue;
            }
            self.delete(&input.bucket, bucket, &named.key)?;
            if !is_quiet {
                deleted.push(DeletedObject { key: Some(named.key), ..DeletedObject::default() });
            }
        }
        let (deleted, errors) = (Some(deleted), Some(errors));
        Ok(DeleteObjectsOutput { deleted, errors, ..DeleteObjectsOutput::default() })
    }
}
