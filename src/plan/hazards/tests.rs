//! Every hazard where it applies, and nowhere else.

use redrive_protocol::target::{ORIGIN, Reason, RuleId, TargetKind};

use redrive_rules::rule::Met;

use super::*;
use crate::plan::fake::{at, attributes, message, redrives_to};
use crate::plan::{Basis, Estimate, OriginCount, OutcomeFigures};
use samples::parks;

mod guards;
mod samples;

/// A world without hazards, to change one thing in.
struct World {
    job: Job,
    source: QueueAttributes,
    targets: Vec<Target>,
    rules: Vec<RuleFigures>,
    sample: Sample,
    seen: Seen,
    groups: Option<Groups>,
    end: End,
    answers_lost: u64,
    unreachable_origins: Vec<(String, String)>,
    move_task: Result<Option<MoveTask>, String>,
    origins_not_listed: Option<String>,
}

const JOB: &str = r#"
version = 1
name = "j"
source = { queue = "orders-dlq", sent_before = "2026-11-20T00:00:00Z" }
retry = { attribute = "n", max = 3, exhausted = "keep", in_doubt = "hold" }
[destination.orders]
sqs = { queue = "orders" }
[[rule]]
name = "all"
when = []
to = "orders"
"#;

fn job(text: &str) -> Job {
    toml::from_str(text).expect("a job")
}

fn target(destination: &str, kind: TargetKind, queue: Option<QueueAttributes>) -> Target {
    Target { destination: destination.to_owned(), kind, queue, location: None }
}

fn exact(count: u64) -> Estimate {
    Estimate { sampled: count, total: count, low: count, high: count, is_interval: true }
}

fn rule(rule: RuleId, outcomes: &[(Outcome, Estimate)]) -> RuleFigures {
    let outcomes: Vec<_> =
        outcomes.iter().map(|&(outcome, estimate)| OutcomeFigures { outcome, estimate, bytes: 0 }).collect();
    let estimate = sum(outcomes.iter().map(|of| of.estimate));
    RuleFigures { rule, name: "all".to_owned(), estimate, bound: Some(0), bound_staying: None, outcomes }
}

const TO: Outcome = Outcome::To(TargetId(0));

impl World {
    fn new() -> Self {
        Self {
            job: job(JOB),
            source: attributes("orders-dlq"),
            targets: vec![target("orders", TargetKind::Sqs, Some(attributes("orders")))],
            rules: vec![rule(RuleId(0), &[(TO, exact(100))])],
            sample: Sample {
                messages: 100,
                whole_queue: true,
                basis: Basis::Whole,
                population: 100,
                receives: 22,
                not_given_back: 0,
                oldest: None,
                newest: None,
                ages: Vec::new(),
                not_json: 0,
                origins: Vec::new(),
            },
            seen: Seen::default(),
            groups: None,
            end: End::WholeQueue,
            answers_lost: 0,
            unreachable_origins: Vec::new(),
            move_task: Ok(None),
            origins_not_listed: None,
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            notifies: None,
            command_missing: None,
            job: &self.job,
            now: at("2026-11-22T06:00:00Z"),
            source: &self.source,
            targets: &self.targets,
            rules: &self.rules,
            sample: &self.sample,
            seen: &self.seen,
            groups: self.groups.as_ref(),
            exact: false,
            end: self.end,
            answers_lost: self.answers_lost,
            unreachable_origins: &self.unreachable_origins,
            move_task: &self.move_task,
            origins_not_listed: self.origins_not_listed.as_deref(),
        }
    }

    fn codes(&self) -> Vec<&'static str> {
        hazards(&self.facts()).into_iter().map(|hazard| hazard.code.as_str()).collect()
    }

    fn origins(&mut self, origins: &[(&str, u64)]) {
        self.seen.origins = origins.iter().map(|&(arn, count)| (arn.to_owned(), count)).collect();
        let counts = |(arn, messages): (&String, &u64)| OriginCount { arn: arn.clone(), messages: *messages };
        self.sample.origins = self.seen.origins.iter().map(counts).collect();
    }

    fn queue(&mut self) -> &mut QueueAttributes {
        self.targets[0].queue.as_mut().expect("it is a queue")
    }

    fn make_fifo(&mut self, dedup: &str) {
        self.source = attributes("orders-dlq.fifo");
        self.targets[0].queue = Some(attributes("orders.fifo"));
        let queue = format!("queue = \"orders.fifo\", message_deduplication_id = \"{dedup}\"");
        self.job = job(&JOB.replace("queue = \"orders\"", &queue));
    }
}

