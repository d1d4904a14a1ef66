//! What is known when a call fails. Everything that apply does about a failure hangs on one question: can it have had an
//! effect? Where the answer is not a sure no, it is [`Fault::NoAnswer`].

use std::error::Error as StdError;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::dns::ResolveDnsError;
use http_body_util::LengthLimitError;

use crate::sqs::{CallError, Fault};

/// Where calls go, for the words of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Site {
    /// The queue's or bucket's name.
    pub(super) resource: String,
    /// The endpoint's URL, or whose endpoint it is.
    pub(super) endpoint: String,
    /// Whose credentials the calls are made with.
    pub(super) whose: String,
}

impl Site {
    /// The failure of a call here, from what the SDK says.
    pub(super) fn failed<E>(&self, action: &'static str, error: &SdkError<E, HttpResponse>) -> CallError
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        match error {
            SdkError::ServiceError(context) => {
                let (code, message) = (context.err().code(), context.err().message());
                self.answered(action, context.raw(), code, message)
            }
            // The answer's head came, and what followed could not be read.
            SdkError::ResponseError(context) => {
                let status = context.raw().status().as_u16();
                if find::<LengthLimitError>(error).is_some() {
                    let message =
                        format!("the answer (HTTP {status}) is longer than any of this service: it was not read");
                    return self.error(Fault::NoAnswer, action, None, message);
                }
                let message = format!("the answer (HTTP {status}) could not be read: {}", words(error));
                self.error(Fault::NoAnswer, action, None, message)
            }
            _ => self.unanswered(action, error),
        }
    }

    /// The failure of a call whose time ran out.
    pub(super) fn timed_out(&self, action: &'static str, seconds: u64) -> CallError {
        self.error(Fault::NoAnswer, action, None, format!("no answer from {} within {seconds} s", self.endpoint))
    }

    /// An answer that came, and says what cannot be.
    pub(super) fn unreadable(&self, action: &'static str, message: impl Into<String>) -> CallError {
        self.error(Fault::NoAnswer, action, None, message.into())
    }

    pub(super) fn error(
        &self,
        fault: Fault,
        action: &'static str,
        code: Option<&str>,
        message: impl Into<String>,
    ) -> CallError {
        let (resource, code) = (self.resource.clone(), code.map(str::to_owned));
        let mut message = message.into();
        // What depends on who asks and where: the first question about each of them.
        if matches!(fault, Fault::Denied | Fault::Credentials | Fault::NotFound) {
            message = format!("{message} (at {}, with {})", self.endpoint, self.whose);
        }
        CallError { fault, action, resource, code, message }
    }

    fn answered(
        &self,
        action: &'static str,
        response: &HttpResponse,
        code: Option<&str>,
        message: Option<&str>,
    ) -> CallError {
        let status = response.status().as_u16();
        // SQS's older protocol put this before its codes, and the JSON one still does in a header.
        let code = code.map(|code| code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code));
        // What a conditional put waits for; not every server repeats it in a body.
        let code = code.or((status == 412).then_some("PreconditionFailed"));
        let fault = of_answer(status, code);
        let message = match message {
            _ if (200..300).contains(&status) => {
                format!("HTTP {status}, with an answer that is none of this service's")
            }
            // S3 names the right region in a header, also where the answer has no body.
            _ if matches!(status, 301 | 307 | 400) && response.headers().get(BUCKET_REGION).is_some() => {
                let region = response.headers().get(BUCKET_REGION).unwrap_or_default();
                format!("HTTP {status}: the bucket is in the region {region}; set `region` to it")
            }
            Some(message) => message.to_owned(),
            // Answers to HEAD have no body, and so no words.
            None if fault == Fault::NotFound => format!("it is not there (HTTP {status})"),
            None if fault == Fault::Denied => format!("not permitted (HTTP {status})"),
            None => format!("HTTP {status} from {}", self.endpoint),
        };
        self.error(fault, action, code, message)
    }

    fn unanswered<E>(&self, action: &'static str, error: &SdkError<E, HttpResponse>) -> CallError
    where
        E: StdError + 'static,
    {
        if let Some(credentials) = find::<CredentialsError>(error) {
            // Slow credentials may come yet; wrong ones will not.
            let slow = matches!(credentials, CredentialsError::ProviderTimedOut(_));
            let fault = if slow { Fault::Unreachable } else { Fault::Credentials };
            return self.error(fault, action, None, format!("could not load AWS credentials: {}", words(credentials)));
        }
        if matches!(error, SdkError::ConstructionFailure(_)) {
            let message = format!("the request could not be made: {}", words(error));
            return self.error(Fault::Refused, action, None, message);
        }
        if never_connected(error) {
            let message = format!("no connection to {}: {}", self.endpoint, words(error));
            return self.error(Fault::Unreachable, action, None, message);
        }
        let message = format!("the answer from {} never came: {}", self.endpoint, words(error));
        self.error(Fault::NoAnswer, action, None, message)
    }
}

