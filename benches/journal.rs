//! What the journal costs: `cargo bench --bench journal [-- MESSAGES]`. Bytes on disk for each finished message, measured on
//! messages that went through it as apply's do, a tenth of the number; and how long a journal of so many finished messages,
//! of a run that was killed, takes to be opened and gone on with.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use redrive::journal::{
    Admitted, Decided, DeleteEnd, Delivery, Journal, Judged, Judgement, Reader, RunSpec, SendEnd, SessionEnd, Settled,
    Settlement, prune, system_clock,
};
use redrive::message::{MessageId, ReceiptHandle};
use redrive::target::{RuleId, TargetId};
use rusqlite::Connection;

/// The journal that the goals speak of.
const MESSAGES: usize = 5_000_000;

const SOURCE: &str = "arn:aws:sqs:eu-west-1:123456789012:orders-dlq";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let messages = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(MESSAGES);
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("journal.db");

    let moved = messages / 10;
    let took = move_messages(&path, moved).await?;
    let bytes = std::fs::metadata(&path)?.len();
    println!("{moved} messages through the journal: {took:.1?}, {} bytes each on disk", bytes / moved as u64);

    let took = Instant::now();
    fill(&path, messages - moved)?;
    println!("filled up to {messages}: {:.1?}, {} MB", took.elapsed(), std::fs::metadata(&path)?.len() / 1_000_000);

    let took = Instant::now();
    let journal = Journal::open(&path, system_clock(|| None))?;
    let opened = took.elapsed();
    let begun = journal.begin(run("run")).await?;
    println!(
        "opened in {opened:.1?}, ready to go on after {:.1?} with {} messages in doubt",
        took.elapsed(),
        begun.in_doubt
    );
    let took = Instant::now();
    let delivery = |number: u64| delivery(&id(number));
    journal.admit((0..10).map(delivery).collect()).await?;
    println!("asked about ten messages: {:.1?}", took.elapsed());
    journal
        .end(SessionEnd {
            finished: true,
            has_orphans: false,
            outcome: "finished".to_owned(),
            requests: 0,
            elapsed_ms: 0,
        })
        .await?;
    drop(journal);

    let took = Instant::now();
    let tally = Reader::open(&path)?.ok_or("no journal")?.tally("run")?;
    println!("figures of {} messages read in {:.1?}", tally.received(), took.elapsed());
    let took = Instant::now();
    let pruned = prune(&path, &["run".to_owned()])?;
    println!("pruned {} messages in {:.1?}: {} bytes are left", pruned.messages, took.elapsed(), pruned.after);
    Ok(())
}

fn run(name: &str) -> RunSpec {
    let (source_arn, job_sha256) = (SOURCE.to_owned(), "0".repeat(64));
    RunSpec { name: name.to_owned(), source_arn, job_sha256, plan: "{}".to_owned(), approvals: "[]".to_owned() }
}

/// As random as SQS's: a UUID out of a number.
fn id(number: u64) -> String {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let other = mixed.rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let hex = format!("{mixed:016x}{other:016x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn delivery(id: &str) -> Delivery {
    let received = Timestamp::now();
    Delivery {
        id: MessageId::new(id),
        // As long as SQS's.
        receipt: ReceiptHandle::new("A".repeat(340)),
        receive_count: Some(4),
        origin: Some("arn:aws:sqs:eu-west-1:123456789012:orders".to_owned()),
        received,
        until: received.checked_add(Duration::from_mins(5)).unwrap_or(Timestamp::MAX),
    }
}

/// Sixteen workers that move messages in batches of ten, as far as the journal is concerned. The run is left unfinished.
async fn move_messages(path: &Path, messages: usize) -> redrive::error::Result<Duration> {
    let journal = Arc::new(Journal::open(path, system_clock(|| None))?);
    journal.begin(run("run")).await?;
    let took = Instant::now();
    let workers = (0..16_u64).map(|worker| {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move {
            for batch in 0..messages as u64 / 160 {
                let first = (batch * 16 + worker) * 10;
                move_batch(&journal, first).await?;
            }
            Ok::<(), redrive::error::Error>(())
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    }
    Ok(took.elapsed())
}

async fn move_batch(journal: &Journal, first: u64) -> redrive::error::Result<()> {
    let admitted = journal.admit((first..first + 10).map(|number| delivery(&id(number))).collect()).await?;
    let judgements = admitted.into_iter().filter_map(|admitted| match admitted {
        Admitted::New(claim) => {
            Some(Judgement { claim, rule: RuleId(0), exhausted: false, decision: Decided::Send(TargetId(0)) })
        }
        _ => None,
    });
    let judged = journal.judge(judgements.collect()).await?;
    let settlements = judged.into_iter().zip(first..).filter_map(|(judged, number)| match judged {
        Judged::Intended(intended) => {
            // The new ID is another one.
            let end = SendEnd::Acknowledged(Some(MessageId::new(id(number + (1 << 40)))));
            Some(Settlement { intended, end })
        }
        _ => None,
    });
    let settled = journal.settle(settlements.collect()).await?;
    let deletes = settled.into_iter().filter_map(|settled| match settled {
        Settled::Sent(sent) => Some((sent, DeleteEnd::Confirmed)),
        _ => None,
    });
    journal.deleted(deletes.collect()).await.map(drop)
}

/// Adds finished messages to the run at once, and four thousand on their way, as a killed process leaves them.
fn fill(path: &Path, messages: usize) -> rusqlite::Result<()> {
    let connection = Connection::open(path)?;
    connection.execute_batch(&format!(
        "PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; BEGIN;
         INSERT INTO rested (source, id, run, state, rule, target, exhausted, doubts, since, sent_as, receive_count, origin, at)
         WITH RECURSIVE number (n) AS (SELECT 4001 UNION ALL SELECT n + 1 FROM number WHERE n < {messages})
         SELECT 1, randomblob(16), 1, 3, 0, 0, 0, 0, 1795000000000 + n, randomblob(16), 4, 2, 1795000000000 + n FROM number;
         INSERT INTO rested (source, id, run, state, rule, target, exhausted, doubts, since, receive_count, origin, at)
         WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 4000)
         SELECT 1, randomblob(16), 1, 1, 0, 0, 0, 0, 1795000000000 + n, 4, 2, 1795000000000 + n FROM number;
         INSERT INTO lease (source, id, run, handle, received, until)
         SELECT 1, id, 1, hex(randomblob(100)), at, at + 300000 FROM rested WHERE state = 1;
         INSERT OR IGNORE INTO by_id SELECT substr(id, 1, 8), seq FROM rested ORDER BY 1;
         INSERT OR IGNORE INTO by_sent_as SELECT substr(sent_as, 1, 8), seq FROM rested WHERE state = 3 ORDER BY 1;
         DELETE FROM tally; INSERT INTO tally SELECT run, state, rule, target, exhausted, 0, count(*) FROM rested
         GROUP BY 1, 2, 3, 4, 5; UPDATE run SET in_session = 1; COMMIT; PRAGMA wal_checkpoint(TRUNCATE)"
    ))
}