/// Hazards that every plan has which sends something.
const ALWAYS: [&str; 2] = ["sent_anew", "sampling_effect"];

#[test]
fn a_quiet_world_has_only_what_is_always_so() {
    let world = World::new();
    assert_eq!(world.codes(), ALWAYS);
    assert_eq!(refusals(&world.facts()), []);
}

/// Of three groups, one stops at its second message, one at its first, and one goes on.
fn groups() -> Groups {
    let kept = Outcome::Kept(Reason::RuleKeeps);
    let blocked = Outcome::Blocked(Reason::NotJson);
    let mut groups = Groups::default();
    let mut pass = |group: &str, rule, outcome| {
        let mut message = message(0, "");
        message.system.0.insert("MessageGroupId".to_owned(), group.to_owned());
        groups.pass(&message, rule, outcome)
    };
    assert_eq!(pass("a", RuleId(0), TO), TO);
    assert_eq!(pass("a", RuleId(0), kept), kept);
    assert_eq!(pass("b", RuleId(0), blocked), blocked);
    assert_eq!(pass("b", RuleId(0), kept), kept, "stopped already, and it stays for a reason of its own");
    assert_eq!(pass("c", RuleId(0), TO), TO);
    for group in ["a", "b"] {
        assert_eq!(pass(group, RuleId(0), TO), Outcome::Kept(Reason::GroupStopped));
    }
    groups
}

/// What is changed, which hazard appears, and which words it must hold.
type Row = (fn(&mut World), &'static str, &'static str);

