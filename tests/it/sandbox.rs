//! `redrive sandbox` as a process of its own: its options, what it prints, how it ends, and a rehearsal on copies, as
//! `docs/howto/rehearse.md` has it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::error::ProvideErrorMetadata as _;
use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Name};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sqs_sandbox::MessageAttribute;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::support::stage::{Stage, failed};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running `redrive sandbox`, and what it printed.
struct Served {
    child: Child,
    lines: Vec<String>,
    _rest: Lines<BufReader<ChildStdout>>,
}

impl Served {
    /// Starts one on a free port, and waits for a line that begins so: the last one that is of interest.
    async fn start(arguments: &[&str], last: &str) -> Self {
        let mut child = program(arguments).spawn().unwrap();
        let mut rest = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = Vec::new();
        loop {
            let line = tokio::time::timeout(PATIENCE, rest.next_line()).await.expect("a line").unwrap();
            lines.push(line.unwrap_or_else(|| panic!("it ended after {lines:?}")));
            if lines.last().is_some_and(|line| line.starts_with(last)) {
                return Self { child, lines, _rest: rest };
            }
        }
    }

    /// The variables that it told to set.
    fn environment(&self) -> BTreeMap<&str, &str> {
        let exports = self.lines.iter().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        exports.collect()
    }

    fn client(&self, access_key: &str, secret_key: &str) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .endpoint_url(self.environment()["AWS_ENDPOINT_URL"])
            .retry_config(RetryConfig::disabled())
            .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"));
        aws_sdk_sqs::Client::from_conf(config.build())
    }
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redrive"));
    command.args(["sandbox", "--port", "0"]).args(arguments);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

