//! The main job, whole, against servers that others wrote, and unchanged against the sandbox: what arrived is read back with
//! the SDK alone.

mod contents;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sqs_sandbox::{MessageAttribute, Options, Sandbox};
use tokio::process::{Child, Command};

use self::contents::{
    a_body_of_a_mebibyte_is_judged_changed_and_moved, bodies_in_s3_are_judged_and_changed_by_copy,
    random_messages_arrive_as_they_were,
};
use crate::end_to_end::{JOB, assert_adds_up, differences, expected_at, message};
use crate::support::admin::Admin;
use crate::support::judges::Judge;
use crate::support::stage::{Content, Inventory, Ran, content, count};

/// Every test here runs on each of the servers.
macro_rules! on_every_server {
    ($($test:ident),+ $(,)?) => {
        on_every_server!(sandbox None $($test)+);
        on_every_server!(ministack Some(Judge::Ministack) $($test)+);
        on_every_server!(localstack Some(Judge::LocalStack) $($test)+);
    };
    ($module:ident None $($test:ident)+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(super::Bench::on_the_sandbox().await).await;
            })+
        }
    };
    ($module:ident Some($judge:expr) $($test:ident)+) => {
        mod $module {
            use crate::support::judges::Judge;

            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                if let Some(bench) = super::Bench::on($judge, stringify!($test)) {
                    super::$test(bench).await;
                }
            })+
        }
    };
}

on_every_server!(
    the_main_job_is_planned_applied_and_reported,
    a_run_that_is_killed_is_resumed_and_loses_nothing,
    groups_of_a_fifo_queue_arrive_in_their_order,
    random_messages_arrive_as_they_were,
    bodies_in_s3_are_judged_and_changed_by_copy,
    a_body_of_a_mebibyte_is_judged_changed_and_moved,
);

/// A server, the program beside it, and names that are this test's own.
struct Bench {
    endpoint: String,
    admin: Admin,
    prefix: String,
    directory: tempfile::TempDir,
    _sandbox: Option<Sandbox>,
}

impl Bench {
    fn at(endpoint: String, prefix: &str, sandbox: Option<Sandbox>) -> Self {
        let prefix = prefix.split('_').take(5).collect::<Vec<_>>().join("-");
        let directory = tempfile::tempdir().expect("a directory");
        Self { admin: Admin::at(&endpoint), endpoint, prefix, directory, _sandbox: sandbox }
    }

    fn on(judge: Judge, test: &str) -> Option<Self> {
        Some(Self::at(judge.endpoint()?.to_owned(), test, None))
    }

    async fn on_the_sandbox() -> Self {
        let sandbox = Sandbox::start(Options { region: "us-east-1".to_owned(), ..Options::default() }).await;
        let sandbox = sandbox.expect("a sandbox");
        Self::at(sandbox.endpoint_url(), "here", Some(sandbox))
    }

    fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.prefix)
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redrive"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("HOME", self.directory.path())
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-east-1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn().expect("the program starts")
    }

    async fn redrive(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.spawn(arguments).wait_with_output().await.expect("the program runs"))
    }

    /// Applies the plan to its end; gives the summary. A busy server may be late with what killed ones had received; then a
    /// run says that it is unfinished.
    async fn applied(&self) -> Value {
        let mut ran = self.redrive(&["apply", "plan.json", "--format", "json"]).await;
        for _ in 0..3 {
            if ran.code == Some(3) {
                ran = self.redrive(&["apply", "plan.json", "--format", "json"]).await;
            }
        }
        ran.expect(0).summary()
    }

    async fn url(&self, what: &str) -> String {
        let call = self.admin.sqs.get_queue_url().queue_name(self.name(what));
        call.send().await.expect("the queue").queue_url.expect("a URL")
    }

    /// A number that the server counts for a queue.
    async fn counted(&self, what: &str, name: QueueAttributeName) -> usize {
        let call = self.admin.sqs.get_queue_attributes().queue_url(self.url(what).await).attribute_names(name.clone());
        let attributes = call.send().await.expect("attributes").attributes.expect("attributes");
        attributes[&name].parse().expect("a number")
    }

    /// The queues and the bucket of [`JOB`], with `total` messages that went to the dead-letter queue by failing.
    async fn with_failed_messages(&self, total: usize) {
        let dlq = self.admin.queue(&self.name("orders-dlq"), &[]).await;
        let call = self.admin.sqs.get_queue_attributes().queue_url(dlq).attribute_names(QueueAttributeName::QueueArn);
        let arn = call.send().await.expect("attributes").attributes.expect("attributes");
        let policy = serde_json::json!({
            "deadLetterTargetArn": arn[&QueueAttributeName::QueueArn], "maxReceiveCount": 1,
        });
        let policy = policy.to_string();
        let attributes = [(QueueAttributeName::RedrivePolicy, policy.as_str())];
        let orders = self.admin.queue(&self.name("orders"), &attributes).await;
        self.admin.queue(&self.name("audit"), &[]).await;
        self.admin.bucket(&self.name("archive")).await;
        let numbers: Vec<usize> = (0..total).collect();
        for batch in numbers.chunks(10) {
            let call = self.admin.sqs.send_message_batch().queue_url(&orders);
            let sent = call.set_entries(Some(batch.iter().map(|number| entry(*number)).collect())).send().await;
            assert!(sent.expect("sent").failed.is_empty());
        }
        let all_failed = async {
            while self.counted("orders-dlq", QueueAttributeName::ApproximateNumberOfMessages).await < total {
                let call = self.admin.sqs.receive_message().queue_url(&orders).max_number_of_messages(10);
                call.visibility_timeout(0).send().await.expect("received");
            }
        };
        tokio::time::timeout(Duration::from_mins(2), all_failed).await.expect("all of them fail");
    }

    /// Writes the job with the names of this test.
    fn job(&self, more: &str) {
        let mut job = JOB.to_owned();
        for (what, key) in [("orders-dlq", "queue"), ("audit", "queue"), ("archive", "bucket")] {
            let (from, to) = (format!("{key} = \"{what}\""), format!("{key} = \"{}\"", self.name(what)));
            assert!(job.contains(&from));
            job = job.replace(&from, &to);
        }
        std::fs::write(self.directory.path().join("job.toml"), job + more).expect("written");
    }

    /// Takes everything that can be received out of a queue, in the order in which it came.
    async fn drain(&self, what: &str) -> Vec<Message> {
        let (url, mut all, mut empty) = (self.url(what).await, Vec::new(), 0);
        while empty < 3 {
            let call = self.admin.sqs.receive_message().queue_url(&url).max_number_of_messages(10).wait_time_seconds(1);
            let call = call.message_attribute_names("All").visibility_timeout(300);
            let call = call.message_system_attribute_names(aws_sdk_sqs::types::MessageSystemAttributeName::All);
            let messages = call.send().await.expect("received").messages.unwrap_or_default();
            empty = if messages.is_empty() { empty + 1 } else { 0 };
            if !messages.is_empty() {
                let entries = messages.iter().enumerate().map(|(position, message)| {
                    let entry = DeleteMessageBatchRequestEntry::builder().id(position.to_string());
                    entry.set_receipt_handle(message.receipt_handle.clone()).build().expect("an entry")
                });
                let call = self.admin.sqs.delete_message_batch().queue_url(&url).set_entries(Some(entries.collect()));
                assert!(call.send().await.expect("deleted").failed.is_empty());
            }
            all.extend(messages);
        }
        all
    }

    async fn inventory(&self, what: &str) -> Inventory {
        count(self.drain(what).await.iter().map(content_of))
    }

    async fn archived(&self) -> Inventory {
        let bucket = self.name("archive");
        let listed = self.admin.s3.list_objects_v2().bucket(&bucket).send().await.expect("a list");
        let mut envelopes = Vec::new();
        for object in listed.contents.unwrap_or_default() {
            let got = self.admin.s3.get_object().bucket(&bucket).key(object.key.expect("a key")).send().await;
            let bytes = got.expect("an object").body.collect().await.expect("its content").into_bytes();
            envelopes.push(serde_json::from_slice::<Value>(&bytes).expect("JSON"));
        }
        count(envelopes.iter().map(content))
    }
}

fn entry(number: usize) -> SendMessageBatchRequestEntry {
    let seed = message(number);
    let attributes = seed.attributes.into_iter().map(|(name, attribute)| (name, value(attribute)));
    let entry = SendMessageBatchRequestEntry::builder().id(number.to_string()).message_body(seed.body);
    entry.set_message_attributes(Some(attributes.collect())).build().expect("an entry")
}

fn value(attribute: MessageAttribute) -> MessageAttributeValue {
    let binary = attribute.binary_value.map(|value| Blob::new(STANDARD.decode(value).expect("Base64")));
    MessageAttributeValue::builder()
        .data_type(attribute.data_type)
        .set_string_value(attribute.string_value)
        .set_binary_value(binary)
        .build()
        .expect("an attribute")
}

fn content_of(message: &Message) -> Content {
    let attributes = message.message_attributes.iter().flatten().map(|(name, attribute)| {
        let binary = attribute.binary_value.as_ref().map(|value| STANDARD.encode(value));
        let value = attribute.string_value.clone().or(binary).expect("a value");
        (name.clone(), format!("{}:{value}", attribute.data_type))
    });
    (message.body.clone().expect("a body"), attributes.collect())
}