#[test]
fn each_hazard_appears_where_it_applies() {
    let rows: &[Row] = &[
        (
            |w| {
                w.job.source.profile = Some("prod".to_owned());
                w.job.source.queue = "https://sqs.eu-west-1.amazonaws.com@elsewhere/0/dlq".to_owned();
            },
            "reached_by_job",
            "the source by the queue's URL https://sqs.eu-west-1.amazonaws.com@elsewhere/0/dlq and profile prod:",
        ),
        (
            |w| w.job = job(&JOB.replace("queue = \"orders\"", "queue = \"orders\", role_arn = \"arn:r\"")),
            "reached_by_job",
            "reach destination orders by role_arn arn:r:",
        ),
        (
            |w| {
                let park = "[unmatched]\npark = { queue = \"parking\", endpoint_url = \"http://elsewhere.test\" }\n";
                w.job = job(&format!("{JOB}{park}"));
            },
            "reached_by_job",
            "reach the parking queue by endpoint_url http://elsewhere.test:",
        ),
        (
            |w| w.job = job(&JOB.replace("sqs = { queue = \"orders\" }", "file = { path = \"a/../../b\" }")),
            "file_outside",
            "destination orders to a/../../b",
        ),
        (|w| w.targets[0].kind = TargetKind::Drop, "dropped", "About 100 messages are deleted for good"),
        (|w| w.source.counts.in_flight = Some(12), "consumer_active", "12 messages are in flight with somebody else"),
        (|w| w.source.counts.in_flight = Some(1), "consumer_active", "1 message is in flight"),
        (|w| w.source.counts.delayed = Some(2), "delayed", "2 messages are delayed"),
        (|w| w.queue().redrive_policy = redrives_to("orders-dlq"), "loop_capped", "ends it after 3 rounds"),
        (
            |w| {
                w.queue().redrive_policy = redrives_to("orders-dlq");
                w.job.retry = None;
            },
            "loop_uncapped",
            "no cap ends it",
        ),
        (
            |w| {
                w.seen.expiring = 7;
                w.seen.oldest = Some(at("2026-11-08T08:00:00Z"));
            },
            "expiring",
            "7 of 100 sampled messages expire within 1d, the oldest in 2h: orders-dlq keeps messages for 14d",
        ),
        (|w| w.source.redrive_policy = redrives_to("dead"), "source_redrives", "received 3 times move to dead"),
        (|w| w.origins(&[("a:orders", 60), ("a:bills", 40)]), "several_origins", "bills (40) and orders (60)"),
        (
            |w| {
                w.origins(&[("", 4), ("a:orders", 96)]);
                w.job.unmatched.to = ORIGIN.to_owned();
            },
            "origin_missing",
            "4 of 100 sampled messages have no DeadLetterQueueSourceArn (sent by hand, or by Lambda): where they would go \
             to origin, they are blocked",
        ),
        (
            |w| w.unreachable_origins.push(("bills".to_owned(), "no such queue".to_owned())),
            "origin_unreachable",
            "origin is bills are blocked: it cannot be opened (no such queue)",
        ),
        (|w| w.origins_not_listed = Some("denied".to_owned()), "origins_not_listed", "could not be listed (denied)"),
        (|w| w.job.retry = None, "in_doubt_resend", "may arrive more than once"),
        (|w| w.make_fifo("{date}"), "deduplication_reused", "within five minutes"),
        (
            |w| w.groups = Some(groups()),
            "groups_stop",
            "2 of 3 message groups of the sample stop: 1 at a message of \"all\" (the rule keeps it) and 1 at a message of \"all\" \
             (a transform needs JSON, and the body is not). Of each, what is behind that message stays too, to keep the order: \
             2 messages of the sample.",
        ),
        (|w| w.source = attributes("orders-dlq.fifo"), "fifo_to_standard", "order and deduplication end there"),
        (|w| w.targets[0].queue = Some(attributes("o.fifo")), "standard_to_fifo", "orders is FIFO"),
        (|w| w.queue().kms_key = Some("alias/k".to_owned()), "encryption_differs", "with no KMS key, orders (alias/k)"),
        (
            |w| {
                let may = Estimate { sampled: 50, total: 100_000, low: 80_000, high: 130_000, is_interval: true };
                w.rules[0] = rule(RuleId(0), &[(TO, exact(50)), (Outcome::Kept(Reason::RuleKeeps), may)]);
            },
            "many_may_stay",
            "Up to 130,000 messages may stay",
        ),
        (|w| parks(w, |_| {}), "parked", "About 130,000 messages that no rule takes are moved to parking and"),
        (|w| w.seen.extended_client = 1, "extended_client", "1 of 100"),
        (|w| w.seen.lambda_envelopes = 2, "lambda_envelope", "$.requestPayload"),
        (|w| w.seen.lambda_errors = 3, "lambda_error", "asynchronous invocation"),
        (|w| w.seen.sns_envelopes = 4, "sns_envelope", "$.Message"),
        (|w| w.seen.trace_headers = 5, "trace_header", "5 of 100 sampled messages carry AWSTraceHeader"),
        (|w| w.seen.near_limit = 6, "near_size_limit", "6 of 100"),
        (|w| w.seen.not_json = 7, "not_json", "7 of 100 sampled messages are not JSON"),
        (|w| w.job.source.sent_before = None, "newer_excluded", "sent after 2026-11-22 06:00:00 UTC stay"),
        (|w| w.rules.push(rule(RuleId(1), &[])), "idle_rule", "Rule \"all\" matched no sampled message."),
        (
            |w| {
                w.rules.push(rule(RuleId(1), &[]));
                let met = Met { wanted: "text", numbers: 348, ..Met::default() };
                w.seen.types.insert((RuleId(1), "$.total".to_owned()), met);
            },
            "idle_rule",
            "The path $.total held 348 numbers and no text.",
        ),
        (|w| w.sample.whole_queue = false, "counts_approximate", "approximate count of 100"),
        (
            |w| {
                w.make_fifo("{message_id}");
                w.sample.whole_queue = false;
            },
            "fifo_sample",
            "only the first messages of the groups",
        ),
        (|w| w.end = End::NothingMore, "sample_cut", "nothing more came"),
        (
            |w| w.sample.not_given_back = 3,
            "not_given_back",
            "3 could not be given back; they are visible again after 5m",
        ),
        (|w| w.answers_lost = 1, "not_given_back", "1 receive got no answer: up to 10 messages may be invisible"),
    ];
    for (change, code, words) in rows {
        let mut world = World::new();
        change(&mut world);
        let found = hazards(&world.facts());
        let hazard = found.iter().find(|hazard| hazard.code.as_str() == *code);
        let text = hazard.map(|hazard| hazard.text.as_str()).unwrap_or_default();
        assert!(text.contains(words), "{code}: {found:#?}");
        assert!(text.ends_with(['.', '?']), "{text}");
    }
}

