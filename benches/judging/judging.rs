//! Judging alone, on one core: 100,000 messages of 1 KB of JSON, a rule of ten conditions that all hold, and three transforms.
//!
//! `cargo bench --manifest-path benches/judging/Cargo.toml`. Three figures, each of which holds the one before: `parse` reads
//! the bodies, `match` asks the conditions as well, `judge` is all that apply does with a message before it is sent.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use redrive_protocol::message::{Attribute, Attributes, Message, MessageId, SystemAttributes};
use redrive_protocol::queue::{Counts, QueueAttributes};
use redrive_protocol::target::{Target, TargetKind};
use redrive_rules::job;
use redrive_rules::rule::{Decision, Rules, Setting, is_json};
use rustix::time::{ClockId, clock_gettime};

const MESSAGES: u64 = 100_000;

/// Messages made at once, so that the memory for them does not count.
const CHUNK: u64 = 1_000;

const JOB: &str = r#"
version = 1
name = "judging"
[source]
queue = "orders-dlq"
[destination.orders]
sqs = { queue = "orders" }
[[rule]]
name = "ten conditions"
when = [
  { body = "$.error.type", any_of = ["Timeout", "ConnectionReset"] },
  { body = "$.order.total", lt = 1000 },
  { body = "$.order.items[*].sku", prefix = "sku-" },
  { body = "$.customer.email", suffix = "@example.com" },
  { body = "$.error.message", contains = "gateway" },
  { body = "$.trace.spans[?@.ms > 40]", exists = true },
  { body = "$.debug.attempt", gte = 1, lt = 10 },
  { attribute = "tenant", prefix = "eu-" },
  { system = "SentTimestamp", older_than = "1h" },
  { message = "text", regex = "Timeout|ConnectionReset" },
]
TRANSFORM
to = "DESTINATION"
"#;

const TRANSFORM: &str = r#"transform = [
  { set = "$.replayed_by", value = "INC-4711" },
  { remove = "$.debug" },
  { set_attribute = "origin", value = "{source_queue}" },
]"#;

fn rules(transform: &str, destination: &str) -> Rules {
    let text = JOB.replace("TRANSFORM", transform).replace("DESTINATION", destination);
    let job = job::load("judging.toml", &text).unwrap_or_else(|errors| panic!("{errors}"));
    Rules::compile(&job.job).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn setting() -> Setting {
    let queue = QueueAttributes {
        arn: "arn:aws:sqs:eu-west-1:000000000000:orders".to_owned(),
        url: "https://sqs.eu-west-1.amazonaws.com/000000000000/orders".to_owned(),
        fifo: false,
        created: None,
        redrive_policy: None,
        redrive_allow_policy: None,
        maximum_message_size: 1_048_576,
        message_retention_seconds: 1_209_600,
        visibility_timeout_seconds: 30,
        kms_key: None,
        content_based_deduplication: false,
        counts: Counts::default(),
    };
    let now = "2026-11-22T00:00:00Z".parse().expect("a time");
    Setting {
        now,
        sent_before: now,
        sent_after: None,
        run: "0123456789ab".to_owned(),
        source_arn: "arn:aws:sqs:eu-west-1:000000000000:orders-dlq".to_owned(),
        targets: vec![Target {
            destination: "orders".to_owned(),
            kind: TargetKind::Sqs,
            queue: Some(queue),
            location: None,
        }],
    }
}

/// A message with a body of 1,024 bytes.
fn message(number: u64) -> Message {
    let mut body = format!(
        r#"{{"event_id":"evt-{number:012}","order":{{"id":{id},"currency":"EUR","total":{total}.50,"items":[{{"sku":"sku-{number:06}","quantity":2,"price":19.90}},{{"sku":"sku-100200","quantity":1,"price":5.25}},{{"sku":"sku-300400","quantity":12,"price":0.99}}]}},"customer":{{"id":"c-{number:08}","email":"customer{number}@example.com","address":{{"street":"Rue de l'Exemple 12","city":"Li\u00e8ge","zip":"4000","country":"BE"}}}},"error":{{"type":"Timeout","message":"the payment gateway did not answer within 30 s","code":504,"retryable":true}},"trace":{{"id":"1-5f84c7a3-{number:024x}","spans":[{{"name":"receive","ms":3}},{{"name":"authorize","ms":30012}},{{"name":"rollback","ms":41}}]}},"flags":[true,false,null,true],"debug":{{"attempt":3,"host":"worker-{host}","stack":["a.b.C.run(C.java:10)","a.b.D.call(D.java:77)"]}},"note":""#,
        id = 10_000_000_000 + number,
        total = number % 900,
        host = number % 64,
    );
    body += &"x".repeat(1024 - 2 - body.len());
    body += "\"}";
    let system = [("SentTimestamp", "1790000000000"), ("ApproximateReceiveCount", "4")];
    Message {
        id: MessageId::new(format!("{number:08x}-0ea4-451a-a703-a558b933e274")),
        body,
        attributes: Attributes::from([("tenant".to_owned(), Attribute::string("eu-1"))]),
        system: SystemAttributes(system.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        payload: None,
    }
}

/// The processor time of this thread: what others do on the machine does not count.
fn spent() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("a time")
}

/// The processor time that `judge` takes over all messages, so many times; making them does not count.
fn time(times: u64, mut judge: impl FnMut(Message)) -> Duration {
    let mut sum = Duration::ZERO;
    for chunk in 0..times * MESSAGES / CHUNK {
        let messages: Vec<_> = (0..CHUNK).map(|number| message(chunk % (MESSAGES / CHUNK) * CHUNK + number)).collect();
        let begun = spent();
        messages.into_iter().for_each(&mut judge);
        sum += spent() - begun;
    }
    sum
}

fn judging(criterion: &mut Criterion) {
    let setting = setting();
    let (matching, whole) = (rules("", "keep"), rules(TRANSFORM, "orders"));
    assert_eq!(message(7).body.len(), 1024);
    assert!(matches!(
        matching.judge(message(1), &setting).decision,
        Decision::Keep(redrive_protocol::target::Reason::RuleKeeps)
    ));
    assert!(matches!(whole.judge(message(1), &setting).decision, Decision::Send { .. }));
    let mut group = criterion.benchmark_group("judging");
    group.throughput(Throughput::Elements(MESSAGES)).sample_size(10);
    group.bench_function("parse", |bencher| {
        bencher.iter_custom(|times| time(times, |message| assert!(is_json(black_box(&message.body)))));
    });
    for (name, rules) in [("match", &matching), ("judge", &whole)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| time(times, |message| drop(black_box(rules.judge(message, &setting)))));
        });
    }
    group.finish();
}

criterion_group!(benches, judging);
criterion_main!(benches);
