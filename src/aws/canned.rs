//! For tests: a server that gives canned answers to whatever it is asked, so that failures can be had to order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What the server does with a connection's one request.
#[derive(Clone)]
pub(super) enum Answer {
    /// Writes these bytes and closes.
    Bytes(String),
    /// Writes these bytes, and then spaces without end; counts those that were taken.
    Endless(&'static str, Arc<AtomicUsize>),
    /// Writes these bytes and nothing more, and keeps the connection open.
    Stalls(&'static str),
    /// Reads the request and closes without a word.
    HangUp,
    /// Reads the request and says nothing.
    Silence,
}

impl Answer {
    /// An answer with this status, headers and body.
    pub(super) fn http(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Bytes(format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ))
    }

    /// A success of SQS's JSON protocol.
    pub(super) fn json(body: &str) -> Self {
        Self::http("200 OK", "Content-Type: application/x-amz-json-1.0\r\n", body)
    }
}

/// Serves the same answer until the test's runtime ends; gives the endpoint.
pub(super) async fn serve(answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !is_complete(&request) {
                    let mut part = [0; 4096];
                    match stream.read(&mut part).await {
                        Ok(0) | Err(_) => return,
                        Ok(n) => request.extend_from_slice(&part[..n]),
                    }
                }
                match answer {
                    Answer::Bytes(bytes) => {
                        let _ = stream.write_all(bytes.as_bytes()).await;
                    }
                    Answer::Endless(head, taken) => {
                        let spaces = vec![b' '; 1 << 16];
                        let mut next = stream.write_all(head.as_bytes()).await;
                        while next.is_ok() {
                            next = stream.write_all(&spaces).await;
                            taken.fetch_add(spaces.len(), Ordering::Relaxed);
                        }
                    }
                    Answer::Stalls(head) => {
                        let _ = stream.write_all(head.as_bytes()).await;
                        std::future::pending::<()>().await;
                    }
                    Answer::HangUp => {}
                    Answer::Silence => std::future::pending().await,
                }
            });
        }
    });
    endpoint
}

fn is_complete(request: &[u8]) -> bool {
    let Some(head) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
    request.len() >= head + 4 + length.unwrap_or(0)
}