#[tokio::test]
async fn what_would_be_a_mistake_is_refused_before_anything_is_started() {
    for (arguments, words) in [
        (&["--address", "0.0.0.0"][..], "--expose"),
        (&["--address", "::"], "--expose"),
        (&["--fault", "*:throttled"], "latency=MS"),
        (&["--fault", r#"{"fault":{"kill":{"pid":4711}}}"#], "--allow-signals"),
        (&["--load", "orders-dlq"], "--load orders-dlq=messages.json"),
        (&["--load", "orders-dlq=/nowhere/messages.json"], "/nowhere/messages.json"),
        (&["--scenario", "shop"], "orders"),
        (&["--short-poll-miss", "NaN"], "from 0 to 1"),
        (&["--short-poll-miss", "1.5"], "from 0 to 1"),
        (&["--access-key", "AK"], "--secret-key"),
        (&["--account", "12"], "12 digits"),
    ] {
        let ended = tokio::time::timeout(PATIENCE, program(arguments).output()).await;
        let output = ended.unwrap_or_else(|_| panic!("{arguments:?} was served")).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
}

#[tokio::test]
async fn faults_signatures_and_limits_are_options() {
    let directory = tempfile::tempdir().unwrap();
    let buckets = directory.path().join("buckets");
    let arguments = [
        "--scenario",
        "empty",
        "--account",
        "123456789012",
        "--region",
        "eu-central-1",
        "--in-flight-limit",
        "1",
        "--access-key",
        "AKIDSANDBOX",
        "--secret-key",
        "s3cret",
        "--buckets",
        buckets.to_str().unwrap(),
        "--fault",
        "SendMessage/orders:throttle:#2",
        "--fault",
        r#"{"action":"PurgeQueue","fault":"access_denied"}"#,
    ];
    let served = Served::start(&arguments, r#"fault {"action":"PurgeQueue""#).await;
    let environment = served.environment();
    assert_eq!(environment["AWS_ACCESS_KEY_ID"], "AKIDSANDBOX");
    assert_eq!(environment["AWS_SECRET_ACCESS_KEY"], "s3cret");
    assert_eq!(environment["AWS_REGION"], "eu-central-1");
    assert!(served.lines[0].contains(buckets.to_str().unwrap()) && buckets.is_dir(), "{}", served.lines[0]);

    let sqs = served.client("AKIDSANDBOX", "s3cret");
    let url = sqs.create_queue().queue_name("orders").send().await.unwrap().queue_url.unwrap();
    assert!(url.ends_with("/123456789012/orders"), "{url}");
    let forged = served.client("AKIDSANDBOX", "wrong").list_queues().send().await.unwrap_err();
    assert_eq!(forged.code(), Some("SignatureDoesNotMatch"));
    let send = || sqs.send_message().queue_url(&url).message_body("x").send();
    send().await.unwrap();
    assert_eq!(send().await.unwrap_err().code(), Some("RequestThrottled"));
    send().await.unwrap();
    assert_eq!(sqs.purge_queue().queue_url(&url).send().await.unwrap_err().code(), Some("AccessDenied"));
    let receive = || sqs.receive_message().queue_url(&url).wait_time_seconds(5).send();
    receive().await.unwrap();
    assert!(receive().await.unwrap_err().into_service_error().is_over_limit());
}

#[tokio::test]
async fn a_file_without_messages_is_said_to_be_one() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [("empty", ""), ("blank", "\n"), ("none", "{\"Messages\":[]}"), ("answer", "{}")] {
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        let load = format!("orders-dlq={}", file.display());
        let arguments = ["--scenario", "empty", "--load", &load];
        let mut served = Served::start(&arguments, "queue orders-dlq: 0 messages").await;
        served.child.start_kill().unwrap();
        let mut told = String::new();
        served.child.stderr.take().unwrap().read_to_string(&mut told).await.unwrap();
        assert!(told.contains("holds no messages") && told.contains("nothing was put into it"), "{name}: {told}");
    }
}

#[tokio::test]
async fn short_polls_can_be_made_to_miss() {
    let served = Served::start(&["--short-poll-miss", "1"], "bucket ").await;
    let sqs = served.client("sandbox", "sandbox");
    let url = sqs.get_queue_url().queue_name("orders-dlq").send().await.unwrap().queue_url.unwrap();
    let receive = || sqs.receive_message().queue_url(&url);
    assert!(receive().send().await.unwrap().messages.is_none(), "a short poll asks nobody then");
    assert!(receive().wait_time_seconds(20).send().await.unwrap().messages.is_some(), "a long one asks all");
}

#[cfg(unix)]
#[tokio::test]
async fn it_ends_in_order_when_it_is_told_to() {
    for signal in ["-TERM", "-INT"] {
        let mut served = Served::start(&[], "bucket ").await;
        let id = served.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
        let ended = tokio::time::timeout(PATIENCE, served.child.wait()).await.expect("it ends").unwrap();
        assert_eq!(ended.code(), Some(0), "{signal}");
    }
}

/// What `aws sqs receive-message` prints of what is in a queue: ten messages a document.
async fn copied(stage: &Stage, queue: &str) -> String {
    let sqs = crate::support::admin::Admin::at(&stage.sandbox.endpoint_url()).sqs;
    let url = sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
    let mut documents = String::new();
    loop {
        let receive = sqs.receive_message().queue_url(&url).max_number_of_messages(10).wait_time_seconds(1);
        let receive = receive.message_attribute_names("All").message_system_attribute_names(System::All);
        let messages = receive.send().await.unwrap().messages.unwrap_or_default();
        if messages.is_empty() {
            return documents;
        }
        let shown: Vec<Value> = messages.iter().map(shown).collect();
        documents.push_str(&serde_json::to_string_pretty(&json!({ "Messages": shown })).unwrap());
        documents.push('\n');
    }
}

fn shown(message: &aws_sdk_sqs::types::Message) -> Value {
    let system = message.attributes.iter().flatten().map(|(name, value)| (name.as_str().to_owned(), json!(value)));
    let attributes = message.message_attributes.iter().flatten().map(|(name, attribute)| {
        let mut value = json!({"DataType": attribute.data_type});
        if let Some(text) = &attribute.string_value {
            value["StringValue"] = json!(text);
        }
        if let Some(bytes) = &attribute.binary_value {
            value["BinaryValue"] = json!(BASE64_STANDARD.encode(bytes));
        }
        (name.clone(), value)
    });
    json!({
        "MessageId": message.message_id,
        "ReceiptHandle": message.receipt_handle,
        "MD5OfBody": message.md5_of_body,
        "Body": message.body,
        "Attributes": system.collect::<serde_json::Map<_, _>>(),
        "MessageAttributes": attributes.collect::<serde_json::Map<_, _>>(),
    })
}

#[tokio::test]
async fn a_job_is_rehearsed_on_copies() {
    let production = Stage::with_queues().await;
    let seeds = (0..25).map(|number| {
        let error = ["Timeout", "Invalid"][number % 2];
        let seed = failed(json!({"order": number, "error": {"type": error}}).to_string());
        let seed = seed.attribute("tenant", MessageAttribute::string("eu-1"));
        seed.attribute("picture", MessageAttribute::binary(&[0, 255, 7], Some("png")))
    });
    production.sandbox.seed("orders-dlq", seeds).unwrap();
    let before = production.inventory("orders-dlq");
    let copies = copied(&production, "orders-dlq").await;
    production.file("copies.json", &copies);
    production.sandbox.clear_log();

    let load = format!("orders-dlq={}", production.path("copies.json").display());
    let served = Served::start(&["--scenario", "empty", "--load", &load], "queue orders-dlq").await;
    assert!(served.lines.last().unwrap().starts_with("queue orders-dlq: 25 messages from "), "{:?}", served.lines);
    let sqs = served.client("sandbox", "sandbox");
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:orders-dlq","maxReceiveCount":3}"#;
    let orders = sqs.create_queue().queue_name("orders").attributes(Name::RedrivePolicy, policy).send().await.unwrap();

    production.file(
        "job.toml",
        "version = 1\nname = \"rehearsed\"\n[source]\nqueue = \"orders-dlq\"\n[[rule]]\nname = \"timeouts\"\n\
         when = [{ body = \"$.error.type\", equals = \"Timeout\" }]\nto = \"origin\"\n",
    );
    let environment: Vec<(&str, &str)> = served.environment().into_iter().collect();
    let rehearse = async |arguments: &[&str]| {
        let all = [&["--journal", "rehearsal.db"], arguments].concat();
        production.redrive_with(&all, &environment).await
    };
    rehearse(&["plan", "job.toml", "--out", "rehearsal.json"]).await.expect(0);
    let ran = rehearse(&["apply", "rehearsal.json", "--format", "json"]).await.expect(0);
    assert_eq!((ran.summary()["moved"].to_string(), ran.summary()["kept"].to_string()), ("13".into(), "12".into()));
    let counts = sqs.get_queue_attributes().queue_url(orders.queue_url.unwrap()).attribute_names(Name::All);
    let counts = counts.send().await.unwrap().attributes.unwrap();
    assert_eq!(counts[&Name::ApproximateNumberOfMessages], "13");

    assert_eq!(production.sqs_requests(), 0, "production was asked for something");
    assert_eq!(production.inventory("orders-dlq"), before);
    let refused = production.redrive(&["apply", "rehearsal.json"]).await.expect(4);
    assert!(refused.stderr.contains("orders-dlq"), "{}", refused.stderr);
    assert_eq!(production.inventory("orders-dlq"), before);
}