#[test]
fn each_refusal_appears_where_it_applies() {
    let rows: &[Row] = &[
        (
            |w| w.sample = Sample { messages: 0, whole_queue: false, population: 500, ..w.sample.clone() },
            "nothing_sampled",
            "SQS counts about 500",
        ),
        (|w| w.targets[0].queue = Some(attributes("orders-dlq")), "destination_is_source", "the destination orders"),
        (
            |w| {
                w.rules[0] = rule(RuleId(0), &[(TO, exact(1)), (Outcome::Kept(Reason::RuleKeeps), exact(120_001))]);
            },
            "too_many_stay",
            "About 120,001 messages would stay in orders-dlq and be held in flight until apply ends; there is room for 120,000",
        ),
        (
            |w| {
                w.source.counts.in_flight = Some(20_000);
                w.rules[0] = rule(RuleId(0), &[(Outcome::Blocked(Reason::NotJson), exact(100_001))]);
            },
            "too_many_stay",
            "room for 100,000",
        ),
        (
            |w| parks(w, |queue| queue.counts.in_flight = Some(1)),
            "parking_not_empty",
            "SQS counts about 1 message in it",
        ),
        (|w| parks(w, |queue| queue.redrive_policy = redrives_to("other")), "parking_redrives", "to other"),
        (
            |w| parks(w, |queue| queue.message_retention_seconds = 60),
            "parking_expires",
            "keeps messages for 1m, the source orders-dlq for 14d",
        ),
        (
            |w| {
                parks(w, |_| {});
                w.targets[0].queue = Some(attributes("parking"));
            },
            "parking_is_destination",
            "is also the destination orders",
        ),
        (
            |w| w.rules[0] = rule(RuleId(0), &[(Outcome::Blocked(Reason::GroupMissing), exact(100))]),
            "group_missing",
            "not one message of rule \"all\" has a message group ID. Set message_group_id in [destination.orders].",
        ),
    ];
    for (change, code, words) in rows {
        let mut world = World::new();
        change(&mut world);
        let found = refusals(&world.facts());
        assert_eq!(found.len(), 1, "{code}: {found:#?}");
        assert_eq!(found[0].code.as_str(), *code);
        assert!(found[0].text.contains(words), "{found:#?}");
    }
}

#[test]
fn a_few_messages_without_a_group_are_blocked_and_do_not_stop_the_others() {
    let mut world = World::new();
    world.rules[0] = rule(RuleId(0), &[(TO, exact(99)), (Outcome::Blocked(Reason::GroupMissing), exact(1))]);
    assert_eq!(refusals(&world.facts()), []);
}

#[test]
fn a_limit_that_ends_apply_early_needs_less_room() {
    let mut world = World::new();
    world.rules[0] = rule(RuleId(0), &[(TO, exact(100_000)), (Outcome::Kept(Reason::RuleKeeps), exact(900_000))]);
    assert_eq!(refusals(&world.facts()).len(), 1);
    world.job.limits.max_messages = Some(10_000);
    assert_eq!(refusals(&world.facts()), [], "90,000 stay until 10,000 have left");
}

#[test]
fn what_is_not_used_is_no_hazard() {
    let mut world = World::new();
    world.targets.push(target("other", TargetKind::Sqs, Some(attributes("other.fifo"))));
    world.targets.push(target("drop", TargetKind::Drop, None));
    assert_eq!(world.codes(), ALWAYS);
    world.rules[0] = rule(RuleId(0), &[(Outcome::Kept(Reason::RuleKeeps), exact(100))]);
    assert_eq!(world.codes(), ["sampling_effect"]);
}

#[test]
fn names_are_listed_as_people_do() {
    let listed = |names: &[&str]| list(names.iter().map(|name| (*name).to_owned()));
    assert_eq!([listed(&[]), listed(&["a"]), listed(&["a", "b", "a", "c"])], ["", "a", "a, b and c"]);
}
