//! The HTTP side: connections, limits, which of the two services a request is for, faults around it, and the log entry.
//! Whatever a client sends gets an answer or loses its connection; nothing it can send stops the server.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{DATE, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use s3s::Body;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::answers::{
    self, Cut, ended, ended_s3, failed, failed_query, json, query_json, refused, unsigned, unsigned_s3, wants_json, xml,
};
use super::control;
use super::course::Course;
use super::faults::When;
use super::log::LogEntry;
use super::query;
use super::s3::Refusal;
use super::shared::Shared;
use super::signature::{Authorization, signed_at, verify};
use super::sqs::call::Call;
use super::sqs::failure::Failure;
use super::sqs::{Outcome, Touched};
use super::sts;
use super::target::{Target, target};

/// The longest body of an SQS or control request: a batch of 1 MiB, every byte of it escaped, fits.
const SQS_BODY_LIMIT: usize = 8 * 1024 * 1024;

/// The longest object.
const S3_BODY_LIMIT: usize = 256 * 1024 * 1024;

/// How many connections are served at once; more wait to be accepted.
const CONNECTIONS: usize = 4096;

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
    let patience = shared.patience;
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { shared.answer(request, peer.ip()).await }
    });
    // An error here is a client that went away or does not speak HTTP, or a fault that cuts: each ends the connection.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Why a body could not be had.
enum Unread {
    TooLong,
    Broken,
}

async fn read_body(body: Incoming, limit: usize, patience: Duration) -> Result<Bytes, Unread> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Unread::TooLong);
    }
    match tokio::time::timeout(patience / 2, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Unread::TooLong),
        Ok(Err(_)) | Err(_) => Err(Unread::Broken),
    }
}

