//! The language of jobs, whole: the how-to's jq programs, random messages through a rule without transforms, every reason that
//! a plan can give for a message it blocks, and `explain`.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use redrive_protocol::message::{Attributes, Message, MessageId, SystemAttributes};
use redrive_protocol::target::{Reason, Target, TargetKind};
use redrive_rules::job::load;
use redrive_rules::rule::{Decision, Rules, Setting};
use serde_json::Value;
use sqs_sandbox::{MessageAttribute, Seed};

use crate::end_to_end::differences;
use crate::support::stage::{Stage, count, failed, shown};

/// The cells of the table's lines: what for, program, body, and what it yields.
fn lines() -> Vec<[String; 4]> {
    let page = include_str!("../../docs/howto/jq.md");
    let table = page.split("## Twenty programs").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the table");
    let cells = |line: &str| {
        let line = line.replace("\\|", "\u{0}");
        let cells: Vec<_> = line.trim_matches('|').split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect();
        cells.try_into().expect("four cells")
    };
    table.lines().filter(|line| line.starts_with("| ")).skip(1).map(cells).collect()
}

#[test]
fn every_program_of_the_how_to_yields_what_it_says() {
    let lines = lines();
    assert_eq!(lines.len(), 20);
    for [what, program, body, expected] in lines {
        let code =
            |cell: &str| cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).expect("code").to_owned();
        let job = format!(
            "version = 1\nname = \"howto\"\n[source]\nqueue = \"orders-dlq\"\n[destination.file]\nfile = {{ path = \"x.jsonl\" }}\n\
             [[rule]]\nname = \"r\"\nwhen = [{{ message = \"is_json\", equals = true }}]\ntransform = [{{ jq = '''{}''' }}]\nto = \"file\"\n",
            code(&program)
        );
        let job = load("howto", &job).unwrap_or_else(|errors| panic!("{what}: {errors}")).job;
        let rules = Rules::compile(&job).unwrap_or_else(|problems| panic!("{what}: {problems:?}"));
        let message = Message {
            id: MessageId::new("5fea7756-0ea4-451a-a703-a558b933e274"),
            body: code(&body),
            attributes: Attributes::new(),
            system: SystemAttributes::default(),
            payload: None,
        };
        let now = "2026-11-22T00:00:00Z".parse().expect("a time");
        let target = Target { destination: "file".to_owned(), kind: TargetKind::File, queue: None, location: None };
        let setting = Setting {
            now,
            sent_before: now,
            sent_after: None,
            run: "r".to_owned(),
            source_arn: "arn:aws:sqs:eu-west-1:123456789012:orders-dlq".to_owned(),
            targets: vec![target],
        };
        match rules.judge(message, &setting).decision {
            Decision::Archive { envelope, .. } => {
                let envelope: serde_json::Value = serde_json::from_str(&envelope).expect("an envelope");
                assert_eq!(envelope["body"], code(&expected), "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// A message as SQS takes one: any text, and up to three attributes of any type.
pub(crate) fn any_message() -> impl Strategy<Value = (String, BTreeMap<String, MessageAttribute>)> {
    let body = prop_oneof![
        "[\\t\\n\\r -~é\u{1f600}]{1,200}",
        r#"\{"[a-c]{1,3}": ?(-?[0-9]{1,25}|[0-9]\.[0-9]0|1e400|-0|"[a-z\\\\/é]{0,9}"|\[ ?\]), ?"a": null\}"#,
    ];
    let text = prop_oneof!["[ -~é]{1,40}", "[a-z]{1,5}"].prop_map(|text| MessageAttribute::string(&text));
    let number = "-?[0-9]{1,20}(\\.[0-9]{1,4})?".prop_map(|text| MessageAttribute::number(&text));
    let binary =
        prop::collection::vec(any::<u8>(), 1..40).prop_map(|bytes| MessageAttribute::binary(&bytes, Some("x")));
    let labelled = "[a-z]{1,5}"
        .prop_map(|text| MessageAttribute { data_type: "String.x.y".into(), ..MessageAttribute::string(&text) });
    let attribute = prop_oneof![text, number, binary, labelled];
    (body, prop::collection::btree_map("[a-zA-Z][a-z0-9_-]{0,9}", attribute, 0..4))
}

/// Ten thousand of them, the same each time.
#[tokio::test(flavor = "multi_thread")]
async fn random_messages_arrive_as_they_were_where_no_transform_is() {
    const TOTAL: usize = 10_000;
    let stage = Stage::with_queues().await;
    let (mut runner, any_message) = (TestRunner::deterministic(), any_message());
    let mut next = || {
        let (body, attributes) = any_message.new_tree(&mut runner).expect("a message").current();
        Seed { attributes, ..failed(body) }
    };
    let seeds: Vec<Seed> = (0..TOTAL).map(|_| next()).collect();
    let expected = count(seeds.iter().map(|seed| {
        let attributes = seed.attributes.iter().map(|(name, attribute)| (name.clone(), shown(attribute)));
        (seed.body.clone(), attributes.collect())
    }));
    stage.sandbox.seed("orders-dlq", seeds).expect("seeded");
    stage.file(
        "job.toml",
        "version = 1\nname = \"all\"\n[source]\nqueue = \"orders-dlq\"\n[[rule]]\nname = \"all\"\n\
         when = [{ not = { body = \"$..a[?@.x]\", equals = \"none\" } }]\nto = \"origin\"\n",
    );
    stage.redrive(&["apply", "job.toml", "--auto-approve", "--sample", "all"]).await.expect(0);
    assert_eq!(differences(&stage.inventory("orders"), &expected), Vec::<String>::new());
}

/// One message for each reason, beside what the job does with its kind.
const BLOCKED: &[(&str, &str, &str)] = &[
    ("not_json", "plain", r#"{ set = "$.a", value = 1 }"#),
    ("no_such_path", "{}", r#"{ remove = "$.a" }"#),
    ("place_taken", r#"{"a":1,"b":2}"#, r#"{ rename = "$.a", to = "$.b" }"#),
    ("duplicate_keys", r#"{"a":1,"a":2}"#, r#"{ set = "$.a", value = 1 }"#),
    ("duplicate_keys", r#"{"b":1,"b":2,"a":1}"#, r#"{ jq = ".a = 2" }"#),
    ("no_value", "{}", r#"{ jq = "empty" }"#),
    ("several_values", "{}", r#"{ jq = "1, 2" }"#),
    ("transform_failed", r#"{"a":"secret"}"#, r#"{ jq = ".a.b" }"#),
    ("jq_gave_up", "{}", r#"{ jq = "def f: f; f" }"#),
    ("too_large", r#"{"a":1}"#, r#"{ jq = "reduce range(11) as $i (\"x\"; . + .)" }"#),
    ("empty_body", r#"{"a":""}"#, r#"{ unwrap = "$.a" }"#),
    ("forbidden_characters", r#"{"a":"\u0001"}"#, r#"{ unwrap = "$.a" }"#),
    ("too_many_attributes", "{}", r#"{ set_attribute = "n", value = 1 }"#),
    ("counter_unreadable", "{}", ""),
    ("origin_missing", "{}", ""),
    ("origin_not_in_plan", "{}", ""),
    ("group_missing", "{}", ""),
    ("not_wrapped", "{}", r#"{ unwrap = "sns" }"#),
    ("payload_unreadable", NOWHERE, r#"{ set = "$.a", value = 1 }"#),
];

/// Where no object is.
const NOWHERE: &str =
    r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"archive","s3Key":"none"}]"#;

fn rule_of(kind: usize, transform: &str, to: &str) -> String {
    format!(
        "[[rule]]\nname = \"{kind}\"\nwhen = [{{ attribute = \"kind\", equals = \"{kind}\" }}]\ntransform = [{transform}]\nto = \"{to}\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_blocked_in_the_plan_by_reason_and_with_an_example() {
    let stage = Stage::with_queues().await;
    stage.queue("small", &[("MaximumMessageSize", "1024")]);
    let groups = stage.queue("groups.fifo", &[("FifoQueue", "true")]);
    let mut job = "version = 1\nname = \"blocked\"\n[source]\nqueue = \"orders-dlq\"\nextended_client = true\n\
         [destination.small]\nsqs = { queue = \"small\" }\n\
         [retry]\nattribute = \"retryCount\"\nmax = 3\nexhausted = \"keep\"\n"
        .to_owned();
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for (kind, (reason, body, transform)) in BLOCKED.iter().enumerate() {
        let to = match *reason {
            "origin_missing" | "origin_not_in_plan" | "group_missing" => "origin",
            _ => "small",
        };
        job.push_str(&rule_of(kind, transform, to));
        let mut seed =
            Seed { age_ms: 60_000, ..Seed::new(*body) }.attribute("kind", MessageAttribute::string(kind.to_string()));
        match *reason {
            "too_many_attributes" => {
                for n in 0..9 {
                    seed = seed.attribute(&format!("a{n}"), MessageAttribute::string("x"));
                }
            }
            "counter_unreadable" => seed = seed.attribute("retryCount", MessageAttribute::string("x")),
            "origin_not_in_plan" => seed.source_arn = Some("arn:aws:sqs:eu-west-1:000000000000:gone".to_owned()),
            "payload_unreadable" => seed = seed.attribute("ExtendedPayloadSize", MessageAttribute::number("9")),
            // Where not one message of a rule has a group the plan is refused.
            "group_missing" => {
                seed.source_arn = Some(groups.clone());
                let grouped = Seed { group: Some("g".to_owned()), ..seed.clone() };
                stage.sandbox.seed("orders-dlq", [grouped]).expect("seeded");
            }
            _ => {}
        }
        stage.sandbox.seed("orders-dlq", [seed]).expect("seeded");
        *expected.entry((*reason).to_owned()).or_default() += 1;
    }
    stage.file("job.toml", &job);
    let ran = stage.redrive(&["plan", "job.toml", "--format", "json", "--out", "plan.json"]).await.expect(0);
    let plan =
        redrive::plan::parse(&std::fs::read(stage.path("plan.json")).expect("a plan"), "plan.json").expect("a plan");
    let (mut found, mut sent): (BTreeMap<String, u64>, u64) = (BTreeMap::new(), 0);
    for outcome in plan.rules.iter().flat_map(|rule| &rule.outcomes) {
        match outcome.outcome {
            redrive::plan::Outcome::Blocked(reason) => {
                *found.entry(reason.code().to_owned()).or_default() += outcome.estimate.sampled;
            }
            redrive::plan::Outcome::To(_) => sent += outcome.estimate.sampled,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((found, sent), (expected.clone(), 1));
    // An attribute without a value cannot be sent here; an ID that SQS refuses needs a FIFO destination. Units hold both.
    let elsewhere = [Reason::EmptyAttribute, Reason::IdRefused];
    let blocking = Reason::ALL.iter().filter(|reason| matches!(**reason as u8, 20..40) && !elsewhere.contains(reason));
    let blocking = blocking.map(|reason| reason.code());
    assert_eq!(expected.keys().map(String::as_str).collect::<BTreeSet<_>>(), blocking.collect(), "every one there is");
    assert_eq!(plan.examples.len(), BLOCKED.len() + 1, "an example of each");
    assert!(plan.examples.iter().all(|example| !example.detail.as_deref().unwrap_or_default().contains("secret")));
    drop(ran);
    let ran = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6);
    assert_eq!((&ran.summary()["blocked"], &ran.summary()["moved"]), (&BLOCKED.len().into(), &1.into()));
    assert_eq!(stage.counts("small"), (0, 0));
}

const EXPLAINED: &str = r#"
version = 1
name = "explained"
[source]
queue = "orders-dlq"
[destination.audit]
sqs = { queue = "audit" }
[destination.archive]
s3 = { bucket = "archive", key = "{message_id}.json" }
[[rule]]
name = "late"
when = [
  { body = "$.error", any_of = ["Timeout"] },
  { any = [{ body = "$.total", lt = 1000 }, { attribute = "tenant", prefix = "eu-" }] },
  { jq = ".items | length > 1" },
  { body = "$.customer.email", suffix = "@example.com" },
]
to = "keep"
[[rule]]
name = "timeouts"
when = [{ body = "$.error", equals = "Timeout" }]
transform = [{ set = "$.replayed", value = true }, { remove = "$.debug" }]
to = "audit"
[unmatched]
to = "archive"
[report]
redact = ["$.customer.email"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_for_each_condition_what_it_found() {
    let stage = Stage::with_queues().await;
    stage.file("job.toml", EXPLAINED);
    let body = r#"{"error":"Timeout","total":"12","items":[1],"customer":{"email":"a@b.c"},"debug":"\u001b[2J"}"#;
    stage.file("body.json", body);
    let ran = stage.redrive(&["explain", "job.toml", "--message", "body.json", "--attribute", "tenant=us-1"]).await;
    insta::assert_snapshot!(ran.expect(0).stdout);
    let ran = stage.redrive(&["explain", "job.toml", "--message", "body.json", "--format", "json"]).await.expect(0);
    let explained: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((&explained["type"], &explained["version"]), (&"explanation".into(), &1.into()));
    assert_eq!(
        (&explained["rule"], &explained["outcome"], &explained["to"]),
        (&"timeouts".into(), &"send".into(), &"audit".into())
    );
    assert!(!ran.stdout.contains("a@b.c"), "redacted");

    stage.sandbox.seed("orders-dlq", [failed(body), failed("plain")]).expect("seeded");
    let ran = stage.redrive(&["explain", "job.toml", "--from-queue", "5", "--format", "json"]).await.expect(0);
    assert_eq!(ran.stdout.lines().count(), 2);
    assert_eq!(stage.counts("orders-dlq"), (2, 2), "given back at once");
    assert_eq!(stage.requests("SendMessageBatch") + stage.requests("DeleteMessageBatch"), 0);

    // What an archive holds is a message again.
    stage.file(
        "archive.toml",
        &EXPLAINED.replace("to = \"audit\"", "to = \"archive\"").replace("{ remove = \"$.debug\" }", ""),
    );
    stage.redrive(&["apply", "archive.toml", "--auto-approve"]).await.expect(0);
    let lines: Vec<_> = stage.envelopes("archive").iter().map(Value::to_string).collect();
    stage.file("archived.jsonl", &lines.join("\n"));
    let ran =
        stage.redrive(&["explain", "job.toml", "--message", "archived.jsonl", "--format", "json"]).await.expect(0);
    assert_eq!(ran.stdout.lines().count(), 2);
    stage.redrive(&["explain", "job.toml", "--message", "archived.jsonl", "--attribute", "a=b"]).await.expect(2);
    stage.redrive(&["explain", "job.toml"]).await.expect(2);
}
