//! The journal: what happened to each message, on disk before it matters.

use crate::message::{MessageId, ReceiptHandle};

/// The proof that a message is safely elsewhere, on disk in the journal: what a delete takes. Only the journal makes it.
#[derive(Debug)]
pub struct Sent {
    id: MessageId,
    receipt: ReceiptHandle,
}

impl Sent {
    /// The message.
    pub fn id(&self) -> &MessageId {
        &self.id
    }

    /// The newest receipt handle of it that is known.
    pub fn receipt(&self) -> &ReceiptHandle {
        &self.receipt
    }
}
