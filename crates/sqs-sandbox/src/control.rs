//! The control endpoint, `/_sandbox/…`: the log, the fault rules, the state of all queues and the clock, as JSON. For this
//! machine only: it answers clients on loopback that know they talk to loopback, and changes nothing for a web page's sake.

use std::net::IpAddr;

use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use s3s::Body;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::faults::{Fault, Rule};
use super::shared::Shared;
use super::state;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

/// Answers a control request.
pub(super) fn answer(shared: &Shared, parts: &Parts, path: &str, body: &[u8], peer: IpAddr) -> Response<Body> {
    if !peer.is_loopback() || !names_loopback(parts) {
        return refusal(StatusCode::FORBIDDEN, "the control endpoint is for this machine only");
    }
    // A web page can send such a request only after asking first, which is never answered.
    let is_json =
        parts.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if parts.method != Method::GET && !is_json {
        return refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json");
    }
    match (&parts.method, path) {
        (&Method::GET, "log") => {
            let since = parameter(parts, "since").and_then(|number| number.parse().ok()).unwrap_or(0);
            shown(&shared.log.since(since))
        }
        (&Method::DELETE, "log") => {
            shared.log.clear();
            shown(&json!({}))
        }
        (&Method::GET, "faults") => {
            let rules: Vec<_> = shared.faults.list();
            let rules = rules.into_iter().map(|(id, rule, hits)| json!({"id": id, "rule": rule, "hits": hits}));
            shown(&rules.collect::<Vec<_>>())
        }
        (&Method::POST, "faults") => match serde_json::from_slice::<Rule>(body) {
            Ok(Rule { fault: Fault::Kill { .. }, .. }) if !shared.signals => {
                refusal(StatusCode::FORBIDDEN, "this sandbox was started without leave to send signals")
            }
            Ok(rule) => shown(&json!({"id": shared.faults.add(rule)})),
            Err(error) => refusal(StatusCode::BAD_REQUEST, &format!("not a rule: {error}")),
        },
        (&Method::DELETE, "faults") => {
            match parameter(parts, "id").map(str::parse) {
                None => shared.faults.clear(),
                Some(Ok(id)) if shared.faults.remove(id) => {}
                Some(_) => return refusal(StatusCode::NOT_FOUND, "no such rule"),
            }
            shown(&json!({}))
        }
        (&Method::GET, "state") => {
            let wanted = parameter(parts, "queue");
            let now = shared.account.now();
            let cells = shared.account.cells();
            let cells = cells.iter().filter(|cell| wanted.is_none_or(|name| name == cell.name));
            shown(&json!({"queues": cells.map(|cell| state::of(cell, now)).collect::<Vec<_>>()}))
        }
        (&Method::GET, "clock") => shown(&json!({"now_ms": shared.account.now()})),
        (&Method::POST, "clock") => match serde_json::from_slice::<Advance>(body) {
            Ok(advance) => {
                shared.account.advance(advance.advance_ms);
                shown(&json!({"now_ms": shared.account.now()}))
            }
            Err(error) => refusal(StatusCode::BAD_REQUEST, &format!("expected {{\"advance_ms\": …}}: {error}")),
        },
        _ => refusal(StatusCode::NOT_FOUND, "there are log, faults, state and clock"),
    }
}

/// Whether the client thinks it talks to loopback: a name that was made to point here is refused.
fn names_loopback(parts: &Parts) -> bool {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn parameter<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    let pairs = parts.uri.query()?.split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn shown(value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// A refusal in words.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response<Body> {
    json(status, json!({"error": message}).to_string().into_bytes())
}

fn json(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
