//! The seam to an object store: one bucket, and the three calls an archive needs. `aws` implements it with S3.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;

use crate::sqs::CallError;

/// One bucket. Calls do not retry by themselves.
#[async_trait]
pub trait Bucket: Send + Sync + fmt::Debug {
    /// The bucket's name.
    fn name(&self) -> &str;

    /// Whether the bucket is there and may be reached.
    async fn check(&self) -> Result<(), CallError>;

    /// Writes an object where none is yet (`If-None-Match: *`), with a checksum that the store verifies.
    async fn put_new(&self, object: &NewObject) -> Result<Put, CallError>;

    /// Reads a whole object; `None` where there is none.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CallError>;
}

/// An object to write.
#[derive(Clone)]
pub struct NewObject {
    /// The key.
    pub key: String,
    /// The content.
    pub content: Vec<u8>,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// User metadata, by name without `x-amz-meta-`.
    pub metadata: BTreeMap<&'static str, String>,
}

impl fmt::Debug for NewObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewObject({}, {} bytes)", self.key, self.content.len())
    }
}

/// What became of a conditional put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Written.
    Created,
    /// Not written: an object has this key already.
    Exists,
}
