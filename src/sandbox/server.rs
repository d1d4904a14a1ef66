//! The HTTP side: connections, limits, which of the two services a request is for, faults around it, and the log entry.
//! Whatever a client sends gets an answer or loses its connection; nothing it can send stops the server.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use s3s::Body;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::control;
use super::faults::{Fault, Faults, Signal, When};
use super::log::{Log, LogEntry, LoggedMessage};
use super::s3::{Refusal, Store, Target, target};
use super::sqs::account::Account;
use super::sqs::call::Call;
use super::sqs::failure::Failure;
use super::sqs::message::hex;
use super::sqs::{FailEntry, Outcome, Tamper};

/// The longest body of an SQS or control request: a batch of 1 MiB, every byte of it escaped, fits.
const SQS_BODY_LIMIT: usize = 8 * 1024 * 1024;

/// The longest object.
const S3_BODY_LIMIT: usize = 256 * 1024 * 1024;

/// How many connections are served at once; more wait to be accepted.
const CONNECTIONS: usize = 4096;

/// How long a connection may be idle or send its headers. Longer than clients keep idle connections, so that it is they who close.
const HEADER_TIMEOUT: Duration = Duration::from_mins(2);

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Everything that connections share.
pub(super) struct Shared {
    pub(super) account: Arc<Account>,
    pub(super) store: Store,
    pub(super) faults: Faults,
    pub(super) log: Log,
    /// Whether rules may send signals to processes.
    pub(super) signals: bool,
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(super) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut by a fault")
    }
}

impl std::error::Error for Cut {}

/// Serves connections until it is aborted.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Connections end with this future.
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        connection(stream, peer, shared).await;
                        drop(place);
                    });
                }
                // Out of file descriptors, most likely: others will close theirs.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    // Small answers must not wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { shared.answer(request, peer.ip()).await }
    });
    // An error here is a client that went away or does not speak HTTP, or a fault that cuts: each ends the connection.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Why a body could not be had.
enum Unread {
    TooLong,
    Broken,
}

async fn read_body(body: Incoming, limit: usize) -> Result<Bytes, Unread> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Unread::TooLong);
    }
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Unread::TooLong),
        Ok(Err(_)) | Err(_) => Err(Unread::Broken),
    }
}

/// What comes before and after the effect of a request.
struct Course<'a> {
    shared: &'a Shared,
    faults: Vec<Fault>,
}

/// How a fault ends a request early.
#[derive(Clone, Copy)]
enum End {
    Cut,
    Throttled,
    Denied,
    Expired,
    NotFound,
    Status(u16),
}

impl Course<'_> {
    /// Carries out the faults of one phase, in the order of the rules.
    async fn run(&self, phase: When) -> Option<End> {
        for fault in &self.faults {
            let before = phase == When::Before;
            match fault {
                Fault::Latency { ms, jitter_ms, when } if *when == phase => {
                    let pause = ms.saturating_add(self.shared.faults.jitter(*jitter_ms));
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                Fault::Cut { when } if *when == phase => return Some(End::Cut),
                Fault::Silence { when } if *when == phase => std::future::pending().await,
                Fault::Status { code, when } if *when == phase => return Some(End::Status(*code)),
                Fault::Kill { pid, signal, when } if *when == phase => {
                    if self.shared.signals {
                        send_signal(*pid, *signal).await;
                    }
                    if *signal == Signal::Kill {
                        return Some(End::Cut);
                    }
                }
                Fault::Throttle if before => return Some(End::Throttled),
                Fault::AccessDenied if before => return Some(End::Denied),
                Fault::ExpiredToken if before => return Some(End::Expired),
                Fault::NotFound if before => return Some(End::NotFound),
                _ => {}
            }
        }
        None
    }

    fn tamper(&self) -> Tamper {
        let mut tamper = Tamper::default();
        for fault in &self.faults {
            match fault {
                Fault::FailEntry { index, sender_fault, code } => {
                    tamper.fail.push(FailEntry { index: *index, sender: *sender_fault, code: code.clone() });
                }
                Fault::CorruptMd5 => tamper.corrupt_md5 = true,
                Fault::Duplicate => tamper.duplicate = true,
                Fault::IgnoreStaleHandle => tamper.ignore_stale = true,
                _ => {}
            }
        }
        tamper
    }
}

async fn send_signal(pid: u32, signal: Signal) {
    // 0 and its like mean whole groups of processes.
    if pid > 1 {
        let _ = tokio::process::Command::new("kill").arg(signal.option()).arg(pid.to_string()).status().await;
    }
}

