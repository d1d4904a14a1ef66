//! The sandbox in a process of its own, which is this program once more. It is filled without requests, and says afterwards
//! what it was asked. Commands come on its standard input, one a line; each is answered by one line.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqs_sandbox::{Fault, LogEntry, MessageAttribute, Options, Rule, Sandbox, Seed, When};

use crate::process;

/// What the sandbox says of the requests since its log was last cleared.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Requests to SQS, as many as the log remembers.
    pub(crate) requests: usize,
    /// When the last message was deleted, in milliseconds since 1970.
    pub(crate) last_delete_ms: u64,
    /// From the first receive's arrival to the last one's answer, in milliseconds.
    pub(crate) receiving_ms: u64,
    /// Deletes of a message of which no unchanged copy had been sent before.
    pub(crate) premature: usize,
    /// Sends by time: milliseconds since 1970, and messages.
    pub(crate) sends: Vec<(u64, usize)>,
}

/// The server as the benchmark holds it; its end comes with the value's.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    latency: Duration,
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg("--serve")
            // One heap for all threads: a message is freed by another one than takes the next, so with a heap for each the memory of
            // a large queue is never used again, and the server's time goes into pages that it touches for the first time.
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let commands = child.stdin.take().expect("its input");
        let answers = BufReader::new(child.stdout.take().expect("its output"));
        let mut server = Self { endpoint: String::new(), latency: Duration::ZERO, child, commands, answers };
        server.endpoint = server.answer();
        server
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer of the server");
        line.trim_end().to_owned()
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").expect("a command to the server");
        self.answer()
    }

    /// Makes a queue with so many messages of so many bytes.
    pub(crate) fn fill(&mut self, queue: &str, messages: usize, bytes: usize) {
        self.ask(&format!("fill {queue} {messages} {bytes}"));
    }

    /// Lets every request wait for so long.
    pub(crate) fn latency(&mut self, latency: Duration) {
        self.latency = latency;
        self.ask(&format!("latency {}", latency.as_millis()));
    }

    /// A new server with the latency of this one. What that left in its memory does not count any more.
    pub(crate) fn renew(&mut self) {
        let latency = self.latency;
        *self = Self::start();
        self.latency(latency);
    }

    /// What was asked since this was asked last.
    pub(crate) fn asked(&mut self) -> Asked {
        serde_json::from_str(&self.ask("asked")).expect("JSON")
    }

    /// How many messages are in a queue, visible or not.
    pub(crate) fn left(&mut self, queue: &str) -> usize {
        self.ask(&format!("left {queue}")).parse().expect("a number")
    }

    pub(crate) fn cpu(&self) -> Duration {
        process::cpu(self.child.id()).unwrap_or_default()
    }
}

/// Serves until standard input closes.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let options = Options { in_flight_limit: usize::MAX, ..Options::default() };
    let sandbox = runtime.block_on(Sandbox::start(options)).expect("a sandbox");
    println!("{}", sandbox.endpoint_url());
    for line in std::io::stdin().lines() {
        let line = line.expect("a command");
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<usize>().expect("a number");
        match words[0] {
            "fill" => {
                sandbox.create_queue(words[1], &[], None).expect("a queue");
                sandbox.seed(words[1], (0..number(2)).map(|index| message(index, number(3)))).expect("messages");
                println!("filled");
            }
            "left" => println!("{}", sandbox.queue(words[1]).map_or(0, |queue| queue.messages.len())),
            "latency" => {
                sandbox.faults().clear();
                let ms = number(1) as u64;
                if ms > 0 {
                    sandbox.faults().add(Rule::new(Fault::Latency { ms, jitter_ms: 0, when: When::Before }));
                }
                println!("set");
            }
            _ => {
                let asked = summed_up(&sandbox.log());
                sandbox.clear_log();
                println!("{}", serde_json::to_string(&asked).expect("JSON"));
            }
        }
    }
}

/// A message as a dead-letter queue holds it: JSON of this length, one in twenty of a kind that is archived.
fn message(index: usize, bytes: usize) -> Seed {
    let kind = if index % 20 == 7 { "Poison" } else { "Timeout" };
    let mut body = format!(
        "{{\"order\":{{\"id\":{index},\"total\":{}.50,\"country\":\"DE\"}},\"shard\":{},\"error\":{{\"type\":\"{kind}\",\
         \"message\":\"gateway did not answer in 30s\"}},\"note\":\"",
        index % 900,
        index % 3
    );
    let room = bytes.saturating_sub(body.len() + 2);
    body.extend("a dead letter waits for its second chance; ".chars().cycle().take(room));
    body.push_str("\"}");
    let mut seed = Seed::new(body).attribute("tenant", MessageAttribute::string("eu-1"));
    seed.age_ms = 3_600_000;
    seed.receive_count = 3;
    seed
}

fn summed_up(log: &[LogEntry]) -> Asked {
    let mut asked = Asked::default();
    let mut sent = HashSet::new();
    let mut first_receive = None;
    for entry in log {
        asked.requests += usize::from(entry.key.is_none());
        let digests = entry.messages.iter().filter_map(|message| message.body_md5.as_ref());
        if entry.action == "ReceiveMessage" {
            first_receive = Some(first_receive.unwrap_or(entry.at_ms));
            asked.receiving_ms = entry.at_ms + entry.took_us / 1000 - first_receive.unwrap_or_default();
        } else if entry.action.starts_with("SendMessage") {
            asked.sends.push((entry.at_ms, entry.messages.len()));
            sent.extend(digests);
        } else if entry.action.starts_with("DeleteMessage") && !entry.messages.is_empty() {
            asked.last_delete_ms = asked.last_delete_ms.max(entry.at_ms);
            asked.premature += digests.filter(|digest| !sent.contains(digest)).count();
        }
    }
    asked
}
