//! Looking at the queues that messages go to, and at the dead-letter queues where they end if nobody can process them.
//!
//! Looking costs: a receive raises the receive count of what it meets. So the counts are asked for first, which harms nobody; it is
//! received only when a queue has grown, and given back at once.

use std::sync::Arc;
use std::time::Duration;

use redrive_protocol::message::{MessageId, ReceiptHandle};

use crate::sqs::{CallError, MAX_BATCH, Queue};

/// For how long what is looked at stays invisible, should it not be given back.
const VISIBILITY: Duration = Duration::from_secs(30);

/// How long a receive waits for messages: a long poll asks all of SQS's servers.
const WAIT: Duration = Duration::from_secs(1);

/// Receives of one look, at the most.
const MOST_RECEIVES: usize = 30;

/// What is looked at.
#[derive(Debug, Default)]
pub struct Watched {
    /// The queues that messages go to.
    pub destinations: Vec<Destination>,
    /// Where they end if nobody can process them, each once.
    pub dead_letters: Vec<DeadLetters>,
}

/// A queue that messages go to.
#[derive(Debug)]
pub struct Destination {
    /// Its name.
    pub name: String,
    /// The queue.
    pub queue: Arc<dyn Queue>,
}

/// A dead-letter queue.
#[derive(Debug)]
pub struct DeadLetters {
    /// Its name.
    pub name: String,
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// Whether the run takes its messages from it, and so meets what comes back by itself.
    pub is_source: bool,
}

/// What a look at a dead-letter queue saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// The messages.
    pub messages: Vec<MessageId>,
    /// Whether it holds more than that.
    pub more: bool,
    /// How many receives it took.
    pub receives: usize,
}

/// How many messages a queue holds, whatever their state; `None` if the server does not say.
pub async fn backlog(queue: &dyn Queue) -> Result<Option<u64>, CallError> {
    Ok(queue.attributes().await?.counts.all())
}

/// Looks at what a queue holds, as far as one look goes, and gives it back.
pub async fn look(queue: &dyn Queue) -> Result<Seen, CallError> {
    let mut seen = Seen { more: true, ..Seen::default() };
    let mut receipts = Vec::new();
    let mut failed = None;
    while seen.receives < MOST_RECEIVES {
        seen.receives += 1;
        match queue.receive(MAX_BATCH, WAIT, VISIBILITY).await {
            Ok(received) if received.is_empty() => {
                seen.more = false;
                break;
            }
            Ok(received) => {
                for one in received {
                    seen.messages.push(one.message.id);
                    receipts.push(one.receipt);
                }
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    give_back(queue, &receipts).await;
    failed.map_or(Ok(seen), Err)
}

/// What cannot be given back comes back by itself, soon.
async fn give_back(queue: &dyn Queue, receipts: &[ReceiptHandle]) {
    for batch in receipts.chunks(MAX_BATCH) {
        let _ = queue.change_visibility(batch, Duration::ZERO).await;
    }
}
