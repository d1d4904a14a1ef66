//! Clients that mean no good, or know no better: an answer or a closed connection for each, and others are served meanwhile.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Stage;
use super::raw::{exchange, http};
use crate::{Options, Sandbox};

async fn connect(sandbox: &Sandbox) -> Option<TcpStream> {
    TcpStream::connect(sandbox.endpoint_url().replace("http://", "")).await.ok()
}

/// Whether the server closes the connection, with or without an answer, within a generous time.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn a_wrong_content_type_is_refused() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    let body = format!("{{\"QueueUrl\":\"{url}\",\"MessageBody\":\"x\"}}");
    let target = "X-Amz-Target: AmazonSQS.SendMessage\r\n";
    for kind in ["text/plain", "application/json", "application/x-www-form-urlencoded", "\u{7f}", ""] {
        let headers = format!("{target}Content-Type: {kind}\r\n");
        let answer = exchange(&stage.sandbox, &http("POST", "/", &headers, &body)).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{kind}: {answer}");
    }
    assert!(stage.sandbox.queue("orders").unwrap().messages.is_empty());
    let headers = format!("{target}Content-Type: application/x-amz-json-1.0; charset=utf-8\r\n");
    assert!(exchange(&stage.sandbox, &http("POST", "/", &headers, &body)).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_form_without_an_action_is_refused_in_its_own_protocol() {
    let stage = Stage::new().await;
    let headers = "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";
    for form in ["", "Action=", "Action=Explode&Version=2012-11-05", "%%%=&&&", "QueueUrl=x"] {
        let answer = exchange(&stage.sandbox, &http("POST", "/", headers, form)).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{form}: {answer}");
        assert!(answer.contains("<Type>Sender</Type><Code>InvalidAction</Code>"), "{form}: {answer}");
    }
}

#[tokio::test]
async fn slow_clients_lose_their_connection() {
    let stage = Stage::with(Options { patience: Duration::from_secs(1), ..Options::default() }).await;
    let url = stage.queue("orders", &[]).await;
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AmazonSQS.SendMessage\r\n";
    for beginning in [
        "",
        "POST / HT",
        head,
        &format!("{head}Content-Length: 100\r\n\r\n{{\"Queue"),
        &format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\n{{\"Qu"),
        "PUT /bucket/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx",
    ] {
        let mut stream = connect(&stage.sandbox).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        assert!(is_closed(&mut stream).await, "{beginning}");
    }
    // One byte now and then is no way to stay.
    let mut stream = connect(&stage.sandbox).await.unwrap();
    let started = Instant::now();
    while stream.write_all(b"X").await.is_ok() && started.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(started.elapsed() < Duration::from_secs(20));
    stage.send(&url, "still there").await;
}

#[tokio::test]
async fn endless_headers_are_refused() {
    let stage = Stage::new().await;
    let mut stream = connect(&stage.sandbox).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
    let line = format!("X-Filler: {}\r\n", "x".repeat(8_000));
    let mut sent = 0;
    while stream.write_all(line.as_bytes()).await.is_ok() {
        sent += line.len();
        assert!(sent < 64 * 1024 * 1024, "the server takes headers without end");
    }
}

#[tokio::test]
async fn thousands_of_idle_connections_do_no_harm() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    let mut idle = Vec::new();
    // Both ends are in this process: where it may have fewer files open, there are fewer.
    while idle.len() < 3_000 {
        match connect(&stage.sandbox).await {
            Some(stream) => idle.push(stream),
            None => break,
        }
    }
    idle.truncate(idle.len() - idle.len().min(50));
    assert!(idle.len() >= 100, "{}", idle.len());
    for body in 0..20 {
        stage.send(&url, &body.to_string()).await;
    }
    let half = idle.len() / 2;
    for stream in &mut idle[..half] {
        let _ = stream.write_all(b"GET ").await;
    }
    drop(idle);
    assert_eq!(stage.sandbox.queue("orders").unwrap().messages.len(), 20);
    stage.send(&url, "afterwards").await;
}
