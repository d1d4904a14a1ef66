//! Samples of queues that behave as SQS may: what is taken is given back, and the sample ends.

use std::collections::BTreeSet;

use super::super::fake::{FakeQueue, attributes, call_error, message};
use super::*;

fn options(messages: usize) -> SampleOptions {
    SampleOptions { messages, pause: Duration::from_millis(1), ..SampleOptions::default() }
}

async fn run(fake: &Arc<FakeQueue>, options: SampleOptions) -> Result<Sampled> {
    let queue: Arc<dyn Queue> = Arc::clone(fake) as Arc<dyn Queue>;
    let before = queue.attributes().await?;
    let (_sender, cancel) = watch::channel(false);
    sample(&queue, &before, &options, &|_| {}, cancel).await
}

#[tokio::test]
async fn a_part_of_a_queue_is_taken_once_and_given_back() {
    let fake = FakeQueue::filled(300);
    let sampled = run(&fake, options(95)).await.expect("no fault is set");
    assert_eq!((sampled.messages.len(), sampled.end), (95, End::Enough));
    assert_eq!(sampled.messages.iter().map(|message| &message.id).collect::<BTreeSet<_>>().len(), 95);
    assert!(sampled.messages.is_sorted_by_key(|message| message.system.sent_timestamp()));
    assert_eq!((sampled.receives, sampled.not_given_back), (10, 0));
    assert_eq!((fake.visible(), fake.in_flight()), (300, 0));
}

#[tokio::test]
async fn a_whole_queue_is_known_by_repeated_empty_polls_and_a_count_of_zero() {
    for count in [0, 1, 57] {
        let fake = FakeQueue::filled(count);
        let sampled = run(&fake, options(1000)).await.expect("no fault is set");
        assert_eq!((sampled.messages.len(), sampled.end), (count, End::WholeQueue));
        assert_eq!(fake.visible(), count);
    }
}

#[tokio::test]
async fn a_count_that_stays_ends_the_sampling_without_a_claim() {
    let fake = FakeQueue::filled(20);
    fake.count_stays_at(7);
    let sampled = run(&fake, options(1000)).await.expect("no fault is set");
    assert_eq!((sampled.messages.len(), sampled.end), (20, End::NothingMore));
}

#[tokio::test]
async fn on_a_fifo_queue_messages_may_hide_behind_those_taken() {
    let fake = FakeQueue::new(attributes("orders-dlq.fifo"), (0..5).map(|number| message(number, "x")).collect());
    fake.count_stays_at(50);
    let sampled = run(&fake, options(1000)).await.expect("no fault is set");
    assert_eq!((sampled.messages.len(), sampled.end), (5, End::NothingMore));
}

#[tokio::test]
async fn a_message_delivered_again_is_one_message_and_its_newest_handle_gives_it_back() {
    let fake = FakeQueue::filled(40);
    fake.deliver_twice();
    let sampled = run(&fake, options(30)).await.expect("no fault is set");
    assert_eq!((sampled.messages.len(), sampled.not_given_back), (30, 0));
    assert_eq!(fake.visible(), 40);
}

#[tokio::test]
async fn a_server_without_visibility_timeouts_cannot_keep_the_sampling_busy_for_ever() {
    let fake = FakeQueue::filled(3);
    fake.deliver_twice();
    let sampled = run(&fake, options(1000)).await.expect("no fault is set");
    assert_eq!((sampled.messages.len(), sampled.end), (3, End::NothingMore));
}

#[tokio::test]
async fn memory_is_bounded() {
    let large = "x".repeat(10_000);
    let fake = FakeQueue::new(attributes("large"), (0..200).map(|number| message(number, &large)).collect());
    let sampled = run(&fake, SampleOptions { bytes: 100_000, ..options(1000) }).await.expect("no fault is set");
    assert_eq!(sampled.end, End::Memory);
    assert!((10..=10 + CONCURRENCY * MAX_BATCH).contains(&sampled.messages.len()));
    assert_eq!(fake.visible(), 200);
}

#[tokio::test]
async fn transient_faults_are_tried_again_and_lost_answers_counted() {
    let fake = FakeQueue::filled(300);
    for fault in [Fault::Throttled, Fault::NoAnswer, Fault::Unreachable] {
        fake.fail_receive(call_error(fault));
    }
    let sampled = run(&fake, options(100)).await.expect("transient faults only");
    assert_eq!((sampled.messages.len(), sampled.answers_lost), (100, 1));
    assert_eq!(fake.visible(), 300);
}

#[tokio::test]
async fn a_permanent_fault_ends_it_after_everything_is_given_back() {
    let fake = FakeQueue::filled(300);
    // The first round passes; in the second one of four polls is refused.
    for fault in [Fault::Throttled, Fault::Denied] {
        fake.fail_receive(call_error(fault));
    }
    let error = run(&fake, options(200)).await.expect_err("the credentials were refused");
    assert!(error.message().contains("ReceiveMessage on orders-dlq"), "{error}");
    assert!(
        error.hint_text().is_some_and(|hint| hint.ends_with("20 messages received until then were given back at once"))
    );
    assert_eq!((fake.visible(), fake.in_flight()), (300, 0));
}

#[tokio::test]
async fn a_service_that_stays_away_is_given_up() {
    let fake = FakeQueue::filled(300);
    for _ in 0..100 {
        fake.fail_receive(call_error(Fault::Unreachable));
    }
    let error = run(&fake, options(200)).await.expect_err("nothing answers");
    assert!(error.hint_text().is_some_and(|hint| hint.ends_with("no message had been received")));
}

#[tokio::test]
async fn what_cannot_be_given_back_is_said() {
    let fake = FakeQueue::filled(30);
    fake.fail_change(call_error(Fault::Denied));
    let sampled = run(&fake, options(30)).await.expect("giving back does not fail");
    assert_eq!(sampled.not_given_back, 10);
}

#[tokio::test]
async fn an_interruption_gives_back_what_was_received() {
    let fake = FakeQueue::filled(5000);
    let queue: Arc<dyn Queue> = Arc::clone(&fake) as Arc<dyn Queue>;
    let before = attributes("orders-dlq");
    let (sender, cancel) = watch::channel(false);
    // A fault with a long pause after the first round: the interruption ends the pause too.
    fake.fail_receive(call_error(Fault::Throttled));
    let options = SampleOptions { pause: Duration::from_secs(5), ..options(5000) };
    let interrupting = async {
        while fake.in_flight() == 0 {
            tokio::task::yield_now().await;
        }
        sender.send(true).expect("the sampling listens");
    };
    let (sampled, ()) = tokio::join!(sample(&queue, &before, &options, &|_| {}, cancel), interrupting);
    let error = sampled.expect_err("it was interrupted");
    assert_eq!(error.kind(), Kind::Stopped);
    assert_eq!((fake.visible(), fake.in_flight()), (5000, 0));
}
