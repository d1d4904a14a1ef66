//! How fast the sandbox is, and how much memory a message costs: `cargo bench -p sqs-sandbox [-- --messages N | --memory |
//! --against PROGRAM]`.
//!
//! The sandbox runs in a process of its own, and so does a server that answers the same bytes to everything: what the
//! generator reaches against that one is its own ceiling. Where `taskset` is, each side has one core for itself. As other
//! programs may want that core too, requests are also counted by second of the server's own processor time.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]
mod against;
mod ceiling;
mod load;
mod process;
mod sandbox;

use std::path::PathBuf;
use std::time::Duration;

use mimalloc::MiMalloc;

use load::{Generator, Load, Phase};
use process::Server;

// As a server that is made for speed has it; the published figures are with it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The queue of 1,000,000 messages that the goals speak of.
const MESSAGES: usize = 1_000_000;

/// The most requests in one measurement.
const REQUESTS: usize = 60_000;

/// The length of a body.
const BODY: usize = 1024;

/// What is to be measured.
enum Task {
    /// Requests a second, on queues with up to so many messages.
    Speeds(usize),
    /// What a message costs.
    Memory,
    /// Requests for each second of processor time, beside another version.
    Against(PathBuf),
}

/// One line of the table.
struct Row {
    what: String,
    messages: String,
    in_flight: String,
    requests: usize,
    took: Duration,
    server_cpu: Duration,
}

impl Row {
    fn print(&self) {
        let per = |time: Duration| {
            if time.is_zero() { "-".to_owned() } else { grouped(whole(ratio(self.requests, time))) }
        };
        let Self { what, messages, in_flight, .. } = self;
        println!("| {what} | {messages} | {in_flight} | {} | {} |", per(self.took), per(self.server_cpu));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn ratio(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "requests a second, for people")]
fn whole(number: f64) -> usize {
    number.round() as usize
}

/// A number with its thousands apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let task = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => Task::Speeds(MESSAGES),
        (Some("--ceiling"), _) => return ceiling::serve(),
        (Some("--sandbox"), _) => return sandbox::serve(),
        (Some("--memory"), _) => Task::Memory,
        (Some("--messages"), Some(number)) => Task::Speeds(number.parse().expect("a number of messages")),
        (Some("--against"), Some(program)) => Task::Against(program.into()),
        _ => panic!("usage: cargo bench -p sqs-sandbox [-- --messages N | --memory | --against PROGRAM]"),
    };
    let machine = process::machine();
    process::pin_this("1");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        match task {
            Task::Speeds(messages) => bench(messages, &machine).await,
            Task::Memory => memory().await,
            Task::Against(program) => against::compare(&program, &machine).await,
        }
    });
}

async fn bench(messages: usize, machine: &str) {
    println!("Bodies of {BODY} bytes; {machine}.\n");
    println!("| requests | messages | in flight | a second | a second of server CPU |");
    println!("|---|--:|--:|--:|--:|");
    ceiling_rows().await;

    for messages in [messages / 100, messages / 10, messages] {
        // A new one each, so that what the last one left behind does not count.
        with(&Server::sandbox(), messages).await;
    }
}

/// What a message costs beyond its body, by the growth of the whole process: the allocator's overhead and the log included.
async fn memory() {
    println!("| messages | sent | bytes of a body | bytes each beyond it |");
    println!("|--:|---|--:|--:|");
    for (messages, how, body) in [
        (200_000, Phase::SendBatch, BODY),
        (600_000, Phase::SendBatch, BODY),
        (200_000, Phase::SendBatch, 1_000),
        (200_000, Phase::SendBatch, 1_100),
        (200_000, Phase::Send, BODY),
    ] {
        let server = Server::sandbox();
        let generator = Generator::new(server.port, "memory", body);
        generator.create_queue().await;
        let before = server.memory().expect("the system says what a process holds");
        let (requests, words) = match how {
            Phase::SendBatch => (messages / 10, "in batches"),
            _ => (messages, "one by one"),
        };
        generator.run(how, requests).await;
        let grown = server.memory().expect("it is there").saturating_sub(before);
        println!("| {} | {words} | {body} | {} |", grouped(messages), (grown / messages).saturating_sub(body));
    }
}

/// What the generator itself can do.
async fn ceiling_rows() {
    let server = Server::ceiling();
    let generator = Generator::new(server.port, "ceiling", BODY);
    for (what, phase) in [("ceiling: sends", Phase::Send), ("ceiling: deletes", Phase::DeleteMadeUp)] {
        measure(&server, &generator, what, phase, REQUESTS, ("", "")).await;
    }
}

/// All measurements on a queue with so many messages, of which three in ten are in flight.
async fn with(server: &Server, messages: usize) {
    let generator = Generator::new(server.port, "bench", BODY);
    generator.create_queue().await;
    let before = server.memory();
    generator.run(Phase::SendBatch, messages / 10).await;
    let filled = server.memory();
    let in_flight = messages * 3 / 10;
    generator.run(Phase::ReceiveBatch, in_flight / 10).await;
    let received = server.memory();
    generator.forget_handles();

    let (shown, flying) = (grouped(messages), grouped(in_flight));
    let requests = REQUESTS.min(messages / 2);
    for (what, phase, requests) in [
        ("SendMessage", Phase::Send, requests),
        ("ReceiveMessage, 1", Phase::Receive, requests),
        ("DeleteMessage", Phase::Delete, requests),
        ("SendMessageBatch, 10", Phase::SendBatch, requests / 10),
        ("ReceiveMessage, 10", Phase::ReceiveBatch, requests / 10),
        ("DeleteMessageBatch, 10", Phase::DeleteBatch, requests / 10),
    ] {
        measure(server, &generator, what, phase, requests, (&shown, &flying)).await;
    }
    let each =
        |bytes: Option<usize>| bytes.zip(before).map_or(0, |(now, before)| now.saturating_sub(before) / messages);
    println!(
        "| memory, {shown} messages: bytes a message beyond its {BODY} | | | {} visible | {} with three in ten in flight |",
        each(filled).saturating_sub(BODY),
        each(received).saturating_sub(BODY),
    );
}

async fn measure(
    server: &Server,
    generator: &Generator,
    what: &str,
    phase: Phase,
    requests: usize,
    (messages, in_flight): (&str, &str),
) {
    let cpu = server.cpu();
    let Load { took, answers } = generator.run(phase, requests).await;
    assert_eq!(answers, requests, "{what}: not every request was answered with success");
    Row {
        what: what.to_owned(),
        messages: messages.to_owned(),
        in_flight: in_flight.to_owned(),
        requests,
        took,
        server_cpu: server.cpu().saturating_sub(cpu),
    }
    .print();
}
