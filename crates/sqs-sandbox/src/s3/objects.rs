//! Buckets with their objects and uploads. They are in memory; if there is a directory too, it is written before memory is, so
//! that what was answered is there.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use s3s::dto::ETagCondition;
use s3s::{S3Error, S3Result, s3_error};

use super::disk::Disk;
use super::object::Object;
use super::uploads::Upload;
use crate::sqs::message::Millis;

/// A bucket.
#[derive(Default)]
pub(super) struct Bucket {
    pub(super) created: Millis,
    pub(super) objects: BTreeMap<String, Object>,
    pub(super) uploads: BTreeMap<String, Upload>,
    /// The ARN of the KMS key that it is encrypted with, if that is not S3's own.
    pub(super) key: Option<String>,
}

impl Bucket {
    pub(super) fn object(&self, key: &str) -> S3Result<&Object> {
        self.objects.get(key).ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
    }

    /// An upload under way, which is of one key.
    pub(super) fn upload(&mut self, id: &str, key: &str) -> S3Result<&mut Upload> {
        self.uploads.get_mut(id).filter(|upload| upload.key == key).ok_or_else(|| {
            s3_error!(
                NoSuchUpload,
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or \
                 completed."
            )
        })
    }

    /// Whether a write on conditions may be carried out.
    pub(super) fn check(
        &self,
        key: &str,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> S3Result<()> {
        let there = self.objects.get(key).map(|object| &object.head.etag);
        if let Some(wanted) = if_match {
            let etag = there.ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))?;
            if !is_one(wanted, etag) {
                return Err(failed_condition());
            }
        }
        match (if_none_match, there) {
            (Some(unwanted), Some(etag)) if is_one(unwanted, etag) => Err(failed_condition()),
            _ => Ok(()),
        }
    }
}

/// Whether an entity tag is one that a condition names.
pub(super) fn is_one(condition: &ETagCondition, etag: &str) -> bool {
    condition.is_any() || condition.as_etag().is_some_and(|named| named.value() == etag)
}

pub(super) fn failed_condition() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

pub(super) type Buckets = BTreeMap<String, Bucket>;

/// All buckets.
pub(super) struct Objects {
    buckets: Mutex<Buckets>,
    disk: Option<Disk>,
    pub(super) region: String,
    clock: Box<dyn Fn() -> Millis + Send + Sync>,
}

impl Objects {
    pub(super) fn new(
        disk: Option<Disk>,
        region: &str,
        clock: Box<dyn Fn() -> Millis + Send + Sync>,
    ) -> io::Result<Self> {
        let created = clock();
        let contents = disk.as_ref().map(Disk::read).transpose()?.unwrap_or_default();
        let bucket = |objects| Bucket { created, objects, ..Bucket::default() };
        let buckets = contents.into_iter().map(|(name, objects)| (name, bucket(objects))).collect();
        Ok(Self { buckets: Mutex::new(buckets), disk, region: region.to_owned(), clock })
    }

    pub(super) fn now(&self) -> Millis {
        (self.clock)()
    }

    /// The buckets, for one operation: whoever holds them has them alone.
    pub(super) fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_bucket(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    pub(super) fn ensure_bucket(&self, name: &str) -> io::Result<()> {
        let mut buckets = self.lock();
        if !buckets.contains_key(name) {
            self.disk.as_ref().map_or(Ok(()), |disk| disk.create_bucket(name))?;
            buckets.insert(name.to_owned(), Bucket { created: self.now(), ..Bucket::default() });
        }
        Ok(())
    }

    pub(super) fn remove_bucket(&self, buckets: &mut Buckets, name: &str) -> S3Result<()> {
        self.on_disk(|disk| disk.delete_bucket(name))?;
        buckets.remove(name);
        Ok(())
    }

    /// Stores an object, in place of the one under its key.
    pub(super) fn put(&self, name: &str, bucket: &mut Bucket, key: &str, object: Object) -> S3Result<()> {
        self.on_disk(|disk| disk.put(name, key, &object))?;
        bucket.objects.insert(key.to_owned(), object);
        Ok(())
    }

    /// Deletes an object, which need not be there.
    pub(super) fn delete(&self, name: &str, bucket: &mut Bucket, key: &str) -> S3Result<()> {
        if bucket.objects.contains_key(key) {
            self.on_disk(|disk| disk.delete(name, key))?;
            bucket.objects.remove(key);
        }
        Ok(())
    }

    fn on_disk(&self, change: impl FnOnce(&Disk) -> io::Result<()>) -> S3Result<()> {
        let failed =
            |error: io::Error| s3_error!(InternalError, "The directory of the buckets cannot be written: {error}");
        self.disk.as_ref().map_or(Ok(()), change).map_err(failed)
    }

    pub(super) fn contents(&self, bucket: &str) -> Option<BTreeMap<String, Vec<u8>>> {
        let buckets = self.lock();
        let objects = &buckets.get(bucket)?.objects;
        Some(objects.iter().map(|(key, object)| (key.clone(), object.body.to_vec())).collect())
    }
}

/// A bucket that is there.
pub(super) fn bucket<'a>(buckets: &'a mut Buckets, name: &str) -> S3Result<&'a mut Bucket> {
    buckets.get_mut(name).ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
}
