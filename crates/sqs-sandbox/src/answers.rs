//! Answers that are the same for every action: errors in the words and the form of each service.

use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use s3s::Body;

use super::course::End;
use super::log::LogEntry;
use super::query;
use super::s3::Refusal;
use super::signature::Flaw;
use super::sqs::failure::Failure;

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(super) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut by a fault")
    }
}

impl std::error::Error for Cut {}

/// An answer of SQS.
pub(super) fn json(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

/// Whether a request of SQS says that it is what the protocol wants. One that says nothing may be.
pub(super) fn is_aws_json(parts: &Parts) -> bool {
    parts.headers.get(CONTENT_TYPE).is_none_or(|value| value.as_bytes().starts_with(b"application/x-amz-json-1."))
}

/// Whether a request is one of the Query protocol: a form, or parameters that name an action.
pub(super) fn is_query(parts: &Parts) -> bool {
    let form = b"application/x-www-form-urlencoded";
    let is_form = parts.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(form));
    let names_action = || parts.uri.query().is_some_and(|query| query.split('&').any(|one| one.starts_with("Action=")));
    (parts.method == Method::POST && is_form) || (matches!(parts.method, Method::GET | Method::POST) && names_action())
}

/// Whether a request of the Query protocol wants an answer in JSON: SDKs never do, people with `curl` may.
pub(super) fn wants_json(parts: &Parts) -> bool {
    parts.headers.get(ACCEPT).is_some_and(|value| value == "application/json")
}

/// An answer of the Query protocol.
pub(super) fn xml(status: StatusCode, text: String) -> Response<Body> {
    of_type("text/xml", status, text)
}

/// An answer of the Query protocol to who wants JSON.
pub(super) fn query_json(text: String) -> Response<Body> {
    of_type("application/json", StatusCode::OK, text)
}

fn of_type(content_type: &'static str, status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An error of SQS or STS in the Query protocol, noted in the log.
pub(super) fn failed_query(failure: &Failure, entry: &mut LogEntry, request_id: &str) -> Response<Body> {
    entry.code = Some(failure.code.to_owned());
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // This protocol alone speaks of its version.
    let no_queue = Failure::no_such_queue();
    let message = if failure.code == no_queue.code {
        "The specified queue does not exist for this wsdl version."
    } else {
        failure.message.as_str()
    };
    xml(status, query::error(failure.code, failure.sender, message, request_id))
}

/// An error of SQS, noted in the log.
pub(super) fn failed(failure: &Failure, entry: &mut LogEntry) -> Response<Body> {
    entry.code = Some(failure.code.to_owned());
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, failure.body());
    if let Ok(value) = HeaderValue::from_str(&failure.query_error()) {
        response.headers_mut().insert("x-amzn-query-error", value);
    }
    response
}

/// An error of S3, noted in the log.
pub(super) fn refused(refusal: &Refusal, entry: &mut LogEntry) -> Response<Body> {
    entry.code = Some(refusal.code.to_owned());
    refusal.response()
}

/// What SQS says of a flaw in a signature.
pub(super) fn unsigned(flaw: Flaw) -> Failure {
    match flaw {
        Flaw::Missing => Failure::missing_token("Request is missing Authentication Token"),
        Flaw::UnknownKey => Failure::unknown_client("The security token included in the request is invalid."),
        Flaw::Mismatch => Failure::bad_signature(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
             Key and signing method. Consult the service documentation for details.",
        ),
        Flaw::Skewed => Failure::bad_signature("Signature expired: the request's time is too far from the server's."),
    }
}

/// What S3 says of a flaw in a signature.
pub(super) fn unsigned_s3(flaw: Flaw) -> Refusal {
    match flaw {
        Flaw::Missing => Refusal::new(403, "AccessDenied", "Access Denied"),
        Flaw::UnknownKey => {
            Refusal::new(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
        }
        Flaw::Mismatch => Refusal::new(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and signing \
             method.",
        ),
        Flaw::Skewed => Refusal::new(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the server's time is too large.",
        ),
    }
}

/// What SQS says where a fault ends the request.
pub(super) fn ended(end: End, entry: &LogEntry) -> Result<Failure, Cut> {
    Ok(match end {
        End::Cut => return Err(Cut),
        End::Throttled => Failure::throttled(),
        End::Denied => Failure::access_denied(&entry.action, &entry.resource),
        End::Expired => Failure::expired_token(),
        End::NotFound => Failure::no_such_queue(),
        End::Status(code) => Failure::server(code),
    })
}

/// What S3 answers where a fault ends the request.
pub(super) fn ended_s3(end: End, entry: &mut LogEntry) -> Result<Response<Body>, Cut> {
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
