//! What the journal costs: `cargo bench --bench journal [-- MESSAGES]`. Time and bytes on disk
//! for each message that goes through it as apply's do, of the first tenth and of the others; and how long a journal of so many
//! finished messages, of a run that was killed, takes to be opened and gone on with.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use redrive::journal::{Journal, Reader, prune, system_clock};
use redrive_protocol::message::{MessageId, ReceiptHandle};
use redrive_protocol::protocol::{
    Admitted, Decided, DeleteEnd, Delivery, Judged, Judgement, RunSpec, SendEnd, SessionEnd, Settled, Settlement,
    Totals,
};
use redrive_protocol::target::{RuleId, TargetId};

/// The journal that the goals speak of.
const MESSAGES: u64 = 5_000_000;

const SOURCE: &str = "arn:aws:sqs:eu-west-1:123456789012:orders-dlq";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let messages = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(MESSAGES);
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("journal.db");

    let tenth = messages / 10;
    for part in [0..tenth, tenth..messages] {
        let (count, took) = (part.end - part.start, move_messages(&path, part).await?);
        let (each, bytes) = (took / u32::try_from(count)?, std::fs::metadata(&path)?.len());
        println!("{count} messages through the journal: {each:.1?} each; {} MB on disk", bytes / 1_000_000);
    }
    let bytes = std::fs::metadata(&path)?.len();
    println!("{} bytes each on disk", bytes / messages);
    die(&path, messages).await?;

    let took = Instant::now();
    let journal = Journal::open(&path.clone().into(), system_clock(|| None))?;
    let opened = took.elapsed();
    let begun = journal.begin(run("run")).await?;
    println!(
        "opened in {opened:.1?}, ready to go on after {:.1?} with {} messages in doubt",
        took.elapsed(),
        begun.in_doubt
    );
    let took = Instant::now();
    journal.admit(ten(0)).await?;
    println!("asked about ten messages: {:.1?}", took.elapsed());
    journal
        .end(SessionEnd {
            finished: true,
            has_orphans: false,
            outcome: "finished".to_owned(),
            cause: None,
            totals: Totals::default(),
        })
        .await?;
    drop(journal);

    let took = Instant::now();
    let tally = Reader::open(&path.clone().into())?.ok_or("no journal")?.tally("run")?;
    println!("figures of {} messages read in {:.1?}", tally.received(), took.elapsed());
    let took = Instant::now();
    let pruned = prune(&path.clone().into(), &["run".to_owned()])?;
    println!("pruned {} messages in {:.1?}: {} bytes are left", pruned.messages, took.elapsed(), pruned.after);
    Ok(())
}

fn run(name: &str) -> RunSpec {
    let (source_arn, job_sha256) = (SOURCE.to_owned(), "0".repeat(64));
    RunSpec {
        name: name.to_owned(),
        source_arn,
        job_sha256,
        plan: "{}".to_owned(),
        approvals: "[]".to_owned(),
        command: "[]".to_owned(),
        directory: String::new(),
        sandbox: false,
    }
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
async fn move_messages(path: &Path, messages: Range<u64>) -> redrive::error::Result<Duration> {
    let journal = Arc::new(Journal::open(&path.to_owned().into(), system_clock(|| None))?);
    journal.begin(run("run")).await?;
    let took = Instant::now();
    let workers = (0..16_u64).map(|worker| {
        let (journal, messages) = (Arc::clone(&journal), messages.clone());
        tokio::spawn(async move {
            for first in messages.skip(usize::try_from(worker * 10).unwrap_or_default()).step_by(160) {
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

/// Leaves four thousand more on their way, as a process that is killed does.
async fn die(path: &Path, first: u64) -> redrive::error::Result<()> {
    let journal = Journal::open(&path.to_owned().into(), system_clock(|| None))?;
    journal.begin(run("run")).await?;
    for first in (first..first + 4000).step_by(10) {
        journal.judge(judgements(journal.admit(ten(first)).await?)).await?;
    }
    Ok(())
}

fn ten(first: u64) -> Vec<Delivery> {
    (first..first + 10).map(|number| delivery(&id(number))).collect()
}

fn judgements(admitted: Vec<Admitted>) -> Vec<Judgement> {
    let judgement = |admitted| match admitted {
        Admitted::New(claim) => {
            Some(Judgement { claim, rule: RuleId(0), exhausted: false, decision: Decided::Send(TargetId(0)) })
        }
        _ => None,
    };
    admitted.into_iter().filter_map(judgement).collect()
}

async fn move_batch(journal: &Journal, first: u64) -> redrive::error::Result<()> {
    let judged = journal.judge(judgements(journal.admit(ten(first)).await?)).await?;
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
