//! This version beside another one: `cargo bench -p sqs-sandbox -- --against PROGRAM`, where PROGRAM is this bench as an older
//! commit builds it.
//!
//! The machine has other work, and its speed changes by the minute. So both servers run at once, they are asked the same in turn,
//! now one first and now the other, and what is compared is their own processor time, pair by pair.

use std::path::Path;
use std::time::Duration;

use crate::load::{Generator, Phase};
use crate::process::Server;
use crate::{BODY, ratio};

/// How many pairs are measured of each kind of request.
const ROUNDS: usize = 7;

/// What is in a queue before anything is measured.
const MESSAGES: usize = 50_000;

/// Requests for single messages in one measurement, and a tenth of it for batches of ten.
const REQUESTS: usize = 24_000;

/// What is compared: words, the queue, what is asked and how often.
const KINDS: [(&str, &str, Phase, usize); 9] = [
    ("SendMessage", "bench", Phase::Send, REQUESTS),
    ("ReceiveMessage, 1", "bench", Phase::Receive, REQUESTS),
    ("DeleteMessage", "bench", Phase::Delete, REQUESTS),
    ("SendMessageBatch, 10", "bench", Phase::SendBatch, REQUESTS / 10),
    ("ReceiveMessage, 10", "bench", Phase::ReceiveBatch, REQUESTS / 10),
    ("DeleteMessageBatch, 10", "bench", Phase::DeleteBatch, REQUESTS / 10),
    ("FIFO: SendMessage", "bench.fifo", Phase::Send, REQUESTS),
    ("FIFO: ReceiveMessage, 1", "bench.fifo", Phase::Receive, REQUESTS),
    ("FIFO: DeleteMessage", "bench.fifo", Phase::Delete, REQUESTS),
];

/// One of the two, with its two queues.
struct Side {
    server: Server,
    standard: Generator,
    fifo: Generator,
}

impl Side {
    async fn new(server: Server) -> Self {
        let (standard, fifo) =
            (Generator::new(server.port, "bench", BODY), Generator::new(server.port, "bench.fifo", BODY));
        for queue in [&standard, &fifo] {
            queue.create_queue().await;
            queue.run(Phase::SendBatch, MESSAGES / 10).await;
        }
        Self { server, standard, fifo }
    }

    /// The processor time that the server took for them.
    async fn take(&self, (what, queue, phase, requests): (&str, &str, Phase, usize)) -> Duration {
        let generator = if queue == "bench" { &self.standard } else { &self.fifo };
        let before = self.server.cpu();
        let answers = generator.run(phase, requests).await.answers;
        assert_eq!(answers, requests, "{what}: not every request was answered with success");
        self.server.cpu().saturating_sub(before)
    }
}

/// Prints what a second of processor time was good for on either side, and the ratio pair by pair.
pub(crate) async fn compare(other: &Path, machine: &str) {
    println!("{ROUNDS} pairs each, bodies of {BODY} bytes; {machine}.\n");
    println!("| requests | a second of server CPU: that one | this one | ratio: median | least | most |");
    println!("|---|--:|--:|--:|--:|--:|");
    let mut rounds: Vec<Vec<(f64, f64)>> = vec![Vec::new(); KINDS.len()];
    for round in 0..ROUNDS {
        let (that, this) = (Side::new(Server::other(other)).await, Side::new(Server::sandbox()).await);
        for (number, kind) in KINDS.into_iter().enumerate() {
            let (old, new);
            if (round + number).is_multiple_of(2) {
                old = that.take(kind).await;
                new = this.take(kind).await;
            } else {
                new = this.take(kind).await;
                old = that.take(kind).await;
            }
            rounds[number].push((ratio(kind.3, old), ratio(kind.3, new)));
        }
    }
    for ((what, ..), pairs) in KINDS.into_iter().zip(&rounds) {
        let sorted = |of: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = pairs.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (old, new, ratios) = (sorted(|pair| pair.0), sorted(|pair| pair.1), sorted(|pair| pair.1 / pair.0));
        let middle = ROUNDS / 2;
        let shown = |number: f64| crate::grouped(crate::whole(number));
        println!(
            "| {what} | {} | {} | {:.2} | {:.2} | {:.2} |",
            shown(old[middle]),
            shown(new[middle]),
            ratios[middle],
            ratios[0],
            ratios[ROUNDS - 1]
        );
    }
}
