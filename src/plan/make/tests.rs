//! Plans of whole jobs against queues in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use redrive_protocol::message::{Attribute, Message};
use redrive_protocol::target::{Reason, RuleId, TargetId};

use super::super::fake::{FakeQueue, at, attributes, call_error, message, redrives_to};
use super::super::file::to_text;
use super::super::origins::tests::Fakes;
use super::super::{HazardCode, Outcome, RuleFigures};
use std::time::Duration;

use super::*;
use crate::exit::Exit;
use crate::sqs::{CallError, Fault, QueueAttributes};
use crate::store::{NewObject, Put};

mod coverage;

const JOB: &str = r#"
version = 1
name = "orders-dlq"
allow_drop = true
[source]
queue = "orders-dlq"
[destination.archive]
s3 = { bucket = "redrive-archive", key = "{date}/{message_id}.json" }
[destination.parking]
sqs = { queue = "parking" }
[retry]
attribute = "retryCount"
max = 3
exhausted = "archive"
[[rule]]
name = "timeouts"
when = [{ body = "$.error", equals = "Timeout" }]
transform = [{ set = "$.replayed_by", value = "INC-1" }, { remove = "$.debug" }]
to = "origin"
[[rule]]
name = "test data"
when = [{ body = "$.test", equals = true }]
to = "drop"
[[rule]]
name = "never"
when = [{ body = "$.nothing", exists = true }]
to = "parking"
[report]
redact = ["$.email"]
redact_attributes = ["secret"]
"#;

#[derive(Debug)]
struct FakeBucket(Option<Fault>);

#[async_trait]
impl Bucket for FakeBucket {
    fn name(&self) -> &'static str {
        "redrive-archive"
    }

    async fn check(&self) -> Result<(), CallError> {
        self.0.map_or(Ok(()), |fault| Err(call_error(fault)))
    }

    async fn put_new(&self, _: &NewObject) -> Result<Put, CallError> {
        panic!("planning writes nothing")
    }

    async fn get(&self, _: &str, _: usize) -> Result<Option<Vec<u8>>, CallError> {
        panic!("planning reads no objects")
    }
}

