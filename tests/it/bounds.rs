//! A run ends after a bounded number of tries, whatever its servers and its neighbours do: answers that cannot be read, sends that are
//! withdrawn under a limit, batches that are refused as a whole, a producer that never pauses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use sqs_sandbox::{Fault, Options, Rule, When};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::end_to_end::{JOB, assert_adds_up, assert_all_in_place, message};
use crate::support::admin::Admin;
use crate::support::stage::{Ran, Stage, each, failed};

const MOVE_ALL: &str = r#"
version = 1
name = "all"
[source]
queue = "orders-dlq"
visibility_timeout = "10s"
[destination.out]
sqs = { queue = "audit" }
[unmatched]
to = "out"
"#;

async fn planned(total: usize, job: &str) -> Stage {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.orders();
    stage.sandbox.seed("orders-dlq", (0..total).map(|number| failed(number.to_string()))).expect("seeded");
    stage.file("job.toml", job);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json", "--sample", "20"]).await.expect(0);
    stage.sandbox.clear_log();
    stage
}

async fn apply(stage: &Stage) -> Ran {
    stage.redrive(&["apply", "plan.json", "--allow-drift", "--format", "json"]).await
}

fn number(summary: &Value, name: &str) -> u64 {
    summary[name].as_u64().expect(name)
}

