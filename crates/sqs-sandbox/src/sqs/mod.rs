//! The SQS side: from an action's name and the request's bytes to the answer's bytes. Knows no HTTP. What misbehaves on
//! command inside a call comes in as [`Tamper`]; latency, lost connections and the like are the server's.

pub(crate) mod account;
mod ages;
pub(crate) mod call;
mod dedup;
mod deliver;
mod exchange;
pub(crate) mod failure;
mod fifo;
mod handle;
pub(crate) mod message;
#[cfg(test)]
mod model;
mod moves;
mod order;
mod permissions;
pub(crate) mod queue;
mod receive;
pub(crate) mod settings;
mod tasks;

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use account::Account;
use call::Call;
use failure::Failure;

/// What a call did: its answer, and what the request log notes.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) body: Vec<u8>,
    pub(crate) entries: usize,
    pub(crate) failed: usize,
    pub(crate) touched: Vec<Touched>,
}

/// A message that a call sent, delivered, deleted or changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Touched {
    pub(crate) id: Uuid,
    /// Absent where the call does not see the body.
    pub(crate) body_md5: Option<[u8; 16]>,
}

impl Outcome {
    fn json(answer: &impl Serialize) -> Self {
        // What is serialised here are maps with text keys, which cannot fail.
        Self { body: serde_json::to_vec(answer).unwrap_or_default(), ..Self::default() }
    }

    fn empty() -> Self {
        Self::default()
    }
}

/// Misbehaviour on command inside a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tamper {
    /// Entries of a batch that fail without effect.
    pub(crate) fail: Vec<FailEntry>,
    /// The MD5 of the body is wrong in the answer.
    pub(crate) corrupt_md5: bool,
    /// What is received stays visible.
    pub(crate) duplicate: bool,
    /// A delete with an older receipt handle answers success and deletes nothing.
    pub(crate) ignore_stale: bool,
}

/// An entry of a batch that is made to fail.
#[derive(Debug, Clone)]
pub(crate) struct FailEntry {
    pub(crate) index: usize,
    pub(crate) sender: bool,
    pub(crate) code: String,
}

impl Account {
    /// Carries out one call.
    pub(crate) async fn execute(self: &Arc<Self>, call: Call, tamper: &Tamper) -> Result<Outcome, Failure> {
        match call {
            Call::CreateQueue(call) => self.create(call),
            Call::GetQueueUrl(call) => self.get_url(&call.queue_name),
            Call::GetQueueAttributes(call) => self.get_attributes(&call),
            Call::SetQueueAttributes(call) => self.set_attributes(&call),
            Call::ListQueues(call) => self.list(&call),
            Call::DeleteQueue(call) => self.delete(&call.queue_url),
            Call::PurgeQueue(call) => self.purge(&call.queue_url),
            Call::TagQueue(call) => self.tag(call),
            Call::UntagQueue(call) => self.untag(&call),
            Call::ListQueueTags(call) => self.tags(&call.queue_url),
            Call::SendMessage(call) => self.send(call, tamper),
            Call::SendMessageBatch(call) => self.send_batch(call, tamper),
            Call::ReceiveMessage(call) => self.receive(&call, tamper).await,
            Call::DeleteMessage(call) => self.delete_message(&call, tamper),
            Call::DeleteMessageBatch(call) => self.delete_batch(&call, tamper),
            Call::ChangeMessageVisibility(call) => self.change_visibility(&call),
            Call::ChangeMessageVisibilityBatch(call) => self.change_visibility_batch(&call, tamper),
            Call::AddPermission(call) => self.add_permission(&call),
            Call::RemovePermission(call) => self.remove_permission(&call),
            Call::ListDeadLetterSourceQueues(call) => self.list_sources(&call),
            Call::StartMessageMoveTask(call) => self.start_move_task(call),
            Call::ListMessageMoveTasks(call) => self.list_move_tasks(&call),
            Call::CancelMessageMoveTask(call) => self.cancel_move_task(&call),
        }
    }
}
