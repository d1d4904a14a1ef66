//! The load generator: raw HTTP/1.1 on a few connections, several requests in one write, answers read as they come. It
//! knows of SQS what it needs to write a request and to find receipt handles in an answer, and parses nothing else.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// How many connections are open.
const CONNECTIONS: usize = 16;

/// How many requests are on the way on each.
const PIPELINE: usize = 4;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Send,
    SendBatch,
    Receive,
    ReceiveBatch,
    Delete,
    /// With a handle that nobody gave: for a server that does not look.
    DeleteMadeUp,
    DeleteBatch,
}

/// What a measurement gave.
pub(crate) struct Load {
    pub(crate) took: Duration,
    /// Answers with status 200, and with something in them where something was asked for.
    pub(crate) answers: usize,
}

/// See the module.
pub(crate) struct Generator {
    port: u16,
    is_fifo: bool,
    url: String,
    body: String,
    handles: Rc<RefCell<Vec<String>>>,
    sent: Rc<Cell<usize>>,
}

impl Generator {
    /// For a FIFO queue, if the name is one's.
    pub(crate) fn new(port: u16, queue: &str, length: usize) -> Self {
        let body = "{\\\"order\\\":{\\\"id\\\":4711,\\\"total\\\":10.50}} ".chars().cycle();
        // Escaped quotes count one byte in the message and two on the way.
        let mut text = String::new();
        let mut bytes = 0;
        for character in body {
            if bytes == length && !text.ends_with('\\') {
                break;
            }
            text.push(character);
            bytes += usize::from(character != '\\');
        }
        Self {
            port,
            is_fifo: queue.strip_suffix(".fifo").is_some(),
            url: format!("http://127.0.0.1:{port}/000000000000/{queue}"),
            body: text,
            handles: Rc::default(),
            sent: Rc::default(),
        }
    }

    pub(crate) async fn create_queue(&self) {
        let name = self.url.rsplit('/').next().unwrap_or_default();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("a connection");
        let attributes = if self.is_fifo { ",\"Attributes\":{\"FifoQueue\":\"true\"}" } else { "" };
        let request = http("CreateQueue", &format!("{{\"QueueName\":\"{name}\"{attributes}}}"));
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut answers = Answers::default();
        let (is_fine, _) = answers.next(&mut stream).await;
        assert!(is_fine, "the queue cannot be created");
    }

    pub(crate) fn forget_handles(&self) {
        self.handles.borrow_mut().clear();
    }

    /// Makes so many requests, as fast as they are answered.
    pub(crate) async fn run(&self, phase: Phase, requests: usize) -> Load {
        let started = Instant::now();
        let tasks = LocalSet::new();
        let mut running = Vec::new();
        for number in 0..CONNECTIONS {
            let share = requests / CONNECTIONS + usize::from(number < requests % CONNECTIONS);
            let connection = Connection {
                phase,
                port: self.port,
                is_fifo: self.is_fifo,
                url: self.url.clone(),
                body: self.body.clone(),
                handles: Rc::clone(&self.handles),
                sent: Rc::clone(&self.sent),
            };
            running.push(tasks.spawn_local(connection.run(share)));
        }
        tasks.await;
        let mut answers = 0;
        for task in running {
            answers += task.await.expect("a connection ends");
        }
        Load { took: started.elapsed(), answers }
    }
}

struct Connection {
    phase: Phase,
    port: u16,
    is_fifo: bool,
    url: String,
    body: String,
    handles: Rc<RefCell<Vec<String>>>,
    sent: Rc<Cell<usize>>,
}

impl Connection {
    async fn run(self, requests: usize) -> usize {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let mut answers = Answers::default();
        let (mut sent, mut read, mut fine) = (0, 0, 0);
        let mut wire = String::new();
        while read < requests {
            wire.clear();
            while sent < requests && sent - read < PIPELINE {
                wire.push_str(&self.request());
                sent += 1;
            }
            stream.write_all(wire.as_bytes()).await.expect("a request");
            while read < sent {
                let (is_fine, body) = answers.next(&mut stream).await;
                read += 1;
                fine += usize::from(is_fine && self.note(&body));
            }
        }
        fine
    }

    fn handle(&self) -> String {
        self.handles.borrow_mut().pop().unwrap_or_default()
    }

