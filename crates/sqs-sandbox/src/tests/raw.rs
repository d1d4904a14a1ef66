//! Bytes that no SDK would send, the control endpoint, and the scenario.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Stage;
use crate::{MessageAttribute, Options, Sandbox, Scenario};

/// Sends bytes on a connection of their own; answers all that comes back until it closes.
pub(super) async fn exchange(sandbox: &Sandbox, request: &[u8]) -> String {
    let address = sandbox.endpoint_url().replace("http://", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has seen enough may close before all is written.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

pub(super) fn http(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

async fn control(sandbox: &Sandbox, method: &str, path: &str, body: &str) -> (u16, Value) {
    let answer = exchange(sandbox, &http(method, path, "Content-Type: application/json\r\n", body)).await;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn malformed_requests_are_answered_and_the_server_goes_on() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    let target = |action: &str| format!("X-Amz-Target: AmazonSQS.{action}\r\n");
    let deep = "[".repeat(100_000);
    for (action, body, expected) in [
        ("SendMessage", "", "SerializationException"),
        ("SendMessage", "{", "SerializationException"),
        ("SendMessage", "[1,2]", "SerializationException"),
        ("SendMessage", "{\"QueueUrl\":7}", "SerializationException"),
        ("SendMessage", "{\"QueueUrl\":\"\u{0}\"}", "SerializationException"),
        ("SendMessage", deep.as_str(), "SerializationException"),
        ("SendMessage", "{}", "MissingParameter"),
        ("SendMessage", "{\"QueueUrl\":\"orders\"}", "MissingParameter"),
        ("SendMessage", "{\"QueueUrl\":\"http://h/orders\"}", "AWS.SimpleQueueService.NonExistentQueue"),
        (
            "SendMessageBatch",
            "{\"QueueUrl\":\"http://h/000000000000/orders\",\"Entries\":{}}",
            "SerializationException",
        ),
        ("Sing", "{}", "InvalidAction"),
        ("", "{}", "InvalidAction"),
    ] {
        let answer = exchange(&stage.sandbox, &http("POST", "/", &target(action), body)).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{action}: {answer}");
        assert!(answer.contains(&format!("x-amzn-query-error: {expected};Sender")), "{action}: {answer}");
    }
    let escaped = "{\"QueueUrl\":\"http://h/000000000000/orders\",\"MessageBody\":\"\\ud800\"}";
    let answer = exchange(&stage.sandbox, &http("POST", "/", &target("SendMessage"), escaped)).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    for garbage in
        [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET\r\n\r\n", b"\r\n\r\n\r\n", b"PUT /\xff HTTP/1.1\r\n\r\n"]
    {
        let _ = tokio::time::timeout(Duration::from_secs(1), exchange(&stage.sandbox, garbage)).await;
    }
    stage.send(&url, "still there").await;
}

#[tokio::test]
async fn an_error_tells_no_body() {
    let stage = Stage::new().await;
    let body = "{\"QueueUrl\":\"u\",\"MessageBody\":{\"secret\":1},\"DelaySeconds\":\"confidential\"}";
    let headers = "X-Amz-Target: AmazonSQS.SendMessage\r\n";
    let answer = exchange(&stage.sandbox, &http("POST", "/", headers, body)).await;
    assert!(!answer.contains("confidential") && !answer.contains("secret"), "{answer}");
}

#[tokio::test]
async fn a_huge_body_is_refused() {
    let stage = Stage::new().await;
    let headers = "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AmazonSQS.SendMessage\r\n";
    let announced = format!("{headers}Content-Length: 99999999999\r\nConnection: close\r\n\r\n");
    assert!(exchange(&stage.sandbox, announced.as_bytes()).await.starts_with("HTTP/1.1 413"));
    let mut chunked = format!("{headers}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..10 {
        chunked.extend_from_slice(format!("{:x}\r\n", 1 << 20).as_bytes());
        chunked.extend(std::iter::repeat_n(b'x', 1 << 20));
        chunked.extend_from_slice(b"\r\n");
    }
    exchange(&stage.sandbox, &chunked).await;
    assert_eq!(stage.sandbox.log().iter().filter(|entry| entry.status == 413).count(), 2);
}

#[tokio::test]
async fn the_control_endpoint_shows_and_sets() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    let id = stage.send(&url, "x").await;
    let sandbox = &stage.sandbox;
    let (_, queues) = control(sandbox, "GET", "/_sandbox/state?queue=orders", "").await;
    assert_eq!(queues["queues"][0]["messages"][0]["id"], id.as_str());
    assert_eq!(queues["queues"][0]["messages"][0]["state"], "visible");
    let (_, log) = control(sandbox, "GET", "/_sandbox/log?since=1", "").await;
    assert_eq!(log[0]["action"], "SendMessage");
    assert_eq!(log[0]["messages"][0]["id"], id.as_str());
    assert_eq!(log[0]["access_key"], "tester");
    let rule = json!({"action": "SendMessage", "fault": {"cut": {"when": "before"}}}).to_string();
    let (_, added) = control(sandbox, "POST", "/_sandbox/faults", &rule).await;
    assert!(stage.sqs.send_message().queue_url(&url).message_body("y").send().await.is_err());
    let (_, rules) = control(sandbox, "GET", "/_sandbox/faults", "").await;
    assert_eq!(rules[0]["hits"].to_string(), "1");
    let (status, _) = control(sandbox, "DELETE", &format!("/_sandbox/faults?id={}", added["id"]), "").await;
    assert_eq!(status, 200);
    stage.send(&url, "z").await;
    let (status, _) = control(sandbox, "POST", "/_sandbox/clock", "{\"advance_ms\":345600001}").await;
    assert_eq!((status, sandbox.queue("orders").unwrap().messages.len()), (200, 0), "all expired");
    for (method, path, body, expected) in [
        ("POST", "/_sandbox/faults", "{}", 400),
        ("POST", "/_sandbox/clock", "{\"advance_ms\":-1}", 400),
        ("DELETE", "/_sandbox/faults?id=99", "", 404),
        ("GET", "/_sandbox/nothing", "", 404),
        ("POST", "/_sandbox/faults", "{\"fault\":{\"kill\":{\"pid\":1}}}", 403),
    ] {
        assert_eq!(control(sandbox, method, path, body).await.0, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn the_control_endpoint_is_not_for_web_pages() {
    let stage = Stage::new().await;
    let form = http("POST", "/_sandbox/faults", "Content-Type: text/plain\r\n", "{\"fault\":\"throttle\"}");
    assert!(exchange(&stage.sandbox, &form).await.starts_with("HTTP/1.1 415"));
    let rebound = b"GET /_sandbox/state HTTP/1.1\r\nHost: attacker.example:80\r\nConnection: close\r\n\r\n";
    assert!(exchange(&stage.sandbox, rebound).await.starts_with("HTTP/1.1 403"));
    assert!(stage.sandbox.faults().list().is_empty());
}

#[tokio::test]
async fn the_orders_scenario_is_the_same_for_the_same_seed_but_for_ids() {
    let stage = Stage::new().await;
    let other = Stage::with(Options { seed: 2, ..Options::default() }).await;
    let again = Stage::new().await;
    let mut contents = Vec::new();
    for stage in [&stage, &other, &again] {
        let summary = stage.sandbox.seed_scenario("orders".parse::<Scenario>().unwrap()).unwrap();
        assert_eq!(summary.kinds.iter().map(|(_, count)| count).sum::<usize>(), 400);
        assert!(summary.kinds.len() >= 7, "{:?}", summary.kinds);
        let dlq = stage.sandbox.queue("orders-dlq").unwrap();
        contents.push(dlq.messages.iter().map(|message| message.body.clone()).collect::<BTreeSet<_>>());
    }
    assert!(contents[0] == contents[2] && contents[0] != contents[1]);
    let (dlq, orders) = (stage.sandbox.queue("orders-dlq").unwrap(), stage.sandbox.queue("orders").unwrap());
    let ids =
        |state: &crate::QueueState| state.messages.iter().map(|message| message.id.clone()).collect::<BTreeSet<_>>();
    assert!(ids(&dlq).is_disjoint(&ids(&again.sandbox.queue("orders-dlq").unwrap())));
    assert_eq!(
        dlq.attributes["CreatedTimestamp"],
        again.sandbox.queue("orders-dlq").unwrap().attributes["CreatedTimestamp"]
    );
    assert!(orders.attributes["RedrivePolicy"].contains(&dlq.arn));
    let count = |holds: &dyn Fn(&crate::MessageState) -> bool| dlq.messages.iter().filter(|m| holds(m)).count();
    let retries = |attribute: Option<&MessageAttribute>| {
        attribute.and_then(|attribute| attribute.string_value.as_deref()?.parse::<u32>().ok())
    };
    assert!(count(&|message| retries(message.attributes.get("retryCount")).is_some_and(|count| count >= 3)) > 10);
    assert!(count(&|message| message.dead_letter_queue_source_arn.is_none()) > 3);
    assert!(count(&|message| serde_json::from_str::<Value>(&message.body).is_err()) > 20);
    assert!(count(&|message| message.body.len() > 50_000) > 3);
    assert!("shop".parse::<Scenario>().is_err());
}

#[tokio::test]
async fn it_says_where_it_is_and_stops() {
    let stage = Stage::new().await;
    let summary = stage.sandbox.seed_scenario(Scenario::Orders).unwrap();
    let lines = stage.sandbox.welcome(Some(&summary)).join("\n");
    assert!(lines.contains(&format!("export AWS_ENDPOINT_URL={}", stage.sandbox.endpoint_url())));
    assert!(lines.contains("queue orders-dlq: 400 messages") && lines.contains("bucket redrive-archive"));
    let url = stage.sandbox.endpoint_url();
    stage.sandbox.stop().await;
    assert!(TcpStream::connect(url.replace("http://", "")).await.is_err());
    let missing = Sandbox::start(Options { port: 1, address: [192, 0, 2, 1].into(), ..Options::default() }).await;
    assert!(missing.is_err_and(|error| error.hint_text().is_some()));
}
