//! Random schedules: troubles, kills and resumes by a seed, which is printed where one fails. `REDRIVE_SEED=N` runs that one
//! alone. The soak runs one after the other for as long as `REDRIVE_SOAK` says: `90s`, `10m`, `1h`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sqs_sandbox::{Options, When};
use tokio::task::JoinSet;

use super::model::{Found, Others, total};
use super::troubles::{ACTS, SILENCES, TROUBLES, Trouble};
use super::{Archive, Crash, HANDS, InDoubt, Kept, Meanwhile, Scene, Setting, tell};
use crate::support::stage::each_of;

/// One schedule.
struct Schedule {
    setting: Setting,
    sessions: Vec<Session>,
}

/// What comes, at which request, and what becomes of the process.
struct Session {
    troubles: Vec<(Trouble, u64)>,
    /// The action whose answers are empty from a call on.
    empty: Option<(&'static str, usize)>,
    fate: Fate,
}

/// Of these an empty answer proves nothing. (An empty answer to a receive says that nothing is there, and one to a put that it is done.)
const MAY_BE_EMPTY: [&str; 4] =
    ["GetQueueAttributes", "SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"];

/// What becomes of a process.
#[derive(Debug)]
enum Fate {
    /// It comes to its end.
    Ends,
    Crashes(Crash),
    /// It is held at its nth request for longer than the visibility timeout.
    Sleeps(u64, Meanwhile),
}

impl Schedule {
    /// All that is random comes from the seed, and is drawn before anything runs.
    fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let setting = Setting {
            messages: [12, 36, 60, 120][random.random_range(0..4)],
            in_doubt: if random.random_bool(0.5) { InDoubt::Resend } else { InDoubt::Hold },
            archive: if random.random_bool(0.5) { Archive::S3 } else { Archive::File },
            limit: random.random_bool(0.2).then(|| random.random_range(1..=40)),
            journal: Kept::File,
        };
        let sessions = (0..random.random_range(1..=3)).map(|_| {
            let troubles = (0..random.random_range(0..=4)).map(|_| (trouble(&mut random), random.random_range(1..=40)));
            let troubles = troubles.collect();
            let empty = random
                .random_bool(0.15)
                .then(|| (MAY_BE_EMPTY[random.random_range(0..MAY_BE_EMPTY.len())], random.random_range(0..=8)));
            Session { troubles, empty, fate: fate(&mut random) }
        });
        Self { setting, sessions: sessions.collect() }
    }

    /// In words, for a failure.
    fn told(&self) -> String {
        let session = |Session { troubles, empty, fate }: &Session| {
            let troubles: Vec<_> = troubles.iter().map(|(trouble, nth)| format!("{} at {nth}", trouble.name)).collect();
            format!("[{}; empty: {empty:?}; {fate:?}]", troubles.join(", "))
        };
        self.sessions.iter().map(session).collect::<Vec<_>>().join(" ")
    }

    async fn run(self, seed: u64) -> Found {
        let at = format!("REDRIVE_SEED={seed}: {}", self.told());
        let scene = Arc::new(Scene::with_options(self.setting, Options { seed, ..Options::default() }).await);
        let mut others = Others::Nobody;
        for Session { troubles, empty, fate } in self.sessions {
            let mut acts = Vec::new();
            if let Some((action, honest)) = empty {
                scene.empties(action, honest).await;
            }
            for (trouble, nth) in troubles {
                acts.extend(scene.inflict(trouble, nth));
                if trouble.others() == Others::EmptiedIt {
                    others = Others::EmptiedIt;
                }
            }
            match fate {
                Fate::Crashes(crash) => drop(scene.crash(crash).await),
                Fate::Ends => drop(scene.apply().await),
                Fate::Sleeps(nth, meanwhile) => {
                    if scene.sleep(nth, meanwhile).await {
                        others = Others::EmptiedIt;
                    }
                }
            }
            for act in acts {
                act.abort();
                // Let it end before the next session.
                let _ = act.await;
            }
            scene.stage.sandbox.faults().clear();
            scene.empties_nothing().await;
            scene.assert_deleted_is_on_disk(&at);
        }
        let ran = scene.finish(&at).await;
        scene.assert_holds(&ran, others, &at).await
    }
}

fn trouble(random: &mut SmallRng) -> Trouble {
    match random.random_range(0..40) {
        0 => SILENCES[random.random_range(0..SILENCES.len())],
        // The clock and the purge; a queue that is gone ends a run for good.
        1 | 2 => ACTS[random.random_range(0..2)],
        _ => TROUBLES[random.random_range(0..TROUBLES.len())],
    }
}

fn fate(random: &mut SmallRng) -> Fate {
    let when = if random.random_bool(0.5) { When::Before } else { When::After };
    match random.random_range(0..10) {
        0 | 1 => Fate::Ends,
        // Of the jobs that archive to a file.
        7 | 8 => {
            let moment = ["before", "midst", "after"][random.random_range(0..3)];
            Fate::Crashes(Crash::Append(random.random_range(1..=3), moment))
        }
        2..5 => Fate::Crashes(Crash::Request(random.random_range(1..=60), when)),
        // Without debug assertions nothing happens at a commit, and the session comes to its end.
        5 | 6 => Fate::Crashes(Crash::Commit(random.random_range(1..=40), when)),
        _ => {
            let meanwhile = [Meanwhile::Taken(0), Meanwhile::Taken(5), Meanwhile::Taken(200), Meanwhile::Moved];
            Fate::Sleeps(random.random_range(1..=40), meanwhile[random.random_range(0..meanwhile.len())])
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_schedules_lose_nothing_and_repeat_nothing_that_is_not_listed() {
    let seeds = match std::env::var("REDRIVE_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => (1..=24).collect(),
    };
    let found = each_of(HANDS, seeds, |seed| Schedule::new(seed).run(seed)).await;
    tell(&total(found).told());
}

/// `90s`, `10m`, `1h`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()? * seconds))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a soak: it runs for as long as REDRIVE_SOAK says"]
async fn soak() {
    let asked = std::env::var("REDRIVE_SOAK").unwrap_or_else(|_| "1m".to_owned());
    let length = duration(&asked).expect("a time such as 90s, 10m or 1h");
    let first: u64 = std::env::var("REDRIVE_SEED")
        .map_or_else(|_| rand::random_range(1_000..1_000_000_000), |seed| seed.parse().expect("a number"));
    tell(&format!("soak of {asked}, seeds from {first}; REDRIVE_SEED={first} begins there again"));
    let (end, next) = (Instant::now() + length, Arc::new(AtomicU64::new(first)));
    let mut hands = JoinSet::new();
    for _ in 0..HANDS {
        let next = Arc::clone(&next);
        hands.spawn(async move {
            let mut found = Vec::new();
            while Instant::now() < end {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                found.push(Schedule::new(seed).run(seed).await);
            }
            total(found)
        });
    }
    // Stops at the first that does not hold.
    let mut found = Vec::new();
    while let Some(hand) = hands.join_next().await {
        found.push(hand.expect("every schedule holds"));
    }
    let last = next.load(Ordering::Relaxed) - 1;
    tell(&format!("{} schedules (seeds {first} to {last}): {}", last + 1 - first, total(found).told()));
}
