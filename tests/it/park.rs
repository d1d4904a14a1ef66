//! Parking: messages that no rule takes wait in a queue of their own and come back, whatever happens in between.

use std::collections::BTreeSet;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;
use sqs_sandbox::{Fault, MessageAttribute, Options, Rule, Seed, Signal, When};

use crate::end_to_end::assert_adds_up;
use crate::support::admin::Admin;
use crate::support::stage::{Inventory, Stage, count, each, failed, shown};

pub(crate) const JOB: &str = r#"
version = 1
name = "pick"
[source]
queue = "orders-dlq"
visibility_timeout = "10s"
[destination.out]
sqs = { queue = "audit" }
[retry]
attribute = "retryCount"
max = 3
exhausted = "keep"
in_doubt = "resend"
[[rule]]
name = "wanted"
when = [{ body = "$.wanted", equals = true }]
to = "out"
[unmatched]
park = { queue = "orders-parking" }
[limits]
concurrency = 2
"#;

/// Message `number`: every sixth is wanted; of the others some have attributes, a group, a trace header.
pub(crate) fn message(number: usize) -> Seed {
    let mut seed = failed(format!("{{\"wanted\": {}, \"n\": {number}.50}}", number.is_multiple_of(6)));
    if number % 4 == 1 {
        seed = seed.attribute("tenant", MessageAttribute::string(format!("tenant-{number}")));
        seed.group = Some(format!("fair-{number}"));
        seed.trace_header = Some("Root=1-5759e988-bd862e3fe1be46a994272793".to_owned());
    }
    if number % 12 == 11 {
        for position in 0..10 {
            seed = seed.attribute(&format!("a{position}"), MessageAttribute::string("full"));
        }
    }
    seed
}

fn is_wanted(number: usize) -> bool {
    number.is_multiple_of(6)
}

/// What is to be in the source in the end.
fn kept(total: usize) -> Inventory {
    count((0..total).filter(|number| !is_wanted(*number)).map(|number| {
        let seed = message(number);
        (seed.body, seed.attributes.iter().map(|(name, attribute)| (name.clone(), shown(attribute))).collect())
    }))
}

async fn stage(total: usize, options: Options) -> Stage {
    let stage = Stage::with_options(options).await;
    stage.orders();
    stage.queue("orders-parking", &[("MessageRetentionPeriod", "1209600")]);
    stage.sandbox.seed("orders-dlq", (0..total).map(message)).expect("seeded");
    stage.file("job.toml", JOB);
    stage
}

async fn planned(total: usize, options: Options) -> Stage {
    let stage = stage(total, options).await;
    let all = total.to_string();
    stage.redrive(&["plan", "job.toml", "--out", "plan.json", "--sample", &all]).await.expect(0);
    stage.sandbox.clear_log();
    stage
}

fn figures<const N: usize>(summary: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| summary[name].as_u64().expect(name))
}