impl Shared {
    /// Answers one request.
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Result<Response<Body>, Cut> {
        let (parts, body) = request.into_parts();
        if let Some(path) = parts.uri.path().strip_prefix("/_sandbox/") {
            let path = path.to_owned();
            let response = match read_body(body, SQS_BODY_LIMIT).await {
                Ok(body) => control::answer(self, &parts, &path, &body, peer),
                Err(_) => control::refusal(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long"),
            };
            return Ok(response);
        }
        let mut entry = LogEntry { number: self.log.next_number(), at_ms: self.account.now(), ..LogEntry::default() };
        (entry.access_key, entry.region) = signer(&parts.headers);
        let started = Instant::now();
        let action = parts.headers.get("x-amz-target").map(|value| {
            let value = value.to_str().unwrap_or_default();
            value.strip_prefix("AmazonSQS.").unwrap_or(value).to_owned()
        });
        let result = match action {
            Some(action) => self.sqs(&action, body, &mut entry).await,
            None => self.s3(parts, body, &mut entry).await,
        };
        entry.took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        entry.status = result.as_ref().map_or(0, |response| response.status().as_u16());
        let number = entry.number;
        self.log.add(entry);
        result.map(|response| self.finish(response, number))
    }

    /// The headers that every answer has.
    fn finish(&self, mut response: Response<Body>, number: u64) -> Response<Body> {
        let id = Uuid::from_u64_pair(self.account.setup.manner.seed, number).to_string();
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert("x-amzn-requestid", id);
        }
        if self.account.ahead() > 0
            && let Ok(now) = Timestamp::from_millisecond(i64::try_from(self.account.now()).unwrap_or(i64::MAX))
            && let Ok(date) = HeaderValue::from_str(&now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        {
            headers.insert(DATE, date);
        }
        response
    }

    async fn sqs(&self, action: &str, body: Incoming, entry: &mut LogEntry) -> Result<Response<Body>, Cut> {
        action.clone_into(&mut entry.action);
        let body = match read_body(body, SQS_BODY_LIMIT).await {
            Ok(body) => body,
            Err(Unread::TooLong) => return Ok(failed(&Failure::body_too_large(SQS_BODY_LIMIT), entry)),
            Err(Unread::Broken) => return Err(Cut),
        };
        entry.request_bytes = body.len();
        let call = Call::parse(action, &body);
        let queue = call.as_ref().map_or("", Call::queue).to_owned();
        let course = self.course(action, &queue, entry);
        entry.resource = queue;
        if let Some(end) = course.run(When::Before).await {
            return ended(end, entry);
        }
        let result = match call {
            Ok(call) => self.account.execute(call, &course.tamper()).await,
            Err(failure) => Err(failure),
        };
        if let Ok(outcome) = &result {
            note(outcome, entry);
        }
        if let Some(end) = course.run(When::After).await {
            return ended(end, entry);
        }
        Ok(match result {
            Ok(outcome) => json(StatusCode::OK, outcome.body),
            Err(failure) => failed(&failure, entry),
        })
    }

    async fn s3(&self, parts: Parts, body: Incoming, entry: &mut LogEntry) -> Result<Response<Body>, Cut> {
        let target: Target = target(&parts);
        target.action.clone_into(&mut entry.action);
        entry.resource.clone_from(&target.bucket);
        entry.key.clone_from(&target.key);
        entry.entries = 1;
        let body = match read_body(body, S3_BODY_LIMIT).await {
            Ok(body) => body,
            Err(Unread::TooLong) => {
                let message = "Your proposed upload exceeds the maximum allowed object size.";
                return Ok(refused(&Refusal::new(400, "EntityTooLarge", message), entry));
            }
            Err(Unread::Broken) => return Err(Cut),
        };
        entry.request_bytes = body.len();
        let course = self.course(target.action, &target.bucket, entry);
        if let Some(end) = course.run(When::Before).await {
            return ended_s3(end, entry);
        }
        let response = self.store.handle(parts, body, &target).await;
        match course.run(When::After).await {
            Some(end) => ended_s3(end, entry),
            None => Ok(response),
        }
    }

    fn course(&self, action: &str, resource: &str, entry: &mut LogEntry) -> Course<'_> {
        let faults = self.faults.decide(entry.number, action, resource);
        entry.faults = faults.iter().map(|fault| fault.name().to_owned()).collect();
        Course { shared: self, faults }
    }
}

/// The access key ID and region of an `Authorization` header. Signatures are not verified: this is the place where they would be.
fn signer(headers: &HeaderMap) -> (Option<String>, Option<String>) {
    let scope = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once("Credential="))
        .map(|(_, rest)| rest.split(',').next().unwrap_or(rest));
    let Some(scope) = scope else { return (None, None) };
    let mut parts = scope.split('/');
    (parts.next().map(str::to_owned), parts.nth(1).map(str::to_owned))
}

fn note(outcome: &Outcome, entry: &mut LogEntry) {
    entry.entries = outcome.entries;
    entry.failed = outcome.failed;
    entry.messages = outcome
        .touched
        .iter()
        .map(|touched| LoggedMessage { id: touched.id.to_string(), body_md5: touched.body_md5.map(|md5| hex(&md5)) })
        .collect();
}

fn json(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

fn failed(failure: &Failure, entry: &mut LogEntry) -> Response<Body> {
    entry.code = Some(failure.code.to_owned());
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, failure.body());
    if let Ok(value) = HeaderValue::from_str(&failure.query_error()) {
        response.headers_mut().insert("x-amzn-query-error", value);
    }
    response
}

fn refused(refusal: &Refusal, entry: &mut LogEntry) -> Response<Body> {
    entry.code = Some(refusal.code.to_owned());
    refusal.response()
}

fn ended(end: End, entry: &mut LogEntry) -> Result<Response<Body>, Cut> {
    let failure = match end {
        End::Cut => return Err(Cut),
        End::Throttled => Failure::throttled(),
        End::Denied => Failure::access_denied(&entry.action, &entry.resource),
        End::Expired => Failure::expired_token(),
        End::NotFound => Failure::no_such_queue(),
        End::Status(code) => Failure::server(code),
    };
    Ok(failed(&failure, entry))
}

fn ended_s3(end: End, entry: &mut LogEntry) -> Result<Response<Body>, Cut> {
    let refusal = match end {
        End::Cut => return Err(Cut),
        End::Throttled => Refusal::new(503, "SlowDown", "Please reduce your request rate."),
        End::Denied => Refusal::new(403, "AccessDenied", "Access Denied"),
        End::Expired => Refusal::new(400, "ExpiredToken", "The provided token has expired."),
        End::NotFound => Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist"),
        End::Status(503) => Refusal::new(503, "ServiceUnavailable", "Service is unable to handle request."),
        End::Status(code) => Refusal::new(code, "InternalError", "We encountered an internal error. Please try again."),
    };
    Ok(refused(&refusal, entry))
}