    /// What a send says of one message. On a FIFO queue two by two are one group.
    fn message(&self) -> String {
        let body = &self.body;
        if !self.is_fifo {
            return format!("\"MessageBody\":\"{body}\"");
        }
        let number = self.sent.get();
        self.sent.set(number + 1);
        let group = number / 2;
        format!("\"MessageBody\":\"{body}\",\"MessageGroupId\":\"{group}\",\"MessageDeduplicationId\":\"{number}\"")
    }

    fn request(&self) -> String {
        let url = &self.url;
        let entries = |of: &dyn Fn() -> String| {
            let mut text = String::new();
            for number in 0..10 {
                let comma = if number > 0 { "," } else { "" };
                let _ = write!(text, "{comma}{{\"Id\":\"{number}\",{}}}", of());
            }
            text
        };
        let (action, content) = match self.phase {
            Phase::Send => ("SendMessage", self.message()),
            Phase::SendBatch => {
                let entries = entries(&|| self.message());
                ("SendMessageBatch", format!("\"Entries\":[{entries}]"))
            }
            Phase::Receive | Phase::ReceiveBatch => {
                let most = if self.phase == Phase::Receive { 1 } else { 10 };
                let asked = "\"MessageSystemAttributeNames\":[\"All\"],\"MessageAttributeNames\":[\"All\"]";
                let wait = "\"WaitTimeSeconds\":1,\"VisibilityTimeout\":43200";
                ("ReceiveMessage", format!("\"MaxNumberOfMessages\":{most},{wait},{asked}"))
            }
            Phase::Delete => ("DeleteMessage", format!("\"ReceiptHandle\":\"{}\"", self.handle())),
            Phase::DeleteMadeUp => ("DeleteMessage", "\"ReceiptHandle\":\"made-up\"".to_owned()),
            Phase::DeleteBatch => {
                let entries = entries(&|| format!("\"ReceiptHandle\":\"{}\"", self.handle()));
                ("DeleteMessageBatch", format!("\"Entries\":[{entries}]"))
            }
        };
        http(action, &format!("{{\"QueueUrl\":\"{url}\",{content}}}"))
    }

    /// Whether an answer holds what was asked for; keeps the receipt handles in it.
    fn note(&self, body: &str) -> bool {
        match self.phase {
            Phase::Receive | Phase::ReceiveBatch => {
                let mut handles = self.handles.borrow_mut();
                let before = handles.len();
                for rest in body.split("\"ReceiptHandle\":\"").skip(1) {
                    handles.push(rest.split('"').next().unwrap_or_default().to_owned());
                }
                handles.len() > before
            }
            Phase::SendBatch | Phase::DeleteBatch => !body.contains("\"Failed\""),
            Phase::Send | Phase::Delete | Phase::DeleteMadeUp => true,
        }
    }
}

/// A request as an SDK sends it, with a signature that nobody verifies.
fn http(action: &str, body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-amz-json-1.0\r\nx-amz-target: AmazonSQS.{action}\r\n\
         x-amz-date: 20260101T000000Z\r\nauthorization: AWS4-HMAC-SHA256 Credential=bench/20260101/eu-west-1/sqs/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
         Signature=0000000000000000000000000000000000000000000000000000000000000000\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Answers, cut out of the stream.
#[derive(Default)]
struct Answers {
    buffer: Vec<u8>,
    start: usize,
}

impl Answers {
    /// The next one: whether its status is 200, and its body.
    async fn next(&mut self, stream: &mut TcpStream) -> (bool, String) {
        loop {
            if let Some((length, answer)) = cut(&self.buffer[self.start..]) {
                self.start += length;
                if self.start == self.buffer.len() {
                    self.buffer.clear();
                    self.start = 0;
                }
                return answer;
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            let read = stream.read_buf(&mut self.buffer).await.expect("an answer");
            assert!(read > 0, "the server closed the connection");
        }
    }
}

/// The first answer in the bytes, where it is whole, and its length.
fn cut(bytes: &[u8]) -> Option<(usize, (bool, String))> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..head]).expect("headers are text");
    let length = text
        .split("\r\n")
        .find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")))
        .map_or(0, |(_, value)| value.trim().parse().expect("a length"));
    let end = head + 4 + length;
    let body = bytes.get(head + 4..end)?;
    Some((end, (text.starts_with("HTTP/1.1 200"), String::from_utf8_lossy(body).into_owned())))
}
