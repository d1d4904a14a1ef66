//! What a selective job costs on a big queue: one of a hundred messages is moved, all the others stay, held in flight or parked.
//! `cargo bench --bench selective [-- MESSAGES…]`. The sandbox is in this process, redrive in its own.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::process::{Command, Stdio};
use std::time::Instant;

use sqs_sandbox::{Options, Sandbox, Seed};

const JOB: &str = "version = 1\nname = \"pick\"\n[source]\nqueue = \"dlq\"\n[destination.out]\nsqs = { queue = \"out\" }\n\
    [[rule]]\nname = \"wanted\"\nwhen = [{ body = \"$.wanted\", equals = true }]\nto = \"out\"\n";

const PARK: &str = "[unmatched]\npark = { queue = \"parking\" }\n";

/// The longest that the log is: with more requests than this, what it says would be too little.
const MOST: usize = 200_000;

fn main() {
    let sizes: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![10_000, 50_000, 100_000] } else { sizes };
    println!(
        "| messages | those that stay | seconds | ms a thousand | receives a message | requests a message | peak, MiB |"
    );
    println!("|--:|---|--:|--:|--:|--:|--:|");
    for (stay, end) in [("in flight", ""), ("parked", PARK)] {
        for messages in &sizes {
            println!("{}", row(*messages, stay, &format!("{JOB}{end}")));
        }
    }
}

/// One run, as a row of the table.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn row(messages: usize, stay: &str, job: &str) -> String {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sandbox = runtime.block_on(Sandbox::start(Options::default())).expect("a sandbox");
    for queue in ["dlq", "out", "parking"] {
        sandbox.create_queue(queue, &[], None).expect("a queue");
    }
    let filler = "x".repeat(900);
    let message = |number: usize| {
        let wanted = number.is_multiple_of(100);
        let mut seed = Seed::new(format!("{{\"wanted\": {wanted}, \"number\": {number}, \"filler\": \"{filler}\"}}"));
        seed.age_ms = 60_000;
        seed
    };
    sandbox.seed("dlq", (0..messages).map(message)).expect("messages");
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("job.toml"), job).expect("a job");
    let redrive = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redrive"));
        command.args(arguments).current_dir(directory.path()).envs(sandbox.environment()).stdout(Stdio::null());
        command.stderr(Stdio::null()).spawn().expect("the program starts")
    };
    assert!(redrive(&["plan", "job.toml", "--out", "plan.json"]).wait().expect("planned").success());
    sandbox.clear_log();
    let started = Instant::now();
    let mut child = redrive(&["apply", "plan.json"]);
    let mut peak = 0;
    while child.try_wait().expect("its state").is_none() {
        peak = peak.max(peak_kib(child.id()));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let seconds = started.elapsed().as_secs_f64();
    let left = sandbox.queue("dlq").expect("the queue").messages.len();
    assert_eq!(left, messages - messages.div_ceil(100), "all that was wanted has gone, and nothing else");
    let log = sandbox.log();
    assert!(log.len() < MOST, "the log is full");
    let received: usize = log
        .iter()
        .filter(|entry| entry.action == "ReceiveMessage" && entry.resource == "dlq")
        .map(|entry| entry.messages.len())
        .sum();
    let each = |number: usize| number as f64 / messages as f64;
    format!(
        "| {messages} | {stay} | {seconds:.1} | {:.1} | {:.3} | {:.3} | {:.0} |",
        seconds * 1e6 / messages as f64,
        each(received),
        each(log.len()),
        peak as f64 / 1024.0
    )
}

/// The most memory that a process has had, in KiB.
fn peak_kib(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
