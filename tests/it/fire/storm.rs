//! A storm of throttling: afterwards fewer requests are under way at once, by the servers' own log, and the run comes to its end.

use std::ops::Range;

use sqs_sandbox::{Fault, Rule, Seed, When};

use crate::support::stage::Stage;

const SEND: &str = "SendMessageBatch";
const MESSAGES: usize = 800;

/// The requests of the storm, by their numbers among all sends: one for each batch that is under way, and so few more that no batch
/// meets eight of them, even if it is the only one by then.
const STORM: Range<usize> = 24..54;

/// So many batches are under way at once in the beginning, and may be in the midst of the storm.
const FIRST_HANDS: usize = 24;

/// How many of these were under way at once at the most.
fn at_once(requests: &[Range<u64>]) -> usize {
    let begun = |at: u64| requests.iter().filter(|request| request.contains(&at)).count();
    requests.iter().map(|request| begun(request.start)).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_storm_of_throttling_fewer_requests_are_under_way_at_once_and_the_run_ends() {
    let stage = Stage::new().await;
    stage.queue("in", &[]);
    stage.queue("out", &[]);
    let messages = (0..MESSAGES).map(|number| Seed { age_ms: 60_000, ..Seed::new(format!("{number}")) });
    stage.sandbox.seed("in", messages).expect("seeded");
    stage.file(
        "job.toml",
        "version = 1\nname = \"storm\"\n[source]\nqueue = \"in\"\n[destination.out]\nsqs = { queue = \"out\" }\n\
         [unmatched]\nto = \"out\"\n",
    );
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.clear_log();
    // The first are so slow that a busy machine has the time to begin as many as it may.
    let slow = |ms| Rule::new(Fault::Latency { ms, jitter_ms: 0, when: When::Before }).action(SEND);
    stage.sandbox.faults().add(slow(8_000).times(FIRST_HANDS as u64));
    stage.sandbox.faults().add(slow(400));
    for number in STORM {
        stage.sandbox.faults().add(Rule::new(Fault::Throttle).action(SEND).nth(number as u64 + 1));
    }
    let summary = stage.redrive(&["apply", "plan.json", "--format", "json"]).await.expect(0).summary();
    assert_eq!((&summary["moved"], &summary["in_doubt"]), (&MESSAGES.into(), &0.into()), "{summary}");
    assert_eq!(stage.counts("out").0, MESSAGES);

    let log = stage.sandbox.log().into_iter().filter(|entry| entry.action == SEND);
    let sends: Vec<Range<u64>> = log.map(|entry| entry.at_ms..entry.at_ms + entry.took_us / 1000).collect();
    // What was under way in the storm keeps its hand until it has got through.
    let calm = STORM.end + FIRST_HANDS;
    let (before, after) = (at_once(&sends[..STORM.start]), at_once(&sends[calm..calm + 8]));
    assert!(before > FIRST_HANDS / 2 && after <= before / 2, "{before} at once, then {after}: {sends:?}");
}
