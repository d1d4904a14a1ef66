//! Answers that leave out what they should say. What is not said is unknown: it is not zero, and nothing is concluded from it.

use crate::end_to_end::{JOB, assert_all_in_place, message};
use crate::support::admin::Admin;
use crate::support::liar::liar;
use crate::support::stage::{Ran, Stage};
use crate::trouble::assert_untouched;

const TOTAL: usize = 10;

/// What apply asks for the attributes of before it begins: the source, `orders` and `audit`.
const AT_FIRST: usize = 3;

async fn planned() -> Stage {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage.redrive(&["plan", "job.toml", "--exact", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.clear_log();
    stage
}

/// Runs the program against a server that answers `GetQueueAttributes` with this, after so many honest answers.
async fn lied_to(stage: &Stage, arguments: &[&str], honest: usize, json: &str) -> Ran {
    let endpoint = liar(&stage.sandbox.endpoint_url(), "GetQueueAttributes", honest, json).await;
    stage.redrive_with(arguments, &[("AWS_ENDPOINT_URL", &endpoint)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_that_are_left_out_are_no_plan_and_no_other_queue() {
    let stage = planned().await;
    for arguments in [&["plan", "job.toml"][..], &["apply", "plan.json"]] {
        let said = lied_to(&stage, arguments, 0, "{}").await.expect(1).stderr;
        assert!(said.contains("the answer has no attributes"), "{said}");
    }
    // Some are there. When it was created is not: that is no sign that it was created anew.
    let some = r#"{"Attributes":{"QueueArn":"arn:aws:sqs:eu-west-1:000000000000:orders-dlq"}}"#;
    let said = lied_to(&stage, &["apply", "plan.json"], 0, some).await.expect(4).stderr;
    assert!(said.contains("does not say when it was created") && !said.contains("deleted and"), "{said}");
    let said = lied_to(&stage, &["plan", "job.toml", "--exact"], 1, some).await.expect(0).stdout;
    assert_eq!(stage.requests("SendMessageBatch"), 0);
    assert_untouched(&stage, TOTAL, &said);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_not_called_gone_because_counts_are_left_out() {
    for json in ["{}", r#"{"Attributes":{"ApproximateNumberOfMessages":"0"}}"#] {
        let stage = planned().await;
        // Somebody else has all of them in flight.
        let admin = Admin::at(&stage.sandbox.endpoint_url());
        let url =
            admin.sqs.get_queue_url().queue_name("orders-dlq").send().await.expect("a URL").queue_url.expect("one");
        let receive = admin.sqs.receive_message().queue_url(&url).max_number_of_messages(10).visibility_timeout(600);
        let held = receive.send().await.expect("messages").messages.unwrap_or_default();
        assert_eq!(held.len(), TOTAL);
        lied_to(&stage, &["apply", "plan.json", "--format", "json"], AT_FIRST, json).await.expect(3);
        for message in held {
            let back = admin.sqs.change_message_visibility().queue_url(&url).visibility_timeout(0);
            back.set_receipt_handle(message.receipt_handle).send().await.expect("given back");
        }
        let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
        assert_eq!(summary["pinned"]["gone"], 0, "{json}: {summary}");
        assert_all_in_place(&stage, TOTAL);
    }
}