fn ids(stage: &Stage, queue: &str) -> BTreeSet<String> {
    stage.sandbox.queue(queue).expect("the queue").messages.into_iter().map(|message| message.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_rule_takes_waits_in_the_parking_queue_and_comes_back_as_it_was() {
    let stage = planned(240, Options::default()).await;
    let before = stage.sandbox.queue("orders-dlq").expect("the queue").messages;
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_adds_up(&summary);
    // One of twelve has no room for the mark, and is held in flight instead.
    let names = ["received", "moved", "kept", "returned", "parked", "in_doubt"];
    assert_eq!(figures(&summary, names), [240, 40, 200, 180, 0, 0], "{summary}");
    assert_eq!(stage.inventory("orders-dlq"), kept(240));
    assert_eq!(stage.counts("orders-dlq"), (200, 200), "visible again");
    assert_eq!(stage.counts("orders-parking"), (0, 0));
    assert_eq!(stage.counts("audit").0, 40);

    let extras = |messages: Vec<sqs_sandbox::MessageState>| -> BTreeSet<_> {
        messages
            .into_iter()
            .filter(|message| message.body.contains("false"))
            .map(|message| (message.body, message.message_group_id, message.trace_header))
            .collect()
    };
    let untouched = before.iter().filter(|one| one.attributes.len() == 10).map(|one| one.id.clone());
    assert!(
        untouched.collect::<BTreeSet<_>>().is_subset(&ids(&stage, "orders-dlq")),
        "what was not parked is the same"
    );
    assert_eq!(extras(before), extras(stage.sandbox.queue("orders-dlq").expect("the queue").messages));
    let report = stage.redrive(&["report"]).await.expect(0).stdout;
    let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(report.contains("180 messages were parked and are back under new message IDs"), "{report}");
}

/// Kills one apply at its request number `nth` and resumes it; gives whether it came that far.
async fn killed_at(nth: u64, when: When, policy: &str) -> bool {
    const TOTAL: usize = 24;
    let stage = stage(TOTAL, Options { signals: true, ..Options::default() }).await;
    stage.file("job.toml", &JOB.replace("\"resend\"", &format!("\"{policy}\"")));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json", "--sample", "24"]).await.expect(0);

    let killed = stage.killed_at(when, |rule| rule.nth(nth)).await;

    let ran = stage.redrive(&["apply", "plan.json", "--format", "json"]).await;
    let at = format!("killed at {nth} {when:?} {policy}: {}\n{}", ran.stdout, ran.stderr);
    assert!(matches!(ran.code, Some(0 | 6)), "{at}");
    let summary = ran.summary();
    assert_adds_up(&summary);
    let [received, moved, held, in_doubt] = figures(&summary, ["received", "moved", "held", "in_doubt"]);
    assert_eq!(received, TOTAL as u64, "{at}");
    assert!(policy == "hold" || (held, moved) == (0, 4), "{at}");

    // A message that is held on its way back is in the parking queue, with its mark, and perhaps in the source.
    let mut found = stage.inventory("orders-dlq");
    for (mut content, number) in stage.inventory("orders-parking") {
        assert!(content.1.remove("redrive.parked").is_some() && policy == "hold", "{content:?}: {at}");
        found.entry(content).or_insert(number);
    }
    let wanted = (0..TOTAL).filter(|number| is_wanted(*number)).map(|number| (message(number).body, 1)).collect();
    let (mut surplus, mut missing) = (0, 0);
    let bodies = stage.inventory("audit").into_iter().map(|((body, _), number)| (body, number)).collect();
    let mut compare = |found: Vec<(String, usize)>, expected: Vec<(String, usize)>| {
        for (body, _) in &found {
            assert!(expected.iter().any(|one| one.0 == *body), "{body} does not belong there: {at}");
        }
        for (body, number) in expected {
            let there = found.iter().filter(|one| one.0 == body).map(|one| one.1).sum::<usize>();
            surplus += there.saturating_sub(number) as u64;
            missing += number.saturating_sub(there) as u64;
        }
    };
    compare(bodies, wanted);
    let held_here = found.keys().filter(|(body, _)| body.contains("true")).cloned().collect::<Vec<_>>();
    for one in held_here {
        assert!(policy == "hold", "{one:?}: {at}");
        found.remove(&one);
    }
    let as_text =
        |inventory: Inventory| inventory.into_iter().map(|(content, n)| (format!("{content:?}"), n)).collect();
    compare(as_text(found), as_text(kept(TOTAL)));
    assert!(missing <= held, "{missing} are lost: {at}");
    assert!(surplus <= if policy == "hold" { 0 } else { in_doubt }, "{surplus} are there twice: {at}");
    for queue in ["orders-dlq", "orders-parking"] {
        let (all, visible) = stage.counts(queue);
        assert_eq!(all, visible, "{queue}: {at}");
    }
    killed
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_request_of_a_parking_run_it_loses_nothing_and_repeats_only_what_it_lists() {
    // More requests than the run makes, so that the sweep passes its end.
    let cases = (1..=44).flat_map(|nth| [(nth, When::Before), (nth, When::After)]);
    // Whether the answer or the request is lost matters to `hold` alone after the effect.
    let held = (1..=44).step_by(2).map(|nth| (nth, When::After, "hold"));
    let cases = cases.map(|(nth, when)| (nth, when, "resend")).chain(held);
    let killed = each(cases.collect(), |(nth, when, policy)| killed_at(nth, when, policy)).await;
    let killed = killed.into_iter().filter(|killed| *killed).count();
    assert!(killed > 60, "only {killed} of the kills came before the end of the run");
    assert!(killed < 110, "the sweep did not reach the end of the run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_stops_says_what_is_parked_and_the_next_apply_brings_it_back() {
    let stage = planned(240, Options { signals: true, ..Options::default() }).await;
    let summary = stopped_at(&stage, "SendMessageBatch", 3).await;
    assert_adds_up(&summary);
    let [parked, unfinished] = figures(&summary, ["parked", "unfinished"]);
    let (there, visible) = stage.counts("orders-parking");
    assert!(parked >= 30 && [there as u64, visible as u64] == [parked; 2], "{summary}");
    let report = stage.redrive(&["report"]).await.expect(0).stdout;
    let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(report.contains("in the parking queue until the same command brings them back"), "{report}");

    // Stopped once more on the way back, and once more begun: it does not go through the source again.
    let summary = stopped_at(&stage, "ReceiveMessage", 4).await;
    assert_adds_up(&summary);
    assert_eq!(summary["moved"], 40, "{unfinished} unfinished before: {summary}");
    stage.sandbox.clear_log();
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!(
        figures(&summary, ["received", "moved", "kept", "parked", "in_doubt"]),
        [240, 40, 200, 0, 0],
        "{summary}"
    );
    let log = stage.sandbox.log();
    let received =
        log.iter().filter(|entry| entry.action == "ReceiveMessage" && entry.resource == "orders-dlq").count();
    assert_eq!(received, 0, "the source had been gone through");
    assert_eq!(stage.inventory("orders-dlq"), kept(240));
    assert_eq!((stage.counts("orders-dlq"), stage.counts("orders-parking")), ((200, 200), (0, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_makes_no_second_copy_of_what_is_parked() {
    for policy in ["resend", "hold"] {
        let stage = stage(120, Options::default()).await;
        stage.file("job.toml", &JOB.replace("\"resend\"", &format!("\"{policy}\"")));
        stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
        for nth in [1, 3] {
            let lost = Fault::Cut { when: When::After };
            stage.sandbox.faults().add(Rule::new(lost).action("SendMessageBatch").resource("orders-parking").nth(nth));
        }
        let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
        assert_adds_up(&summary);
        assert_eq!(figures(&summary, ["kept", "returned", "held"]), [100, 90, 0], "{policy}: {summary}");
        assert_eq!(stage.inventory("orders-dlq"), kept(120), "{policy}");
        assert_eq!(stage.counts("orders-parking"), (0, 0), "{policy}: the copies are gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_this_runs_in_the_parking_queue_is_never_touched() {
    let stage = planned(60, Options { signals: true, ..Options::default() }).await;
    let forged = |run: &str| {
        let mark = MessageAttribute::string(format!("{run} 4f6d1b1e-0000-4c0e-9a3b-0123456789ab"));
        Seed::new("foreign").attribute("redrive.parked", mark)
    };
    let plan: Value = serde_json::from_slice(&std::fs::read(stage.path("plan.json")).expect("the plan")).expect("JSON");
    let run = plan["digest"].as_str().expect("a digest")["sha256:".len()..][..12].to_owned();
    stopped_at(&stage, "SendMessageBatch", 1).await;
    let seeds = [Seed::new("foreign"), forged("000000000000"), forged(&run)];
    let foreign: BTreeSet<String> = stage.sandbox.seed("orders-parking", seeds).expect("seeded").into_iter().collect();
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!(figures(&summary, ["received", "kept"]), [60, 50], "{summary}");
    assert_eq!(stage.inventory("orders-dlq"), kept(60));
    assert_eq!((ids(&stage, "orders-parking"), stage.counts("orders-parking")), (foreign, (3, 3)), "there and visible");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parking_queue_with_messages_in_it_is_refused_before_anything_moves() {
    let stage = planned(60, Options::default()).await;
    stage.sandbox.seed("orders-parking", [Seed::new("foreign")]).expect("seeded");
    stage.redrive(&["plan", "job.toml", "--out", "other.json"]).await.expect(0);
    for plan in ["plan.json", "other.json"] {
        let refused = stage.redrive(&["apply", plan]).await.expect(4).stderr;
        assert!(refused.contains("The parking queue orders-parking must be empty"), "{refused}");
    }
    assert_eq!((stage.counts("orders-dlq"), stage.counts("orders-parking")), ((60, 60), (1, 1)));
    assert!(!stage.path(".redrive/journal.db").exists(), "no run has begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_from_the_parking_queue_is_said_and_the_run_is_finished() {
    let stage = planned(60, Options { signals: true, ..Options::default() }).await;
    stopped_at(&stage, "SendMessageBatch", 2).await;
    let gone = stage.counts("orders-parking").0 as u64;
    assert!(gone >= 20, "{gone}");
    let sqs = Admin::at(&stage.sandbox.endpoint_url()).sqs;
    let url = sqs.get_queue_url().queue_name("orders-parking").send().await.unwrap().queue_url.unwrap();
    sqs.purge_queue().queue_url(url).send().await.unwrap();
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6).summary();
    assert_adds_up(&summary);
    assert_eq!(figures(&summary, ["received", "kept", "failed", "parked"]), [60, 50 - gone, gone, 0], "{summary}");
    let report = stage.redrive(&["report"]).await.expect(0).stdout;
    assert!(report.contains("it is no longer in the parking queue"), "{report}");
}

const LATER: &str = r#"
version = 1
name = "later"
[source]
queue = "orders-dlq"
[unmatched]
to = "origin"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn where_a_parked_message_came_from_is_known_to_later_runs_with_the_same_journal() {
    let stage = planned(60, Options::default()).await;
    stage.redrive(&["apply", "plan.json"]).await.expect(0);
    let has_origin = |message: &sqs_sandbox::MessageState| message.dead_letter_queue_source_arn.is_some();
    let left = stage.sandbox.queue("orders-dlq").expect("the queue").messages;
    assert_eq!(left.iter().filter(|one| has_origin(one)).count(), 5, "SQS knows it of those that were not parked");
    stage.file("later.toml", LATER);

    let elsewhere = ["apply", "later.toml", "--auto-approve", "--format", "json", "--journal", "other.db"];
    let blocked = stage.redrive(&elsewhere).await.expect(6).summary();
    assert_eq!(figures(&blocked, ["moved", "blocked"]), [5, 45], "another journal cannot know: {blocked}");
    let here = ["apply", "later.toml", "--auto-approve", "--format", "json"];
    let summary = stage.redrive(&here).await.expect(0).summary();
    assert_eq!(figures(&summary, ["moved", "blocked"]), [45, 0], "{summary}");
    assert_eq!(stage.inventory("orders"), kept(60));
}

/// Applies the plan until SIGTERM comes with the `nth` request of this action to the parking queue.
async fn stopped_at(stage: &Stage, action: &str, nth: u64) -> Value {
    let at = |rule: Rule| rule.action(action).resource("orders-parking").nth(nth);
    stage.signalled(Signal::Term, When::After, at).await.expect(3).summary()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_given_up_brings_back_what_it_parked_and_does_nothing_else() {
    let stage = planned(240, Options { signals: true, ..Options::default() }).await;
    let [parked, moved] = figures(&stopped_at(&stage, "SendMessageBatch", 3).await, ["parked", "moved"]);
    assert!(parked >= 30, "{parked}");
    // The plan no longer fits: the run could not go on.
    let sqs = Admin::at(&stage.sandbox.endpoint_url()).sqs;
    let url = sqs.get_queue_url().queue_name("audit").send().await.unwrap().queue_url.unwrap();
    let policy = r#"{"redrivePermission":"denyAll"}"#;
    let change = sqs.set_queue_attributes().queue_url(url).attributes(QueueAttributeName::RedriveAllowPolicy, policy);
    change.send().await.unwrap();
    let refused = stage.redrive(&["apply", "plan.json"]).await.expect(4).stderr;
    assert!(refused.contains("--abandon"), "{refused}");
    let runs = stage.redrive(&["runs", "--format", "json"]).await.expect(0).stdout;
    let run: Value = serde_json::from_str(&runs).expect("one run");
    let run = run["run"].as_str().expect("a run");
    let given_up = stage.redrive(&["resolve", run, "--abandon"]).await.expect(0).stdout;
    let given_up = given_up.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(given_up.contains("The next apply only brings back the parked messages"), "{given_up}");

    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!(summary["outcome"], "abandoned", "{summary}");
    assert_eq!(figures(&summary, ["parked", "moved", "returned"]), [0, moved, parked], "{summary}");
    let left = 240 - usize::try_from(moved).expect("few");
    assert_eq!((stage.counts("orders-dlq"), stage.counts("orders-parking")), ((left, left), (0, 0)));
    let refused = stage.redrive(&["apply", "plan.json"]).await.expect(4).stderr;
    assert!(refused.contains("was given up"), "{refused}");

    let arguments = ["apply", "job.toml", "--auto-approve", "--allow-drift", "--format", "json"];
    let summary = stage.redrive(&arguments).await.expect(0).summary();
    assert_eq!(figures(&summary, ["moved", "kept"]), [40 - moved, 200], "planned anew: {summary}");
    assert_eq!((stage.inventory("orders-dlq"), stage.counts("audit").0), (kept(240), 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_on_its_way_back_can_be_decided() {
    for (when, decision) in [(When::After, "--discard"), (When::Before, "--resend")] {
        let stage = stage(60, Options::default()).await;
        stage.file("job.toml", &JOB.replace("\"resend\"", "\"hold\""));
        stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
        let lost = Rule::new(Fault::Cut { when }).action("SendMessageBatch").resource("orders-dlq").nth(1);
        stage.sandbox.faults().add(lost);
        let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(6).summary();
        let [held] = figures(&summary, ["held"]);
        assert!(held > 0 && stage.counts("orders-parking").0 as u64 == held, "{summary}");
        let run = summary["run"].as_str().expect("a run");

        let refused = stage.redrive(&["resolve", run, "--all", "--release"]).await.expect(2).stderr;
        assert!(refused.contains("in the parking queue") && refused.contains("nothing was changed"), "{refused}");
        let decided = stage.redrive(&["resolve", run, "--all", decision, "--format", "json"]).await.expect(0).stdout;
        let decided: Value = serde_json::from_str(&decided).expect("JSON");
        assert_eq!(decided["messages"], held, "{decision}");
        let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
        assert_adds_up(&summary);
        assert_eq!(figures(&summary, ["kept", "held", "parked"]), [50, 0, 0], "{decision}: {summary}");
        assert_eq!(stage.inventory("orders-dlq"), kept(60), "{decision}");
        assert_eq!(stage.counts("orders-parking"), (0, 0), "{decision}");
    }
}