async fn the_main_job_is_planned_applied_and_reported(bench: Bench) {
    const TOTAL: usize = 120;
    bench.with_failed_messages(TOTAL).await;
    bench.job("");
    bench.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let visible = QueueAttributeName::ApproximateNumberOfMessages;
    assert_eq!(bench.counted("orders-dlq", visible).await, TOTAL, "the sample is given back");

    let summary = bench.applied().await;
    assert_adds_up(&summary);
    assert_eq!((&summary["received"], &summary["in_doubt"]), (&Value::from(TOTAL), &Value::from(0)), "{summary}");
    let in_flight = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    assert_eq!(bench.counted("orders-dlq", in_flight).await, 0, "what stays is visible again");
    for queue in ["orders", "audit", "orders-dlq"] {
        let found = bench.inventory(queue).await;
        assert_eq!(differences(&found, &expected_at(queue, TOTAL)), Vec::<String>::new(), "{queue}");
    }
    assert_eq!(differences(&bench.archived().await, &expected_at("archive", TOTAL)), Vec::<String>::new(), "archive");

    let report = bench.redrive(&["report", "--format", "json"]).await.expect(0);
    let report: Value = serde_json::from_str(&report.stdout).expect("JSON");
    for figure in ["run", "moved", "archived", "kept", "requests"] {
        assert_eq!(report[figure], summary[figure], "{figure}");
    }
}

async fn a_run_that_is_killed_is_resumed_and_loses_nothing(bench: Bench) {
    const TOTAL: usize = 120;
    bench.with_failed_messages(TOTAL).await;
    // Slow enough for the kills to fall into the work.
    bench.job("\n[limits]\nrate = \"40/s\"\n");
    bench.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    for moved in [1, 15] {
        let mut child = bench.spawn(&["apply", "plan.json"]);
        let under_way = async {
            while bench.counted("audit", QueueAttributeName::ApproximateNumberOfMessages).await < moved {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), under_way).await.expect("something arrives");
        assert!(child.try_wait().expect("its state").is_none(), "it is in the midst of it");
        child.kill().await.expect("killed");
    }
    let summary = bench.applied().await;
    assert_adds_up(&summary);
    assert_eq!((&summary["received"], &summary["unfinished"]), (&Value::from(TOTAL), &Value::from(0)), "{summary}");

    let mut surplus = 0;
    for queue in ["orders", "audit"] {
        let (found, expected) = (bench.inventory(queue).await, expected_at(queue, TOTAL));
        for (content, number) in &expected {
            assert!(found.get(content).is_some_and(|found| found >= number), "lost: {content:?}");
        }
        assert_eq!(found.len(), expected.len(), "nothing that does not belong in {queue}");
        surplus += found.values().sum::<usize>() - expected.values().sum::<usize>();
    }
    let in_doubt = summary["in_doubt"].as_u64().expect("in_doubt");
    assert!(surplus as u64 <= in_doubt, "{surplus} arrived twice, {in_doubt} are listed as in doubt");
    assert_eq!(bench.inventory("orders-dlq").await, expected_at("orders-dlq", TOTAL));
    assert_eq!(bench.archived().await, expected_at("archive", TOTAL));
}

async fn groups_of_a_fifo_queue_arrive_in_their_order(bench: Bench) {
    const GROUPS: usize = 5;
    const EACH: usize = 12;
    let fifo = [(QueueAttributeName::FifoQueue, "true")];
    let source = bench.admin.queue(&bench.name("in.fifo"), &fifo).await;
    bench.admin.queue(&bench.name("out.fifo"), &fifo).await;
    for round in 0..EACH {
        let entries = (0..GROUPS).map(|group| {
            let entry = SendMessageBatchRequestEntry::builder().id(group.to_string()).message_body(round.to_string());
            let entry = entry.message_group_id(format!("group-{group}"));
            entry.message_deduplication_id(format!("{group}-{round}")).build().expect("an entry")
        });
        let call = bench.admin.sqs.send_message_batch().queue_url(&source).set_entries(Some(entries.collect()));
        assert!(call.send().await.expect("sent").failed.is_empty());
    }
    let job = format!(
        "version = 1\nname = \"fifo\"\n[source]\nqueue = \"{}\"\n[destination.out]\nsqs = {{ queue = \"{}\" }}\n\
         [unmatched]\nto = \"out\"\n",
        bench.name("in.fifo"),
        bench.name("out.fifo")
    );
    std::fs::write(bench.directory.path().join("job.toml"), job).expect("written");
    bench.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let summary = bench.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!(summary["moved"], GROUPS * EACH, "{summary}");

    let mut arrived: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for message in bench.drain("out.fifo").await {
        let system = message.attributes.expect("system attributes");
        let group = &system[&aws_sdk_sqs::types::MessageSystemAttributeName::MessageGroupId];
        arrived.entry(group.clone()).or_default().push(message.body.expect("a body").parse().expect("a number"));
    }
    let expected: BTreeMap<String, Vec<usize>> =
        (0..GROUPS).map(|group| (format!("group-{group}"), (0..EACH).collect())).collect();
    assert_eq!(arrived, expected);
    assert_eq!(bench.drain("in.fifo").await.len(), 0);
}
