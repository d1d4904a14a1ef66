//! redrive's client alone, as `bare` is the SDK alone: no journal, no rules. A delete takes a proof that only the journal
//! makes, so that messages are held invisible for longer instead: a request of the same size.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redrive::aws::{Access, Aws};
use redrive::sqs::Queue;
use redrive_protocol::message::{Body, Outgoing};

/// Copies so many messages with so many workers.
pub(crate) fn run(endpoint: &str, from: &str, to: &str, messages: usize, workers: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let aws = Aws::local(endpoint);
        let queue = async |name: &str| {
            let url = format!("{endpoint}/000000000000/{name}");
            aws.queue_by_url(&url, &Access::default()).await.expect("a queue")
        };
        let (from, to) = (queue(from).await, queue(to).await);
        let left = Arc::new(AtomicUsize::new(messages));
        let work = |_| tokio::spawn(work(Arc::clone(&from), Arc::clone(&to), Arc::clone(&left)));
        for worker in (0..workers).map(work).collect::<Vec<_>>() {
            worker.await.expect("a worker ends");
        }
    });
}

async fn work(from: Arc<dyn Queue>, to: Arc<dyn Queue>, left: Arc<AtomicUsize>) {
    const INVISIBLE: Duration = Duration::from_mins(5);
    while left.load(Ordering::Relaxed) > 0 {
        let received = from.receive(10, Duration::from_secs(1), INVISIBLE).await.expect("a receive");
        if received.is_empty() {
            continue;
        }
        let (mut sends, mut handles) = (Vec::new(), Vec::new());
        for received in received {
            handles.push(received.receipt);
            sends.push(Outgoing {
                body: Body::Untouched(received.message.body),
                attributes: received.message.attributes,
                message_group_id: None,
                message_deduplication_id: None,
                trace_header: None,
                payload: None,
            });
        }
        let sent = to.send(&sends).await.expect("a send");
        assert!(sent.iter().all(Result::is_ok), "a message was not sent");
        from.change_visibility(&handles, INVISIBLE).await.expect("an answer");
        left.fetch_sub(handles.len(), Ordering::Relaxed);
    }
}
