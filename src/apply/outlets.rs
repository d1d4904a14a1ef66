//! The real things behind a run's targets, and who makes the requests to them. No logic: what goes where is decided elsewhere.

use std::sync::Arc;

use super::files::FileArchive;
use super::hands::{FIRST, FIRST_RECEIVES, FIRST_RECEIVES_FIFO, Hands};
use crate::sqs::Queue;
use crate::store::Bucket;

/// The real thing behind a target.
#[derive(Debug)]
pub enum Outlet {
    /// A queue.
    Queue {
        /// The queue.
        queue: Arc<dyn Queue>,
        /// The most bytes it takes in one batch.
        batch_bytes: usize,
    },
    /// An S3 bucket.
    Bucket(Arc<dyn Bucket>),
    /// The parking queue.
    Park {
        /// The queue.
        queue: Arc<dyn Queue>,
        /// The most bytes it takes in one batch.
        batch_bytes: usize,
        /// The most bytes that the source takes in one batch, on the way back.
        source_batch_bytes: usize,
    },
    /// A file.
    File(Arc<FileArchive>),
    /// Nothing: deleted.
    Drop,
}

/// Who makes the requests, by kind.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) receives: Arc<Hands>,
    pub(super) deletes: Arc<Hands>,
    /// What is delivered, by [`redrive_protocol::target::TargetId`].
    pub(super) targets: Vec<Arc<Hands>>,
}

impl Crew {
    pub(super) fn new(concurrency: Option<usize>, outlets: &[Outlet], source_fifo: bool) -> Self {
        let receives = if source_fifo { FIRST_RECEIVES_FIFO } else { FIRST_RECEIVES };
        let of = |outlet: &Outlet| match outlet {
            // Lines are written one batch after the other.
            Outlet::File(_) => Hands::fixed(1),
            Outlet::Queue { .. } | Outlet::Park { .. } | Outlet::Bucket(_) | Outlet::Drop => {
                Hands::new(concurrency, FIRST)
            }
        };
        Self {
            receives: Hands::new(concurrency, receives),
            deletes: Hands::new(concurrency, FIRST),
            targets: outlets.iter().map(of).collect(),
        }
    }
}
