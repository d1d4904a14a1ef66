//! The seam to an object store: one bucket, the three calls that archives and offloaded bodies need, and opening one by name. `aws` implements it with S3.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::sqs::CallError;

/// One bucket. Only `check`, which has no effect, is made again as long as its failure may pass.
#[async_trait]
pub trait Bucket: Send + Sync + fmt::Debug {
    /// The bucket's name.
    fn name(&self) -> &str;

    /// Whether the bucket is there and may be reached.
    async fn check(&self) -> Result<(), CallError>;

    /// Writes an object where none is yet (`If-None-Match: *`), with a checksum that the store verifies.
    async fn put_new(&self, object: &NewObject) -> Result<Put, CallError>;

    /// Reads a whole object; `None` where there is none. One that is longer than `most` bytes is a fault of the kind
    /// [`Fault::TooLong`](crate::sqs::Fault::TooLong), and not read further.
    async fn get(&self, key: &str, most: usize) -> Result<Option<Vec<u8>>, CallError>;
}

/// Opens buckets that are known only once a message names them.
#[async_trait]
pub trait Buckets: Send + Sync + fmt::Debug {
    /// The bucket of this name, which nobody has looked at yet.
    async fn bucket(&self, name: &str) -> crate::error::Result<Arc<dyn Bucket>>;
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
