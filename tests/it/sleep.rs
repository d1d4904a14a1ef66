//! A process that sleeps for longer than its visibility timeout, as a laptop does, or a container that is paused: what it had
//! received is others' when it wakes, and it must not send it. Meanwhile somebody sends more to the source as well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use sqs_sandbox::{Options, Seed};
use tokio::process::Child;

use crate::end_to_end::{JOB, assert_adds_up, message};
use crate::stops::{signal, until_held};
use crate::support::admin::Admin;
use crate::support::stage::{Ran, Stage, each};
use crate::two::{everywhere, on_another_machine};
use crate::{fifo, park};

const TOTAL: usize = 120;
const NEW: usize = 12;

/// The jobs whose process sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Two queues and a bucket.
    Queues,
    /// The same, with what is in doubt held.
    Held,
    /// Two queues and a file.
    File,
    /// An exact plan.
    Exact,
    /// From one FIFO queue to another, in twelve groups.
    Groups,
    /// What no rule takes waits in a parking queue.
    Parked,
}

impl Shape {
    const ALL: [Self; 6] = [Self::Queues, Self::Held, Self::File, Self::Exact, Self::Groups, Self::Parked];

    const fn source(self) -> &'static str {
        if matches!(self, Self::Groups) { "in.fifo" } else { "orders-dlq" }
    }

    /// At a rate that leaves a second between batches.
    fn job(self) -> String {
        let to_s3 = r#"s3 = { bucket = "archive", key = "{date}/{message_id}.json" }"#;
        let exhausted = "exhausted = \"archive\"";
        assert!(JOB.contains(to_s3) && JOB.contains(exhausted));
        let job = match self {
            Self::Queues | Self::Exact => JOB.to_owned(),
            Self::Held => JOB.replace(exhausted, "exhausted = \"archive\"\nin_doubt = \"hold\""),
            Self::File => JOB.replace(to_s3, r#"file = { path = "archive.jsonl" }"#),
            Self::Groups => fifo::JOB.to_owned(),
            Self::Parked => park::JOB.replace("[limits]\nconcurrency = 2\n", ""),
        };
        format!("{job}\n[limits]\nrate = \"10/s\"\n")
    }

    fn seed(self, number: usize) -> Seed {
        match self {
            Self::Groups => {
                let mut seed = Seed::new(format!("{{\"round\":{number}}}"));
                seed.group = Some(format!("group-{}", number % 12));
                seed.deduplication = Some(format!("d{number}"));
                seed
            }
            Self::Parked => park::message(number),
            _ => message(number),
        }
    }

    /// A stage with the messages and a plan.
    async fn planned(self) -> Stage {
        let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
        stage.orders();
        stage.queue("orders-parking", &[("MessageRetentionPeriod", "1209600")]);
        for name in ["in.fifo", "out.fifo"] {
            stage.queue(name, &[("FifoQueue", "true")]);
        }
        self.send(&stage, 0..TOTAL);
        stage.file("job.toml", &self.job());
        let plan = ["plan", "job.toml", "--out", "plan.json", "--exact"];
        stage.redrive(&plan[..if self == Self::Exact { 5 } else { 4 }]).await.expect(0);
        stage
    }

    fn send(self, stage: &Stage, numbers: std::ops::Range<usize>) {
        stage.sandbox.seed(self.source(), numbers.map(|number| self.seed(number))).expect("seeded");
    }
}

/// A run that slept once it had sent and deleted something and had much in hand. All that it had received is visible again.
struct Asleep {
    shape: Shape,
    stage: Stage,
    child: Child,
    /// What it had sent and not deleted: nothing can be done about that.
    limbo: BTreeSet<String>,
    /// When it fell asleep, since 1970.
    at: Duration,
}

impl Asleep {
    async fn new(shape: Shape) -> Self {
        let stage = shape.planned().await;
        let child = stage.spawn(&["apply", "plan.json", "--format", "json"]);
        let twice = |stage: &Stage| {
            let bodies = everywhere(stage).into_iter().filter(|(_, number)| *number > 1);
            bodies.map(|(body, _)| body).collect::<BTreeSet<String>>()
        };
        let idle = async {
            // Between two batches, so that none is on its way when it is held.
            while stage.requests("DeleteMessageBatch") == 0 || !twice(&stage).is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(2), idle).await.expect("it sends and deletes");
        signal(child.id().expect("running"), Signal::STOP);
        until_held(child.id().expect("running")).await;
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let (all, visible) = stage.counts(shape.source());
        assert!(all - visible > 10, "it had only {} in hand", all - visible);
        let expired = async {
            while stage.counts(shape.source()).0 > stage.counts(shape.source()).1 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(2), expired).await.expect("all are visible again");
        // Now, when whatever was on the wire has arrived.
        let limbo = twice(&stage);
        shape.send(&stage, TOTAL..TOTAL + NEW);
        Self { shape, stage, child, limbo, at }
    }