/// Twenty messages, two of each kind after the other.
fn messages() -> Vec<Message> {
    let kind = |number: usize| {
        let mut from_orders = message(number, "");
        from_orders.system.0.insert("DeadLetterQueueSourceArn".to_owned(), attributes("orders").arn);
        match number / 2 {
            0 => Message { body: r#"{"test":true}"#.to_owned(), ..message(number, "") },
            1 => message(number, "not JSON"),
            2 => Message { body: r#"{"error":"Timeout"}"#.to_owned(), ..from_orders },
            3 => message(number, r#"{"error":"Timeout","debug":1}"#),
            4 => {
                from_orders.attributes.insert("retryCount".to_owned(), Attribute::number(3));
                Message { body: r#"{"error":"Timeout","debug":1}"#.to_owned(), ..from_orders }
            }
            _ => {
                from_orders.attributes.insert("secret".to_owned(), Attribute::string("hunter2"));
                let body = r#"{"error":"Timeout","total":1.10,"email":"a@example.com","debug":1}"#;
                Message { body: body.to_owned(), ..from_orders }
            }
        }
    };
    (0..20).map(kind).collect()
}

struct World {
    text: String,
    source: Arc<FakeQueue>,
    parking: Arc<FakeQueue>,
    bucket: Option<Fault>,
    sample_anyway: bool,
    extent: Extent,
}

impl World {
    fn new() -> Self {
        Self {
            text: JOB.to_owned(),
            source: FakeQueue::new(attributes("orders-dlq"), messages()),
            parking: FakeQueue::new(attributes("parking"), Vec::new()),
            bucket: None,
            sample_anyway: false,
            extent: Extent::Auto,
        }
    }

    async fn plan(&self) -> Result<Plan> {
        let job: Job = toml::from_str(&self.text).expect("a job");
        let rules = Rules::compile(&job).expect("sound rules");
        let (_sender, cancel) = watch::channel(false);
        make(Request {
            notifies: None,
            job: &job,
            rules: &rules,
            file: "job.toml",
            text: &self.text,
            author: None,
            source: Arc::clone(&self.source) as Arc<dyn Queue>,
            destinations: vec![
                ("archive".to_owned(), Place::Bucket(Arc::new(FakeBucket(self.bucket)))),
                ("parking".to_owned(), Place::Queue(Arc::clone(&self.parking) as Arc<dyn Queue>)),
            ],
            opener: &Fakes::new(&["orders"]),
            came_from: &|_| None,
            examples: None,
            progress: &|_, _| {},
            callers: Vec::new(),
            clock: &|| at("2026-11-02T00:00:00Z"),
            extent: self.extent,
            sample: SampleOptions { pause: Duration::ZERO, ..SampleOptions::default() },
            sample_anyway: self.sample_anyway,
            payloads: None,
            cancel,
        })
        .await
    }

    fn untouched(&self) {
        assert_eq!((self.source.visible(), self.source.in_flight()), (20, 0));
        assert_eq!(self.source.calls("ReceiveMessage"), 0);
    }
}

fn outcomes(rule: &RuleFigures) -> BTreeMap<Outcome, u64> {
    rule.outcomes.iter().map(|of| (of.outcome, of.estimate.sampled)).collect()
}

#[tokio::test]
async fn a_plan_says_what_would_happen_and_leaves_everything_where_it_was() {
    let world = World::new();
    let plan = world.plan().await.expect("all is well");
    assert_eq!((world.source.visible(), world.source.in_flight()), (20, 0));
    let names: Vec<String> = plan.targets.iter().map(Target::label).collect();
    assert_eq!(names, ["archive", "parking", "drop", "origin orders"]);
    assert_eq!(plan.targets[0].location.as_deref(), Some("s3://redrive-archive"));

    let rules: Vec<&str> = plan.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(rules, ["timeouts", "test data", "never", "unmatched", "out of scope"]);
    assert_eq!(
        outcomes(&plan.rules[0]),
        BTreeMap::from([
            (Outcome::To(TargetId(3)), 10),
            (Outcome::Exhausted(TargetId(0)), 2),
            (Outcome::Blocked(Reason::NoSuchPath), 2),
            (Outcome::Blocked(Reason::OriginMissing), 2),
        ])
    );
    assert_eq!(outcomes(&plan.rules[1]), BTreeMap::from([(Outcome::To(TargetId(2)), 2)]));
    assert_eq!(outcomes(&plan.rules[2]), BTreeMap::new());
    assert_eq!(outcomes(&plan.rules[3]), BTreeMap::from([(Outcome::Kept(Reason::Unmatched), 2)]));
    // Exact counts: twelve leave by the first rule, and ten more are the least tolerance; a rule that keeps lets none leave.
    let bounds: Vec<Option<u64>> = plan.rules.iter().map(|rule| rule.bound).collect();
    assert_eq!(bounds, [Some(22), Some(12), Some(10), Some(0), Some(0)]);
    assert!(plan.sample.whole_queue);
    assert_eq!((plan.sample.messages, plan.sample.population, plan.sample.not_json), (20, 20, 2));
    assert_eq!(plan.refusals, []);
    assert_eq!(plan.expires, at("2026-11-03T00:00:00Z"));
    assert_eq!((plan.sent_before, plan.sent_after), (at("2026-11-02T00:00:00Z"), None));
}

#[tokio::test]
async fn the_same_queue_makes_the_same_plan_in_whatever_order_it_delivers() {
    let one = World::new();
    let mut reversed = messages();
    reversed.reverse();
    let other = World { source: FakeQueue::new(attributes("orders-dlq"), reversed), ..World::new() };
    let text = |plan: Result<Plan>| to_text(&plan.expect("all is well")).expect("plain data");
    assert_eq!(text(one.plan().await), text(other.plan().await));
}

#[tokio::test]
async fn examples_show_the_change_and_no_secret() {
    let world = World::new();
    let plan = world.plan().await.expect("all is well");
    let of = |rule, outcome| plan.examples.iter().filter(move |of| of.rule == rule && of.outcome == outcome);
    let changed: Vec<_> = of(RuleId(0), Outcome::To(TargetId(3))).collect();
    assert_eq!(changed.len(), 3);
    let after = changed[0].after.as_ref().expect("it changes");
    assert_eq!(changed[0].before.body, r#"{"error":"Timeout","total":1.10,"email":"[redacted]","debug":1}"#);
    assert_eq!(after.body, r#"{"error":"Timeout","total":1.10,"email":"[redacted]","replayed_by":"INC-1"}"#);
    assert_eq!(after.attributes, ["retryCount (Number) = 1", "secret (String) = [redacted]"]);
    let blocked: Vec<_> = of(RuleId(0), Outcome::Blocked(Reason::NoSuchPath)).collect();
    assert_eq!(blocked.len(), 2);
    assert!(blocked[0].after.is_none() && blocked[0].detail.is_some());
    let text = to_text(&plan).expect("plain data");
    assert!(!text.contains("a@example.com") && !text.contains("hunter2"));
}

#[tokio::test]
async fn long_bodies_are_cut_and_short_ones_preferred() {
    let long = format!("{{\"error\":\"é{}\"}}", "é".repeat(4000));
    let mut bodies: Vec<Message> = (0..5).map(|number| message(number, &long)).collect();
    bodies.push(message(5, "{}"));
    let world = World { source: FakeQueue::new(attributes("orders-dlq"), bodies), ..World::new() };
    let plan = world.plan().await.expect("all is well");
    assert_eq!(plan.examples.len(), 2);
    assert_eq!(plan.examples[0].before.body, "{}");
    assert!(plan.examples[1].before.body.ends_with(" bytes more]") && plan.examples[1].before.body.len() < 4200);
}

#[tokio::test]
async fn a_part_of_the_queue_gives_intervals() {
    let body = |number: usize| if number.is_multiple_of(3) { r#"{"test":true}"# } else { "{}" };
    let source = (0..200).map(|number| message(number, body(number)));
    let source = FakeQueue::new(attributes("orders-dlq"), source.collect());
    let world = World { source, extent: Extent::Sample(90), ..World::new() };
    let plan = world.plan().await.expect("all is well");
    assert!(!plan.sample.whole_queue);
    assert_eq!((plan.sample.messages, plan.sample.population), (90, 200));
    assert_eq!(plan.sample.basis, super::super::Basis::Even { effective: 90 });
    let estimate = plan.rules[1].estimate;
    assert!(estimate.is_interval && estimate.low < estimate.total && estimate.total < estimate.high, "{estimate:?}");
}

#[tokio::test]
async fn what_was_sent_after_the_plan_is_out_of_scope() {
    let world = World::new();
    let late = World {
        text: world.text.replace("[source]", "[source]\nsent_before = \"2026-11-01T00:00:15Z\""),
        ..World::new()
    };
    let plan = late.plan().await.expect("all is well");
    assert_eq!(outcomes(&plan.rules[4]), BTreeMap::from([(Outcome::Kept(Reason::SentTooLate), 5)]));
    assert_eq!(plan.rules[4].bound, Some(0));
}

#[tokio::test]
async fn a_destination_that_is_missing_is_found_before_anything_is_received() {
    let world = World::new();
    world.parking.fail_attributes(call_error(Fault::NotFound));
    let error = world.plan().await.expect_err("no such queue");
    assert!(error.message().starts_with("destination \"parking\": "), "{error}");
    assert!(error.hint_text().is_some_and(|hint| hint.ends_with("nothing was received or sent")));
    assert_eq!(error.exit(), Exit::Failed);
    world.untouched();

    let world = World { bucket: Some(Fault::Denied), ..World::new() };
    assert!(world.plan().await.expect_err("forbidden").message().starts_with("destination \"archive\": "));
    world.untouched();
}

#[tokio::test]
async fn a_source_with_a_redrive_policy_is_sampled_only_on_demand() {
    let source = QueueAttributes { redrive_policy: redrives_to("dead"), ..attributes("orders-dlq") };
    let mut world = World { source: FakeQueue::new(source, messages()), ..World::new() };
    let error = world.plan().await.expect_err("sampling could move messages");
    assert_eq!(error.exit(), Exit::Refused);
    world.untouched();
    world.sample_anyway = true;
    let plan = world.plan().await.expect("it was told to");
    assert!(plan.hazards.iter().any(|hazard| hazard.code == HazardCode::SourceRedrives));
}

#[tokio::test]
async fn an_empty_queue_makes_an_empty_plan() {
    let world = World { source: FakeQueue::filled(0), ..World::new() };
    let plan = world.plan().await.expect("all is well");
    assert!(plan.sample.whole_queue && plan.refusals.is_empty() && plan.examples.is_empty());
    assert!(plan.rules.iter().all(|rule| rule.estimate.high == 0));
}