const BUCKET_REGION: &str = "x-amz-bucket-region";

/// What an answer's status and code say. Codes first where they are sure; then the status.
fn of_answer(status: u16, code: Option<&str>) -> Fault {
    // A success that is reported as an error is one that could not be read.
    if (200..300).contains(&status) {
        return Fault::NoAnswer;
    }
    match code.unwrap_or_default() {
        // S3 says it before it does anything; of SQS's 5xx nobody can say that.
        "SlowDown" => return Fault::Throttled,
        // No server that lacks the call has carried it out.
        _ if status == 501 => return Fault::Refused,
        _ if status >= 500 => return Fault::NoAnswer,
        "InternalError" | "InternalFailure" | "InternalServerError" | "ServiceUnavailable" | "RequestTimeout" => {
            return Fault::NoAnswer;
        }
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "TooManyRequestsException"
        | "PriorRequestNotComplete"
        | "KmsThrottled"
        | "KMS.ThrottlingException"
        // Another conditional write of the key was under way; this one was not carried out.
        | "ConditionalRequestConflict"
        | "OperationAborted" => return Fault::Throttled,
        "OverLimit" => return Fault::OverLimit,
        "BatchRequestTooLong" | "RequestTooLong" => return Fault::TooLong,
        "QueueDoesNotExist" | "NonExistentQueue" | "NoSuchBucket" | "NoSuchKey" => return Fault::NotFound,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "TokenRefreshRequired"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "UnrecognizedClient"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestTimeTooSkewed"
        | "RequestExpired" => return Fault::Credentials,
        "OptInRequired" | "NotAuthorized" | "UnauthorizedOperation" | "InvalidSecurity" | "AllAccessDisabled" => {
            return Fault::Denied;
        }
        code if code.starts_with("AccessDenied") => return Fault::Denied,
        // KmsAccessDenied, KMS.DisabledException, KmsInvalidState and the rest of them.
        code if code.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("kms")) && code.len() > 3 => return Fault::Denied,
        _ => {}
    }
    match status {
        429 => Fault::Throttled,
        // Only where no code says more: HEAD answers have no body.
        401 | 403 if code.is_none() => Fault::Denied,
        404 if code.is_none() || code == Some("NotFound") => Fault::NotFound,
        408 => Fault::NoAnswer,
        413 => Fault::TooLong,
        _ => Fault::Refused,
    }
}

/// Whether it is sure that no connection was made, so that nothing can have been sent.
fn never_connected(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|cause| {
        let connecting = cause
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect);
        let refused = cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
        connecting || refused || cause.is::<ResolveDnsError>()
    })
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

/// An error and its causes. `io::Error` hides the error it wraps from `source`, and shows only what is behind that.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => error.source(),
    })
}

