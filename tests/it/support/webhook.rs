//! A webhook on loopback that notes what is posted to it, and answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// How a post is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(u16),
    /// The connection is kept open, and nothing comes.
    Never,
    /// The connection is closed without an answer.
    Close,
}

/// What was posted.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: Value,
}

#[derive(Debug, Default)]
struct State {
    posts: Vec<Post>,
    answers: VecDeque<Answer>,
}

/// The webhook. What comes after the answers that were given is answered with 200.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

impl Webhook {
    /// Serves until the test's runtime ends.
    pub(crate) async fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let webhook = Self::new(listener.local_addr().expect("an address").port(), answers);
        let here = webhook.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(here.clone().serve(client));
            }
        });
        webhook
    }

    pub(crate) fn new(port: u16, answers: &[Answer]) -> Self {
        let state = State { answers: answers.iter().copied().collect(), ..State::default() };
        Self { port, state: Arc::new(Mutex::new(state)) }
    }

    /// Its URL, of which the path is a secret.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/services/SECRET?sig=SECRET", self.port)
    }

    /// What was posted until now.
    pub(crate) fn posts(&self) -> Vec<Post> {
        self.state.lock().expect("not poisoned").posts.clone()
    }

    /// The values of a field of what was posted, in order.
    pub(crate) fn field(&self, name: &str) -> Vec<String> {
        let text = |post: &Post| post.body[name].as_str().map_or_else(|| post.body[name].to_string(), str::to_owned);
        self.posts().iter().map(text).collect()
    }

    /// Waits until so many posts have come.
    pub(crate) async fn until_posted(&self, number: usize) {
        let posted = async {
            while self.posts().len() < number {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), posted).await.expect("it is posted");
    }

    /// Answers the one request of a connection.
    pub(crate) async fn serve(self, mut client: impl AsyncRead + AsyncWrite + Unpin) {
        let Some((head, body)) = request(&mut client).await else { return };
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let answer = {
            let mut state = self.state.lock().expect("not poisoned");
            let body = serde_json::from_slice(&body).expect("JSON");
            state.posts.push(Post { path, head, body });
            state.answers.pop_front().unwrap_or(Answer::Status(200))
        };
        match answer {
            Answer::Status(status) => {
                // Where a redirect leads, a second post would be seen.
                let head = format!(
                    "HTTP/1.1 {status} X\r\nLocation: /elsewhere\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
                );
                let _ = client.write_all(head.as_bytes()).await;
                let _ = client.shutdown().await;
            }
            Answer::Never => {
                let _ = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
            }
            Answer::Close => {}
        }
    }
}

async fn request(client: &mut (impl AsyncRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        client.read_buf(&mut bytes).await.ok().filter(|read| *read > 0)?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    while bytes.len() < end + length.unwrap_or(0) {
        client.read_buf(&mut bytes).await.ok().filter(|read| *read > 0)?;
    }
    Some((head, bytes[end..].to_vec()))
}