impl Shared {
    /// Answers one request.
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Result<Response<Body>, Cut> {
        let (parts, body) = request.into_parts();
        if let Some(path) = parts.uri.path().strip_prefix("/_sandbox/") {
            let path = path.to_owned();
            let response = match read_body(body, SQS_BODY_LIMIT, self.patience).await {
                Ok(body) => control::answer(self, &parts, &path, &body, peer),
                Err(_) => control::refusal(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long"),
            };
            return Ok(response);
        }
        let mut entry = LogEntry { number: self.log.next_number(), at_ms: self.account.now(), ..LogEntry::default() };
        if let Some(authorization) = Authorization::read(&parts.headers) {
            entry.access_key = Some(authorization.access_key.to_owned());
            entry.region = Some(authorization.region.to_owned());
            entry.signed_ms = signed_at(&parts.headers);
        }
        let started = Instant::now();
        let action = parts.headers.get("x-amz-target").map(|value| {
            let value = value.to_str().unwrap_or_default();
            value.strip_prefix("AmazonSQS.").unwrap_or(value).to_owned()
        });
        let mut touched = Vec::new();
        let result = match action {
            Some(action) => self.sqs(&action, &parts, body, &mut entry, &mut touched).await,
            None if answers::is_query(&parts) || (parts.method == Method::GET && self.is_queue(&parts)) => {
                self.query(&parts, body, &mut entry, &mut touched).await
            }
            None => self.s3(parts, body, &mut entry).await,
        };
        entry.took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        entry.status = result.as_ref().map_or(0, |response| response.status().as_u16());
        let number = entry.number;
        self.log.add(entry, touched);
        result.map(|response| self.finish(response, number))
    }

    /// Whether a request's path is a queue's. No bucket can mean it, as long as none has the account's number for its name.
    fn is_queue(&self, parts: &Parts) -> bool {
        let account = self.account.setup.account.as_str();
        let name = parts.uri.path().strip_prefix('/').and_then(|path| path.strip_prefix(account)?.strip_prefix('/'));
        name.is_some_and(|name| self.account.by_name(name).is_some())
    }

    fn request_id(&self, number: u64) -> String {
        Uuid::from_u64_pair(self.account.setup.manner.seed, number).to_string()
    }

    /// The headers that every answer has.
    fn finish(&self, mut response: Response<Body>, number: u64) -> Response<Body> {
        let id = self.request_id(number);
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

    async fn sqs(
        &self,
        action: &str,
        parts: &Parts,
        body: Incoming,
        entry: &mut LogEntry,
        touched: &mut Vec<Touched>,
    ) -> Result<Response<Body>, Cut> {
        action.clone_into(&mut entry.action);
        let body = match read_body(body, SQS_BODY_LIMIT, self.patience).await {
            Ok(body) => body,
            Err(Unread::TooLong) => return Ok(failed(&Failure::body_too_large(SQS_BODY_LIMIT), entry)),
            Err(Unread::Broken) => return Err(Cut),
        };
        entry.request_bytes = body.len();
        if !answers::is_aws_json(parts) {
            return Ok(failed(&Failure::serialization("The Content-Type is not application/x-amz-json-1.0."), entry));
        }
        if let Err(flaw) = verify(&self.keys, parts, &body, self.account.now()) {
            return Ok(failed(&unsigned(flaw), entry));
        }
        let trace = parts.headers.get("x-amzn-trace-id").and_then(|value| value.to_str().ok());
        let call = Call::parse(action, &body, trace);
        Ok(match self.carry_out(call, entry, touched).await? {
            Ok(body) => json(StatusCode::OK, body),
            Err(failure) => failed(&failure, entry),
        })
    }

    /// A request of the Query protocol: SQS's, or one of the few of STS.
    async fn query(
        &self,
        parts: &Parts,
        body: Incoming,
        entry: &mut LogEntry,
        touched: &mut Vec<Touched>,
    ) -> Result<Response<Body>, Cut> {
        let request_id = self.request_id(entry.number);
        let body = match read_body(body, SQS_BODY_LIMIT, self.patience).await {
            Ok(body) => body,
            Err(Unread::TooLong) => {
                return Ok(failed_query(&Failure::body_too_large(SQS_BODY_LIMIT), entry, &request_id));
            }
            Err(Unread::Broken) => return Err(Cut),
        };
        entry.request_bytes = body.len();
        let mut parameters = query::parse(parts.uri.query().unwrap_or_default().as_bytes());
        parameters.extend(query::parse(&body));
        let action = parameters.get("Action").cloned().unwrap_or_default();
        entry.action.clone_from(&action);
        if let Err(flaw) = verify(&self.keys, parts, &body, self.account.now()) {
            return Ok(failed_query(&unsigned(flaw), entry, &request_id));
        }
        if action.is_empty() && parts.method == Method::GET {
            entry.code = Some("UnknownOperationException".to_owned());
            return Ok(xml(StatusCode::NOT_FOUND, "<UnknownOperationException/>\n".to_owned()));
        }
        let path = parts.uri.path();
        let wants_json = wants_json(parts) && !sts::knows(&action);
        let result = if path.len() > 1 && matches!(action.as_str(), "CreateQueue" | "ListQueues") {
            // These are no queue's.
            Err(Failure::unknown_action(&action))
        } else if sts::knows(&action) {
            self.sts(&action, &parameters, entry, &request_id).await?
        } else {
            let trace = parts.headers.get("x-amzn-trace-id").and_then(|value| value.to_str().ok());
            let call = Call::parse(&action, &query::request(&action, &parameters, path), trace);
            let form = if wants_json { query::json_response } else { query::response };
            self.carry_out(call, entry, touched).await?.map(|body| form(&action, &body, &request_id))
        };
        Ok(match result {
            Ok(text) if wants_json => query_json(text),
            Ok(text) => xml(StatusCode::OK, text),
            Err(failure) => failed_query(&failure, entry, &request_id),
        })
    }

    async fn sts(
        &self,
        action: &str,
        parameters: &BTreeMap<String, String>,
        entry: &mut LogEntry,
        request_id: &str,
    ) -> Result<Result<String, Failure>, Cut> {
        let course = self.course(entry);
        if let Some(end) = course.run(When::Before).await {
            return ended(end, entry).map(Err);
        }
        let caller = entry.access_key.as_deref();
        let role = parameters.get("RoleArn").map_or("", String::as_str);
        if let Err(failure) = self.permit_sts(action, role, caller) {
            return Ok(Err(failure));
        }
        let (account, now) = (&self.account.setup.account, self.account.now());
        let result = sts::execute(&self.keys, action, parameters, caller, account, now, request_id);
        match course.run(When::After).await {
            Some(end) => ended(end, entry).map(Err),
            None => Ok(result),
        }
    }

    /// Carries out a call of SQS, with what misbehaves around it and inside it.
    async fn carry_out(
        &self,
        call: Result<Call, Failure>,
        entry: &mut LogEntry,
        touched: &mut Vec<Touched>,
    ) -> Result<Result<Vec<u8>, Failure>, Cut> {
        call.as_ref().map_or("", Call::queue).clone_into(&mut entry.resource);
        let course = self.course(entry);
        if let Some(end) = course.run(When::Before).await {
            return ended(end, entry).map(Err);
        }
        let permitted =
            call.and_then(|call| self.permit_sqs(&entry.action, &call, entry.access_key.as_deref()).map(|()| call));
        let mut result = match permitted {
            Ok(call) => self.account.execute(call, &course.tamper()).await,
            Err(failure) => Err(failure),
        };
        if let Ok(Outcome { entries, failed, touched: all, .. }) = &mut result {
            (entry.entries, entry.failed) = (*entries, *failed);
            *touched = std::mem::take(all);
        }
        if let Some(end) = course.run(When::After).await {
            return ended(end, entry).map(Err);
        }
        Ok(result.map(|outcome| outcome.body))
    }

    async fn s3(&self, parts: Parts, body: Incoming, entry: &mut LogEntry) -> Result<Response<Body>, Cut> {
        let target: Target = target(&parts);
        target.action.clone_into(&mut entry.action);
        entry.resource.clone_from(&target.bucket);
        entry.key.clone_from(&target.key);
        entry.entries = 1;
        let body = match read_body(body, S3_BODY_LIMIT, self.patience).await {
            Ok(body) => body,
            Err(Unread::TooLong) => {
                let message = "Your proposed upload exceeds the maximum allowed object size.";
                return Ok(refused(&Refusal::new(400, "EntityTooLarge", message), entry));
            }
            Err(Unread::Broken) => return Err(Cut),
        };
        entry.request_bytes = body.len();
        if let Err(flaw) = verify(&self.keys, &parts, &body, self.account.now()) {
            return Ok(refused(&unsigned_s3(flaw), entry));
        }
        let course = self.course(entry);
        if let Some(end) = course.run(When::Before).await {
            return ended_s3(end, entry);
        }
        if let Err(refusal) = self.permit_s3(&parts, &target, entry.access_key.as_deref()) {
            return Ok(refused(&refusal, entry));
        }
        let response = self.store.handle(parts, body, &target).await;
        if response.status() == StatusCode::NOT_FOUND
            && let Err(refusal) = self.permit_absence(&target, entry.access_key.as_deref())
        {
            return Ok(refused(&refusal, entry));
        }
        match course.run(When::After).await {
            Some(end) => ended_s3(end, entry),
            None => Ok(response),
        }
    }

    fn course(&self, entry: &mut LogEntry) -> Course<'_> {
        let faults = self.faults.decide(entry.number, &entry.action, &entry.resource);
        entry.faults = faults.iter().map(|fault| fault.name().to_owned()).collect();
        Course::new(self, faults)
    }
}
