//! A FIFO destination after a send whose answer was lost: sent again with the same deduplication ID only as long as the queue
//! knows it, by the journal's time; later it is in doubt, as to any queue.

use std::time::Duration;

use sqs_sandbox::{Fault, Options, Rule, Seed, When};

use crate::support::stage::{Ran, Stage, each};

const MESSAGES: usize = 10;

/// A run to a FIFO queue that was killed after its first send had its effect, and before it had the answer.
async fn killed_while_sending(policy: &str) -> Stage {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.queue("in", &[]);
    stage.queue("out.fifo", &[("FifoQueue", "true")]);
    let seeds = (0..MESSAGES).map(|number| {
        let mut seed = Seed::new(format!("{number}"));
        seed.age_ms = 60_000;
        seed
    });
    stage.sandbox.seed("in", seeds).expect("seeded");
    let job = format!(
        "version = 1\nname = \"to-fifo\"\n[source]\nqueue = \"in\"\nvisibility_timeout = \"10s\"\n\
         [destination.out]\nsqs = {{ queue = \"out.fifo\", message_group_id = \"{{message_id}}\" }}\n[retry]\nattribute = \"round\"\nmax = 3\nexhausted = \"keep\"\nin_doubt = \"{policy}\"\n[unmatched]\nto = \"out\"\n"
    );
    stage.file("job.toml", &job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    assert!(stage.killed_at(When::After, |rule| rule.action("SendMessageBatch").nth(1)).await, "it was killed");
    assert!(stage.counts("out.fifo").0 > 0, "the send had its effect");
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifo_queue_is_sent_to_again_only_while_it_knows_the_deduplication_id() {
    // How long the process was down, by the servers' clocks; the job's policy; held, and at the destination.
    let cases = vec![(0, "hold", false), (3, "hold", false), (6, "hold", true), (6, "resend", false)];
    each(cases, |(minutes, policy, holds)| async move {
        let stage = killed_while_sending(policy).await;
        let sent = stage.counts("out.fifo").0;
        // The machine's own clock does not move: to this run it was set back while it was down.
        stage.sandbox.advance(Duration::from_mins(minutes));
        let ran = stage.redrive(&["apply", "plan.json", "--format", "json"]).await;
        let summary = ran.expect(if holds { 6 } else { 0 }).summary();
        let at = format!("down for {minutes} min, {policy}: {summary}");
        let in_doubt = usize::try_from(summary["in_doubt"].as_u64().expect("in_doubt")).expect("small");
        assert!(in_doubt >= sent, "{at}");
        assert_eq!(summary["held"], if holds { in_doubt } else { 0 }, "{at}");
        let expected = match (minutes, policy) {
            // Past the window the queue takes it as a new message; it is listed.
            (6, "resend") => MESSAGES + sent,
            (6, _) => MESSAGES - (in_doubt - sent),
            _ => MESSAGES,
        };
        assert_eq!(stage.counts("out.fifo").0, expected, "{at}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_that_waits_until_the_window_is_past_is_held() {
    let stage = killed_while_sending("hold").await;
    let sent = stage.counts("out.fifo").0;
    stage.sandbox.clear_log();
    // Judged inside the window, and throttled while the clocks go on: the answers say what time it is.
    let throttled = stage.sandbox.faults().add(Rule::new(Fault::Throttle).action("SendMessageBatch"));
    let child = stage.spawn(&["apply", "plan.json", "--format", "json"]);
    stage.until_requested("SendMessageBatch").await;
    stage.sandbox.advance(Duration::from_mins(6));
    let seen = stage.requests("SendMessageBatch");
    let one_more = async {
        while stage.requests("SendMessageBatch") == seen {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // Where there is none the run has stopped, which is as good.
    let _ = tokio::time::timeout(Duration::from_secs(20), one_more).await;
    stage.sandbox.faults().remove(throttled);
    let ran = Ran::of(child.wait_with_output().await.expect("ended"));
    let ran = if ran.code == Some(3) { stage.redrive(&["apply", "plan.json", "--format", "json"]).await } else { ran };
    let summary = ran.expect(6).summary();
    let held = usize::try_from(summary["held"].as_u64().expect("held")).expect("small");
    assert!(held >= sent && summary["in_doubt"] == held, "{summary}");
    assert_eq!(stage.counts("out.fifo").0, MESSAGES - (held - sent), "{summary}");
}