/// The causes in words, without those that repeat what stands there already and without the SDK's own "dispatch failure".
pub(super) fn words(error: &(dyn StdError + 'static)) -> String {
    const SAYS_NOTHING: [&str; 6] =
        ["dispatch failure", "io error", "other", "timeout", "service error", "client error (Connect)"];
    let mut words: Vec<String> = Vec::new();
    for cause in chain(error) {
        // Some of them are whole paragraphs; an error here is one line.
        let text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if !SAYS_NOTHING.contains(&text.as_str()) && !words.iter().any(|before| before.contains(&text)) {
            words.push(text);
        }
    }
    if words.is_empty() { error.to_string() } else { words.join(": ") }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::error::{ConnectorError, ErrorMetadata};
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn site() -> Site {
        Site { resource: "orders".to_owned(), endpoint: "http://127.0.0.1:1".to_owned(), whose: "profile p".to_owned() }
    }

    fn answer(status: u16, code: Option<&str>) -> CallError {
        let raw = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        let mut error = ErrorMetadata::builder();
        if let Some(code) = code {
            error = error.code(code);
        }
        site().failed("SendMessageBatch", &SdkError::service_error(error.build(), raw))
    }

    #[test]
    fn codes_mean_what_they_say() {
        for (status, code, fault) in [
            (400, "AWS.SimpleQueueService.NonExistentQueue", Fault::NotFound),
            (400, "QueueDoesNotExist", Fault::NotFound),
            (404, "NoSuchBucket", Fault::NotFound),
            (400, "AWS.SimpleQueueService.BatchRequestTooLong", Fault::TooLong),
            (403, "OverLimit", Fault::OverLimit),
            (403, "RequestThrottled", Fault::Throttled),
            (400, "ThrottlingException", Fault::Throttled),
            (400, "KmsThrottled", Fault::Throttled),
            (400, "KMS.ThrottlingException", Fault::Throttled),
            (400, "KmsAccessDenied", Fault::Denied),
            (400, "KMS.DisabledException", Fault::Denied),
            (403, "AccessDenied", Fault::Denied),
            (400, "AccessDeniedException", Fault::Denied),
            (403, "InvalidClientTokenId", Fault::Credentials),
            (403, "SignatureDoesNotMatch", Fault::Credentials),
            (400, "ExpiredToken", Fault::Credentials),
            (503, "SlowDown", Fault::Throttled),
            (409, "ConditionalRequestConflict", Fault::Throttled),
            (400, "InvalidMessageContents", Fault::Refused),
            (400, "kms", Fault::Refused),
        ] {
            assert_eq!(answer(status, Some(code)).fault, fault, "{status} {code}");
        }
    }

    #[test]
    fn a_5xx_or_an_unreadable_success_may_have_had_an_effect() {
        for (status, code) in [
            (500, None),
            (502, None),
            (503, Some("ServiceUnavailable")),
            (503, Some("ThrottlingException")),
            (504, Some("AccessDenied")),
            (400, Some("InternalFailure")),
            (408, None),
            (200, None),
            (200, Some("AccessDenied")),
        ] {
            let error = answer(status, code);
            assert!(!error.fault.had_no_effect(), "{status} {code:?}: {:?}", error.fault);
        }
    }

    #[test]
    fn a_status_without_a_code_still_says_something() {
        for (status, fault) in [
            (429, Fault::Throttled),
            (403, Fault::Denied),
            (404, Fault::NotFound),
            (413, Fault::TooLong),
            (418, Fault::Refused),
            (501, Fault::Refused),
        ] {
            let error = answer(status, None);
            assert_eq!(error.fault, fault);
            assert!(error.message.contains(&status.to_string()), "{}", error.message);
        }
    }

    #[test]
    fn codes_that_are_not_ascii_do_not_panic() {
        assert_eq!(answer(400, Some("kä")).fault, Fault::Refused);
        assert_eq!(answer(400, Some("äöü€")).fault, Fault::Refused);
    }

    #[test]
    fn the_prefix_of_the_older_protocol_is_not_shown() {
        let error = answer(400, Some("AWS.SimpleQueueService.NonExistentQueue"));
        assert_eq!(error.code.as_deref(), Some("NonExistentQueue"));
        assert!(error.message.ends_with("(at http://127.0.0.1:1, with profile p)"), "{error}");
    }

    fn dispatch(source: impl StdError + Send + Sync + 'static) -> CallError {
        let error = SdkError::<ErrorMetadata, HttpResponse>::dispatch_failure(ConnectorError::io(source.into()));
        site().failed("SendMessageBatch", &error)
    }

    #[test]
    fn only_a_connection_that_was_never_made_is_surely_without_effect() {
        let refused = dispatch(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(refused.fault, Fault::Unreachable);
        assert!(refused.message.contains("http://127.0.0.1:1"), "{}", refused.message);
        // Hidden in another io::Error, whose `source` would skip it.
        let nested = io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(dispatch(nested).fault, Fault::Unreachable);
        for kind in [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::TimedOut,
            io::ErrorKind::UnexpectedEof,
            io::ErrorKind::Other,
        ] {
            assert_eq!(dispatch(io::Error::from(kind)).fault, Fault::NoAnswer, "{kind:?}");
        }
    }

    #[test]
    fn credentials_are_told_from_the_network() {
        assert_eq!(dispatch(CredentialsError::not_loaded("none anywhere")).fault, Fault::Credentials);
        // The network failed on the way to the credentials: still nothing was sent, and the message names credentials.
        let behind = CredentialsError::provider_error(io::Error::from(io::ErrorKind::ConnectionReset));
        assert_eq!(dispatch(behind).fault, Fault::Credentials);
        let slow = CredentialsError::provider_timed_out(std::time::Duration::from_secs(5));
        assert_eq!(dispatch(slow).fault, Fault::Unreachable);
    }

    #[test]
    fn a_timeout_is_doubt_and_a_request_that_was_never_made_is_not() {
        let timeout = SdkError::<ErrorMetadata, HttpResponse>::timeout_error("too slow");
        assert_eq!(site().failed("ReceiveMessage", &timeout).fault, Fault::NoAnswer);
        let unmade = SdkError::<ErrorMetadata, HttpResponse>::construction_failure("no such field");
        assert_eq!(site().failed("ReceiveMessage", &unmade).fault, Fault::Refused);
    }
}
