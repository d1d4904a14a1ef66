//! Exact plans: pinned to message IDs, so that apply moves these and no others; and drift, at the very message where it begins.

use std::time::Duration;

use redrive::plan::{Plan, to_text};
use serde_json::Value;
use sqs_sandbox::{Fault, Options, Rule, Seed, When, Whereabouts};

use crate::end_to_end::{JOB, assert_adds_up, message};
use crate::support::admin::Admin;
use crate::support::stage::{Stage, failed};
use crate::trouble::{assert_said, assert_untouched, told};

const TOTAL: usize = 24;

async fn stage(total: usize, job: &str) -> Stage {
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..total).map(message)).expect("seeded");
    stage.file("job.toml", job);
    stage
}

async fn exact(stage: &Stage) -> Plan {
    stage.redrive(&["plan", "job.toml", "--exact", "--out", "plan.json"]).await.expect(0);
    plan(stage)
}

fn plan(stage: &Stage) -> Plan {
    let bytes = std::fs::read(stage.path("plan.json")).expect("the plan");
    redrive::plan::parse(&bytes, "plan.json").expect("a plan")
}

async fn applied(stage: &Stage, code: i32) -> Value {
    stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(code).summary()
}

/// Takes some of the messages away, as a colleague with a script would.
async fn take_away(stage: &Stage, number: usize) {
    let admin = Admin::at(&stage.sandbox.endpoint_url());
    let url = admin.queue("orders-dlq", &[]).await;
    let mut left = number;
    while left > 0 {
        let most = i32::try_from(left.min(10)).expect("small");
        let received = admin.sqs.receive_message().queue_url(&url).max_number_of_messages(most).send().await;
        for message in received.expect("received").messages.unwrap_or_default() {
            let handle = message.receipt_handle.expect("a handle");
            admin.sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.expect("deleted");
            left -= 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_moves_the_pinned_messages_and_no_others_and_says_what_became_of_the_rest() {
    let stage = stage(TOTAL, JOB).await;
    let planned = exact(&stage).await;
    assert_eq!(planned.pins.as_ref().map(redrive::plan::Pins::len), Some(TOTAL));
    assert_untouched(&stage, TOTAL, "looked at and given back");
    assert!(planned.rules.iter().all(|rule| rule.estimate.low == rule.estimate.high));

    // One is not what it was; no server can be made to change a message, so the plan is.
    let text = to_text(&planned).expect("JSON");
    let (id, digest) = text
        .lines()
        .find_map(|line| {
            let pin = line.trim().trim_matches([',', '"']);
            pin.split_once(' ').filter(|(id, digest)| id.len() == 36 && digest.len() == 22)
        })
        .expect("a pin");
    let altered = text.replace(&format!("{id} {digest}"), &format!("{id} AAAAAAAAAAAAAAAAAAAAAA"));
    let altered: Plan = serde_json::from_str(&altered).expect("a plan");
    stage.file("plan.json", &to_text(&altered.seal()).expect("JSON"));
    // Others come that every rule would take, and that are old enough for every bound on time.
    stage.sandbox.seed("orders-dlq", (0..6).map(message)).expect("seeded");

    let ran = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0);
    let summary = ran.summary();
    assert_adds_up(&summary);
    let pinned = &summary["pinned"];
    assert_eq!((&pinned["planned"], &pinned["gone"], &pinned["changed"]), (&24.into(), &0.into(), &1.into()));
    // A run that has met all that it is about does not go on looking.
    assert!(pinned["others"].as_u64().is_some_and(|others| others <= 6), "{summary}");
    let moved = summary["moved"].as_u64().expect("moved") + summary["archived"].as_u64().expect("archived");
    let would_move = planned.totals().leaving();
    assert!((would_move - 1..=would_move).contains(&moved), "{summary}");
    let left = stage.sandbox.queue("orders-dlq").expect("the queue").messages;
    assert_eq!(left.len() as u64, TOTAL as u64 + 6 - moved);
    assert!(left.iter().all(|message| message.state == Whereabouts::Visible), "what stays is visible again");
    assert!(left.iter().any(|message| message.id == id), "what had changed stays");
    let report = stage.redrive(&["report"]).await.expect(0).stdout;
    assert!(report.contains("Of 24 messages in the plan, 0 were gone and 1 had changed"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pinned_messages_that_are_gone_are_counted_and_newcomers_stay() {
    let stage = stage(TOTAL, JOB).await;
    exact(&stage).await;
    take_away(&stage, 5).await;
    stage.sandbox.seed("orders-dlq", (0..7).map(message)).expect("seeded");
    let summary = applied(&stage, 0).await;
    let pinned = &summary["pinned"];
    assert_eq!((&pinned["planned"], &pinned["gone"]), (&24.into(), &5.into()));
    assert_eq!(pinned["others"], 7, "{summary}");
    let summary_text = stage.redrive(&["apply", "plan.json"]).await.expect(0).stdout;
    assert!(summary_text.contains("7 messages not in the plan:"), "{summary_text}");
    let report = stage.redrive(&["report", "--format", "markdown"]).await.expect(0).stdout;
    assert!(report.contains("Of 24 messages in the plan, 5 were gone and 0 had changed"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exact_run_that_is_stopped_goes_on_with_its_pins() {
    let stage = stage(TOTAL, JOB).await;
    exact(&stage).await;
    stage.sandbox.faults().add(Rule::new(Fault::AccessDenied).action("SendMessageBatch").nth(2));
    let summary = applied(&stage, 3).await;
    assert_eq!(summary["pinned"]["planned"], 24);
    stage.sandbox.faults().clear();
    stage.sandbox.seed("orders-dlq", (0..6).map(message)).expect("seeded");
    // By the job: the plan with its pins comes from the journal.
    let summary = stage.redrive(&["apply", "job.toml", "--auto-approve", "--format", "json"]).await.expect(0).summary();
    assert_eq!((&summary["pinned"]["gone"], &summary["pinned"]["changed"]), (&0.into(), &0.into()));
    let moved = summary["moved"].as_u64().expect("moved") + summary["archived"].as_u64().expect("archived");
    assert_eq!(moved, 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_is_looked_at_once_however_long_it_takes_and_however_often_it_is_delivered() {
    const MANY: usize = 1_500;
    let stage = Stage::with_queues().await;
    stage.sandbox.seed("orders-dlq", (0..MANY).map(|number| failed(number.to_string()))).expect("seeded");
    // The visibility timeout is ten seconds, and ten rounds take seven: what is held has to be extended.
    stage.file("job.toml", JOB);
    let slow = Fault::Latency { ms: 700, jitter_ms: 0, when: When::After };
    stage.sandbox.faults().add(Rule::new(slow).action("ReceiveMessage"));
    stage.sandbox.faults().add(Rule::new(Fault::Duplicate).action("ReceiveMessage").times(20));
    let planned = exact(&stage).await;
    assert_eq!(planned.pins.map(|pins| pins.len()), Some(MANY));
    assert_eq!(planned.sample.messages, MANY as u64);
    assert!(stage.requests("ChangeMessageVisibilityBatch") > MANY / 10, "nothing was extended");
    let waiting = async {
        while stage.counts("orders-dlq") != (MANY, MANY) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("all are given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_at_whole_is_refused_with_the_sums() {
    let small = Stage::with_options(Options { in_flight_limit: 20, ..Options::default() }).await;
    small.orders();
    small.sandbox.seed("orders-dlq", (0..TOTAL).map(message)).expect("seeded");
    small.file("job.toml", JOB);
    let ran = small.redrive(&["plan", "job.toml", "--exact", "--out", "plan.json"]).await.expect(4);
    let mut said = told("more than can be in flight", &ran);
    assert_untouched(&small, TOTAL, "given back");

    let fifo = Stage::new().await;
    let attributes = [("FifoQueue", "true"), ("ContentBasedDeduplication", "true")];
    fifo.queue("in.fifo", &attributes);
    fifo.queue("out.fifo", &attributes);
    let grouped = |number: usize| {
        let mut seed = Seed::new(number.to_string());
        seed.group = Some("one".to_owned());
        seed.age_ms = 60_000;
        seed
    };
    fifo.sandbox.seed("in.fifo", (0..30).map(grouped)).expect("seeded");
    fifo.file(
        "job.toml",
        "version = 1\nname = \"fifo\"\n[source]\nqueue = \"in.fifo\"\n[destination.out]\nsqs = { queue = \"out.fifo\" }\n\
         [unmatched]\nto = \"out\"\n",
    );
    let ran = fifo.redrive(&["plan", "job.toml", "--exact", "--out", "plan.json"]).await.expect(4);
    said += &told("a group that hides its messages", &ran);
    assert!(!small.path("plan.json").exists() && !fifo.path("plan.json").exists());
    assert_said("exact-refused", &said);
}

/// Adds messages until the rule of timeouts has so many more than were planned, and applies.
async fn with_more(kind: usize, more: usize, code: i32) -> (Stage, Value) {
    let stage = stage(TOTAL, JOB).await;
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    let of_kind = (0..).map(|number| number * 3 + kind).take(more);
    stage.sandbox.seed("orders-dlq", of_kind.map(message)).expect("seeded");
    let summary = applied(&stage, code).await;
    (stage, summary)
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_begins_at_the_message_beyond_the_bound() {
    // Eight of each kind were planned, all of the queue seen; ten more are tolerated. Of the third kind, all stay.
    let (leaving, staying) = tokio::join!(with_more(0, 10, 0), with_more(2, 10, 0));
    assert_eq!((&leaving.1["outcome"], leaving.0.counts("orders-dlq").0), (&"finished".into(), 8));
    assert_eq!((&staying.1["outcome"], staying.0.counts("orders-dlq").0), (&"finished".into(), 18));

    let (leaving, staying) = tokio::join!(with_more(0, 11, 5), with_more(2, 11, 5));
    for (stage, summary) in [&leaving, &staying] {
        assert_eq!(summary["outcome"], "drifted", "{summary}");
        let (all, visible) = stage.counts("orders-dlq");
        assert_eq!(all, visible, "what stays is visible again");
    }
    let of_rule = |summary: &Value| -> u64 {
        let rules = summary["rules"].as_array().expect("rules").iter();
        rules
            .filter(|row| row["rule"] == "timeouts" && row["state"] == "done")
            .filter_map(|row| row["messages"].as_u64())
            .sum()
    };
    assert!(of_rule(&leaving.1) <= 18, "the bound is not passed: {}", leaving.1);
    assert!(
        leaving.1["error"].as_str().is_some_and(|error| error.contains("more than the 18 messages")),
        "{}",
        leaving.1
    );
    assert!(
        staying.1["error"].as_str().is_some_and(|error| error.contains("kept or blocked, than the 18")),
        "{}",
        staying.1
    );
    let (leaving, staying) = (leaving.0, staying.0);
    for stage in [&leaving, &staying] {
        stage.redrive(&["apply", "plan.json", "--allow-drift"]).await.expect(0);
    }
    assert_eq!((leaving.counts("orders-dlq").0, staying.counts("orders-dlq").0), (8, 19));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_plan_says_what_changed_and_nothing_where_nothing_did() {
    let stage = stage(TOTAL, JOB).await;
    exact(&stage).await;
    let same = stage.redrive(&["plan", "job.toml", "--out", "same.json", "--diff", "plan.json"]).await.expect(0);
    assert!(same.stdout.contains("messages that the plan is pinned to"), "{}", same.stdout);
    let same = stage.redrive(&["plan", "job.toml", "--diff", "same.json"]).await.expect(0);
    assert!(same.stdout.contains("No changes beyond what chance explains"), "{}", same.stdout);
    stage.file("job.toml", &JOB.replace("prefix = \"us-\"", "prefix = \"eu-\""));
    stage.sandbox.seed("orders-dlq", (0..30).map(message)).expect("seeded");
    let format = ["--format", "json"];
    let changed =
        stage.redrive(&[&["plan", "job.toml", "--diff", "same.json"][..], &format[..]].concat()).await.expect(0);
    let changed: Value = serde_json::from_str(&changed.stdout).expect("JSON");
    assert_eq!((&changed["type"], &changed["changed"]), (&"plan_comparison".into(), &true.into()));
    let comparison = &changed["comparison"];
    assert_eq!(comparison["job"].as_array().map(Vec::len), Some(2), "{comparison}");
    assert!(comparison["figures"].as_array().is_some_and(|figures| !figures.is_empty()), "{comparison}");
    let shown = stage.redrive(&["show", "same.json", "--diff", "plan.json", "--format", "markdown"]).await.expect(0);
    assert!(shown.stdout.starts_with("## Plan "), "{}", shown.stdout);
}