/// Stands before the sandbox and cuts the connection where an answer has messages in it, as long as it is told to.
async fn that_swallows_messages(stage: &Stage) -> (String, Arc<AtomicBool>) {
    let swallows = Arc::new(AtomicBool::new(true));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let to = stage.sandbox.endpoint_url().trim_start_matches("http://").to_owned();
    let told = Arc::clone(&swallows);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (to, told) = (to.clone(), Arc::clone(&told));
            tokio::spawn(async move {
                let server = TcpStream::connect(to).await.expect("the sandbox");
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.into_split(), server.into_split());
                let requests = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let mut buffer = vec![0; 1 << 16];
                while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                    let answer = &buffer[..read];
                    let has_messages = answer.windows(15).any(|part| part == b"\"ReceiptHandle\"");
                    if (has_messages && told.load(Ordering::Relaxed)) || to_client.write_all(answer).await.is_err() {
                        break;
                    }
                }
                requests.abort();
            });
        }
    });
    (url, swallows)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_read_what_it_receives_stops_and_says_how_many_answers_that_were() {
    let stage = planned(36, MOVE_ALL).await;
    let (url, swallows) = that_swallows_messages(&stage).await;
    let arguments = ["apply", "plan.json", "--allow-drift", "--format", "json"];
    let environment = [("AWS_ENDPOINT_URL", url.as_str())];
    let ran = tokio::time::timeout(Duration::from_mins(4), stage.redrive_with(&arguments, &environment));
    let ran = ran.await.expect("it stops").expect(3);
    let said = ran.summary()["error"].as_str().expect("words").to_owned();
    assert!(said.contains("answers to receives on orders-dlq were lost or could not be read"), "{said}");
    assert_eq!(number(&ran.summary(), "received"), 0);
    swallows.store(false, Ordering::Relaxed);
    let ran = stage.redrive_with(&arguments, &environment).await.expect(0);
    assert_eq!(number(&ran.summary(), "moved"), 36);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_whose_send_was_withdrawn_is_finished_by_the_next_apply() {
    const MOST: u64 = 20;
    let job = format!("{MOVE_ALL}\n[limits]\nmax_messages = {MOST}\n");
    each(vec!["ExpiredToken", "Cut"], |fault| {
        let job = job.clone();
        async move {
            let stage = planned(600, &job).await;
            let fault = if fault == "Cut" { Fault::Cut { when: When::After } } else { Fault::ExpiredToken };
            let cut = matches!(fault, Fault::Cut { .. });
            stage.sandbox.faults().add(Rule::new(fault).action("SendMessageBatch").nth(2));
            let mut ran = apply(&stage).await;
            if !cut {
                drop(ran.expect(3));
                stage.sandbox.faults().clear();
                ran = apply(&stage).await;
            }
            let summary = ran.expect(0).summary();
            assert_adds_up(&summary);
            let (moved, in_doubt) = (number(&summary, "moved"), number(&summary, "in_doubt"));
            assert_eq!(moved, MOST, "{summary}");
            assert!(stage.counts("audit").0 as u64 <= MOST + in_doubt, "{summary}");
            assert_eq!(stage.counts("orders-dlq"), (580, 580), "{summary}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_doubt_keeps_its_share_of_a_limit_and_is_looked_for() {
    const MOST: u64 = 20;
    let stage = planned(300, &format!("{MOVE_ALL}\n[limits]\nmax_messages = {MOST}\n")).await;
    assert!(stage.killed_at(When::After, |rule| rule.action("SendMessageBatch").nth(1)).await, "it was killed");
    let summary = apply(&stage).await.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!(number(&summary, "moved"), MOST, "{summary}");
    assert!(number(&summary, "in_doubt") > 0, "{summary}");
    assert!(stage.counts("audit").0 as u64 <= MOST + number(&summary, "in_doubt"), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_refused_because_of_one_handle_is_halved() {
    let cases = vec![("DeleteMessageBatch", 0), ("DeleteMessageBatch", 7), ("ChangeMessageVisibilityBatch", 3)];
    each(cases, |(action, bad)| async move {
        let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
        stage.orders();
        stage.sandbox.seed("orders-dlq", (0..60).map(message)).expect("seeded");
        stage.file("job.toml", JOB);
        stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
        // A server that blames the whole batch for one message, whichever request that is in; that message it lets nobody touch.
        let blame = Blame { action, member: "ReceiptHandle", status: 404, code: "ReceiptHandleIsInvalid" };
        let url = that_refuses(&stage, blame, bad).await;
        let mut ran = None;
        for _ in 0..3 {
            let arguments = ["apply", "plan.json", "--format", "json"];
            ran = Some(stage.redrive_with(&arguments, &[("AWS_ENDPOINT_URL", url.as_str())]).await);
            if ran.as_ref().is_some_and(|ran| ran.code == Some(0)) {
                break;
            }
            // The message that nobody may touch comes back, with another handle.
            stage.sandbox.advance(Duration::from_mins(2));
        }
        let summary = ran.expect("a run").expect(0).summary();
        assert_adds_up(&summary);
        assert_eq!(summary["unfinished"], 0, "{action}: {summary}");
        // What could not be given back comes back by itself.
        let all_back = async {
            while stage.counts("orders-dlq").0 != stage.counts("orders-dlq").1 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(2), all_back).await.expect("visible again");
        assert_all_in_place(&stage, 60);
    })
    .await;
}

/// What a server blames a whole batch for: one entry, that is told from others by this member, and the answer.
#[derive(Clone, Copy)]
pub(crate) struct Blame {
    pub(crate) action: &'static str,
    pub(crate) member: &'static str,
    pub(crate) status: u16,
    pub(crate) code: &'static str,
}

/// Stands before the sandbox and answers a batch with an error as a whole as long as it holds the entry that stood at this place of
/// the first such batch, and that one alone, too.
pub(crate) async fn that_refuses(stage: &Stage, blame: Blame, place: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let to = stage.sandbox.endpoint_url().trim_start_matches("http://").to_owned();
    let bad: Arc<std::sync::Mutex<Option<String>>> = Arc::default();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (to, bad) = (to.clone(), Arc::clone(&bad));
            tokio::spawn(async move {
                let mut server = TcpStream::connect(to).await.expect("the sandbox");
                while let Some(request) = whole_message(&mut client).await {
                    let text = String::from_utf8_lossy(&request).into_owned();
                    if text.contains(&format!("AmazonSQS.{}", blame.action)) {
                        let entries: Vec<&str> = text
                            .split(&format!("\"{}\":\"", blame.member))
                            .skip(1)
                            .filter_map(|rest| rest.split('"').next())
                            .collect();
                        let holds_it = {
                            let mut bad = bad.lock().expect("an entry");
                            if bad.is_none() && entries.len() > place {
                                *bad = Some(entries[place].to_owned());
                            }
                            bad.as_deref().is_some_and(|bad| entries.contains(&bad))
                        };
                        if holds_it {
                            let Blame { status, code, .. } = blame;
                            let body =
                                format!("{{\"__type\":\"com.amazonaws.sqs#{code}\",\"message\":\"It is refused.\"}}");
                            let answer = format!(
                                "HTTP/1.1 {status} Refused\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
                                body.len()
                            );
                            if client.write_all(answer.as_bytes()).await.is_err() {
                                return;
                            }
                            continue;
                        }
                    }
                    let done = server.write_all(&request).await;
                    let Some(answer) = whole_message(&mut server).await.filter(|_| done.is_ok()) else { return };
                    if client.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// One HTTP message with a length, whole; `None` at the end of the connection.
async fn whole_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut message, mut buffer) = (Vec::new(), vec![0; 1 << 14]);
    loop {
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => message.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
        let text = String::from_utf8_lossy(&message);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length = lower.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
            let length: usize = length.map_or(0, |length| length.trim().parse().expect("a length"));
            let head_bytes = message.windows(4).position(|part| part == b"\r\n\r\n").expect("the head's end") + 4;
            if message.len() >= head_bytes + length {
                return Some(message);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_never_pauses_does_not_keep_a_run_going() {
    let stage = planned(60, MOVE_ALL).await;
    let admin = Admin::at(&stage.sandbox.endpoint_url());
    let url = admin.sqs.get_queue_url().queue_name("orders-dlq").send().await.unwrap().queue_url.unwrap();
    // The plan's bound is a second late at most.
    stage.sandbox.advance(Duration::from_secs(5));
    let producer = tokio::spawn(async move {
        for number in 0_u64.. {
            let sent = admin.sqs.send_message().queue_url(&url).message_body(format!("new {number}")).send().await;
            sent.expect("sent");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let ran = tokio::time::timeout(Duration::from_mins(5), apply(&stage)).await.expect("it ends by itself").expect(0);
    assert!(!producer.is_finished(), "it never paused");
    producer.abort();
    let summary = ran.summary();
    assert_adds_up(&summary);
    assert_eq!(number(&summary, "moved"), 60, "{summary}");
    assert_eq!(stage.counts("audit").0, 60, "nothing that is newer has left");
    let source = stage.sandbox.queue("orders-dlq").expect("queue").messages;
    assert!(source.iter().all(|message| message.body.starts_with("new")));
    let log = stage.sandbox.log();
    let named = |action: &str| -> usize {
        log.iter().filter(|entry| entry.action == action).map(|entry| entry.messages.len()).sum()
    };
    let (delivered, changed) = (named("ReceiveMessage"), named("ChangeMessageVisibilityBatch"));
    assert!(
        changed <= delivered,
        "what is newer is given back once a delivery and never extended: {changed} of {delivered}"
    );
}

/// A job that says nothing of a visibility timeout.
fn by_default() -> String {
    let job = MOVE_ALL.replace("visibility_timeout = \"10s\"\n", "");
    assert_ne!(job, MOVE_ALL);
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_killed_process_had_received_is_visible_within_a_minute() {
    const TOTAL: usize = 60;
    let stage = planned(TOTAL, &by_default()).await;
    // Of the whole queue, so that it needs no leave for drift.
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    // It never gets the answer: nobody has these handles.
    assert!(stage.killed_at(When::After, |rule| rule.action("ReceiveMessage").nth(2)).await, "it was killed");
    let (all, visible) = stage.counts("orders-dlq");
    assert!(visible < all, "it had received some");
    // By the servers' clock, and the journal's follows it: no resume waits for longer than this.
    stage.sandbox.advance(Duration::from_mins(1));
    assert_eq!(stage.counts("orders-dlq"), (all, all));
    let ran = tokio::time::timeout(Duration::from_mins(3), apply(&stage)).await.expect("it does not wait for more");
    let summary = ran.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!(number(&summary, "moved"), TOTAL as u64, "{summary}");
    assert_eq!(stage.counts("orders-dlq").0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_had_extended_for_longer_is_given_back_at_once() {
    const TOTAL: usize = 100;
    let one_moves = by_default()
        .replace("[unmatched]", "[[rule]]\nname = \"one\"\nwhen = [{ message = \"text\", equals = \"7\" }]");
    let stage = planned(TOTAL, &one_moves).await;
    // The one that moves keeps the run going; all the others stay and are held.
    let slow = Fault::Latency { ms: 600_000, jitter_ms: 0, when: When::Before };
    stage.sandbox.faults().add(Rule::new(slow).action("SendMessageBatch"));
    let mut child = stage.spawn(&["apply", "plan.json", "--allow-drift"]);
    let held = async {
        while stage.counts("orders-dlq").1 > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // All of them are due now.
        stage.sandbox.advance(Duration::from_secs(45));
        stage.until_requested("ChangeMessageVisibilityBatch").await;
    };
    tokio::time::timeout(Duration::from_mins(4), held).await.expect("they are held and extended");
    child.kill().await.expect("killed");
    stage.sandbox.faults().clear();
    // They would stay invisible for another five minutes.
    let ran = tokio::time::timeout(Duration::from_mins(4), apply(&stage)).await.expect("it does not wait for them");
    let summary = ran.expect(0).summary();
    assert_adds_up(&summary);
    assert_eq!((number(&summary, "kept"), number(&summary, "moved")), (TOTAL as u64 - 1, 1), "{summary}");
    assert_eq!(stage.counts("orders-dlq"), (TOTAL - 1, TOTAL - 1), "visible again");
}
