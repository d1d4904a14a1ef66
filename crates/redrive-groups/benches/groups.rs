//! What grouping costs, on one core: `cargo bench -p redrive-groups`. Messages of about 1 KB, some at a time; making them is
//! not measured. First those of the labelled set, then messages that are new in every word, for memory.

#![allow(clippy::unwrap_used, clippy::format_push_string, reason = "of the set, which the tests share")]
#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a bench")]

#[path = "../tests/groups/sets.rs"]
mod sets;

use jiff::Timestamp;
use redrive_groups::Collector;
use redrive_protocol::message::Message;
use serde_json::json;
use sets::{Draft, KINDS, Kind, Random, generate, order};

const MESSAGES: usize = 100_000;
const BYTES: usize = 1024;

/// Messages that are made at once.
const PART: usize = 1000;

/// New in every word: names of members, classes, sentences, traces.
const NEW: &[Kind] = &[("new", 1, |random: &mut Random| {
    let mut body = json!({"order": order(random), "error": {"type": random.words(1), "message": random.words(20), "code": random.words(1)}});
    for _ in 0..8 {
        body[random.words(1)] = json!(random.words(3));
    }
    Draft::json(body)
})];

fn main() {
    // As `cargo bench` passes them on.
    let only = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    if only.as_deref() != Some("new") {
        let kinds: Vec<Kind> = KINDS.iter().filter(|(name, ..)| *name != "200 KB").copied().collect();
        run("labelled", &kinds);
    }
    if only.as_deref() != Some("labelled") {
        run("new in every word", NEW);
    }
}

fn run(name: &str, kinds: &[Kind]) {
    let mut collector = Collector::default();
    let (mut taken, mut bytes) = (0.0, 0);
    for part in 0..(MESSAGES / PART) as u64 {
        let mut messages: Vec<Message> = generate(kinds, PART, part).into_iter().map(|(message, _)| message).collect();
        for message in &mut messages {
            // JSON and text may end in spaces.
            let missing = BYTES.saturating_sub(message.size());
            message.body.extend(std::iter::repeat_n(' ', missing));
            bytes += message.size();
        }
        let begun = seconds();
        for (position, message) in messages.into_iter().enumerate() {
            collector.take(message, part * PART as u64 + position as u64 / 10);
        }
        taken += seconds() - begun;
    }
    let memory = status("VmRSS:");
    let begun = seconds();
    let finding = collector.finish(Timestamp::UNIX_EPOCH);
    let finished = seconds() - begun;
    println!(
        "{name}: {MESSAGES} messages of {} bytes; taken in at {:.0} a second, {taken:.2} s; grouped and rules found in {finished:.2} s: {} groups, {} tried on",
        bytes / MESSAGES,
        MESSAGES as f64 / taken,
        finding.groups.len(),
        finding.kept,
    );
    println!("  memory: {memory} MiB when they were taken in, at most {} MiB", status("VmHWM:"));
}

/// Seconds of a processor that this process has used: the clock on the wall says what else the machine does.
fn seconds() -> f64 {
    /// Of a second, as the system counts them.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the program's name, which ends with the last parenthesis: the user's and the system's share.
    let behind = stat.rsplit(')').next().unwrap_or_default();
    behind.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// Megabytes of memory, as the system tells.
fn status(what: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).map_or(0, |kilobytes| kilobytes / 1024)
}
