//! S3's actions on buckets, but for their listing.

use s3s::dto::{
    Bucket as BucketDto, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput,
    DeleteBucketOutput, GetBucketEncryptionInput, GetBucketEncryptionOutput, GetBucketLocationInput,
    GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput, ListBucketsOutput, Owner, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
};
use s3s::{S3Result, s3_error};

use super::object::timestamp;
use super::objects::{Objects, bucket};

impl Objects {
    pub(super) fn list_buckets(&self) -> ListBucketsOutput {
        let buckets = self.lock();
        let shown = buckets.iter().map(|(name, bucket)| BucketDto {
            bucket_region: None,
            creation_date: Some(timestamp(bucket.created)),
            name: Some(name.clone()),
        });
        let owner = Owner { display_name: Some("sandbox".to_owned()), id: Some("sandbox".to_owned()) };
        let (buckets, owner) = (Some(shown.collect()), Some(owner));
        ListBucketsOutput { buckets, owner, ..ListBucketsOutput::default() }
    }

    pub(super) fn create_bucket(&self, input: &CreateBucketInput) -> S3Result<CreateBucketOutput> {
        let name = &input.bucket;
        if self.has_bucket(name) {
            return Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it."
            ));
        }
        self.ensure_bucket(name).map_err(|error| s3_error!(InternalError, "No bucket can be made: {error}"))?;
        let location = Some(format!("/{name}"));
        Ok(CreateBucketOutput { location })
    }

    pub(super) fn delete_bucket(&self, input: &DeleteBucketInput) -> S3Result<DeleteBucketOutput> {
        let mut buckets = self.lock();
        if !bucket(&mut buckets, &input.bucket)?.objects.is_empty() {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"));
        }
        self.remove_bucket(&mut buckets, &input.bucket)?;
        Ok(DeleteBucketOutput::default())
    }

    pub(super) fn head_bucket(&self, input: &HeadBucketInput) -> S3Result<HeadBucketOutput> {
        bucket(&mut self.lock(), &input.bucket)?;
        let bucket_region = Some(self.region.clone());
        Ok(HeadBucketOutput { bucket_region, ..HeadBucketOutput::default() })
    }

    /// S3's own key, without being asked, or the one that the bucket was given.
    pub(super) fn get_bucket_encryption(
        &self,
        input: &GetBucketEncryptionInput,
    ) -> S3Result<GetBucketEncryptionOutput> {
        let key = bucket(&mut self.lock(), &input.bucket)?.key.clone();
        let algorithm = if key.is_some() { ServerSideEncryption::AWS_KMS } else { ServerSideEncryption::AES256 };
        let rule = ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(ServerSideEncryptionByDefault {
                kms_master_key_id: key,
                sse_algorithm: ServerSideEncryption::from_static(algorithm),
            }),
            ..ServerSideEncryptionRule::default()
        };
        let configuration = ServerSideEncryptionConfiguration { rules: vec![rule] };
        Ok(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(configuration) })
    }

    pub(super) fn get_bucket_location(&self, input: &GetBucketLocationInput) -> S3Result<GetBucketLocationOutput> {
        bucket(&mut self.lock(), &input.bucket)?;
        // The oldest region has none.
        let region = Some(self.region.clone()).filter(|region| region != "us-east-1");
        let location_constraint = region.map(BucketLocationConstraint::from);
        Ok(GetBucketLocationOutput { location_constraint })
    }
}