    /// Lets it go on to its end.
    async fn wakes(self) -> (Stage, Shape, BTreeSet<String>, Ran) {
        let Self { shape, stage, child, mut limbo, at } = self;
        let awake_from = stage.sandbox.log().last().map_or(0, |entry| entry.number);
        signal(child.id().expect("running"), Signal::CONT);
        let mut ran = Ran::of(child.wait_with_output().await.expect("ended"));
        // Out of a FIFO queue it stops, so that the order is kept.
        let mut stops = 0;
        while shape == Shape::Groups && ran.code == Some(3) && stops < 4 {
            ran = stage.redrive(&["apply", "plan.json", "--format", "json"]).await;
            stops += 1;
        }
        // What is gone from the source counts as failed.
        assert!(matches!(ran.code, Some(0 | 6)), "{shape:?} {:?}\n{}\n{}", ran.code, ran.stdout, ran.stderr);
        assert_adds_up(&ran.summary());
        assert_eq!(ran.summary()["in_doubt"], 0, "{shape:?} {}", ran.stdout);
        let late = stage.signed_before(at, awake_from);
        let digests: Vec<_> = late.iter().flat_map(|entry| &entry.messages).map(|message| &message.body_md5).collect();
        let is_late = |body: &String| digests.contains(&&Some(redrive::md5::of_body(body)));
        limbo.extend(everywhere(&stage).into_keys().filter(is_late));
        (stage, shape, limbo, ran)
    }
}

/// Every message is somewhere, and none twice but what was sent and not deleted. Within a group they arrived in order.
fn assert_once(taken: Vec<String>, (stage, shape, limbo, ran): &(Stage, Shape, BTreeSet<String>, Ran)) {
    let mut bodies = everywhere(stage);
    for body in taken {
        *bodies.entry(body).or_default() += 1;
    }
    assert_eq!(bodies.len(), TOTAL + NEW, "{shape:?}: nothing is lost: {}", ran.stdout);
    let twice: Vec<_> = bodies.iter().filter(|(body, number)| **number > 1 && !limbo.contains(*body)).collect();
    assert!(twice.is_empty(), "{shape:?}: {} are there twice: {twice:?} {}", twice.len(), ran.stdout);
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for message in stage.sandbox.queue("out.fifo").expect("queue").messages {
        let round =
            serde_json::from_str::<serde_json::Value>(&message.body).expect("JSON")["round"].as_u64().expect("n");
        let before = last.insert(message.message_group_id.expect("a group"), round);
        assert!(before.is_none_or(|before| before < round), "{round} arrived after {before:?}: {}", ran.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_second_machine_moved_meanwhile_is_not_sent_by_one_that_slept() {
    each(Shape::ALL.to_vec(), |shape| async move {
        let asleep = Asleep::new(shape).await;
        let other = on_another_machine(&asleep.stage).await;
        // Of a parking queue that somebody uses, another machine keeps away.
        let keeps_away = shape == Shape::Parked && other.code == Some(4) && other.stderr.contains("must be empty");
        assert!(keeps_away || other.code == Some(0), "{shape:?} {:?} {}\n{}", other.code, other.stdout, other.stderr);
        assert_once(Vec::new(), &asleep.wakes().await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_consumer_took_meanwhile_is_not_sent_by_one_that_slept() {
    each(Shape::ALL.to_vec(), |shape| async move {
        let asleep = Asleep::new(shape).await;
        let stage = &asleep.stage;
        let admin = Admin::at(&stage.sandbox.endpoint_url());
        let url = admin.sqs.get_queue_url().queue_name(shape.source()).send().await.unwrap().queue_url.unwrap();
        let mut taken = Vec::new();
        while stage.counts(shape.source()).0 > 0 {
            let received = admin.sqs.receive_message().queue_url(&url).max_number_of_messages(10).send().await.unwrap();
            for message in received.messages.unwrap_or_default() {
                let handle = message.receipt_handle.unwrap();
                admin.sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
                taken.push(message.body.unwrap());
            }
        }
        assert_once(taken, &asleep.wakes().await);
    })
    .await;
}
