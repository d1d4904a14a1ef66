//! What the name of a member or an attribute says of its value: that it names a kind of error, tells what happened, or shows
//! where. Names are compared without case and separators, so `errorType`, `error_type` and `ErrorType` are one.

/// What a value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Role {
    /// The class of the error: `java.net.ConnectException`, `ValidationError`.
    Type,
    /// A code or a status: `E1042`, `503`, `REJECTED`.
    Code,
    /// What happened, in words.
    Message,
    /// The function in which it happened, out of a stack trace.
    Frame,
    /// What the message is about when nothing says that anything failed: `order.placed`.
    Event,
    /// A body that is words alone.
    Plain,
    /// A stack trace; what is looked at are parts of it.
    Trace,
}

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    /// What values of this name are for, if they are about an error.
    pub(crate) role: Option<Role>,
    /// The name itself speaks of an error: what is below it is about one.
    pub(crate) is_error: bool,
}

/// Names longer than this, in bytes, are nobody's.
const LONGEST: usize = 40;

/// Names about an error that end like this do not say what happened.
const ELSEWHERE: [&str; 14] = [
    "id",
    "count",
    "time",
    "at",
    "topic",
    "partition",
    "offset",
    "queue",
    "url",
    "uri",
    "path",
    "host",
    "arn",
    "timestamp",
];

/// What this name says.
pub(crate) fn of(name: &str) -> Name {
    let mut letters = [0_u8; LONGEST];
    let mut length = 0;
    for byte in name.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b' ' | b'.' | b'@')) {
        if length == LONGEST {
            return Name { role: None, is_error: false };
        }
        letters[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    let Ok(name) = std::str::from_utf8(&letters[..length]) else { return Name { role: None, is_error: false } };
    let is_error = speaks_of_an_error(name);
    let role = match name {
        "stack"
        | "stacktrace"
        | "trace"
        | "traceback"
        | "backtrace"
        | "errorstack"
        | "exceptionstack"
        | "exceptionstacktrace"
        | "exceptiondetail" => Role::Trace,
        "code" | "statuscode" | "status" | "httpstatus" | "httpcode" | "errno" | "faultcode" | "sqlstate"
        | "functionerror" | "condition" | "state" | "result" | "outcome" => Role::Code,
        "message" | "msg" | "description" | "detail" | "details" | "reason" | "title" | "text" | "value"
        | "faultstring" | "reasonphrase" | "info" => Role::Message,
        "type" | "name" | "class" | "classname" | "kind" => Role::Type,
        "op" | "cmd" | "method" | "task" | "job" | "detailtype" | "eventtype" | "event" | "eventname"
        | "messagetype" | "action" | "command" | "operation" | "topic" | "schema" => Role::Event,
        _ if !is_error => return Name { role: None, is_error },
        _ if name.ends_with("code") || name.ends_with("status") => Role::Code,
        _ if name.ends_with("type") || name.ends_with("class") || name.ends_with("name") || name.ends_with("kind") => {
            Role::Type
        }
        _ if name.ends_with("trace") || name.ends_with("stack") => Role::Trace,
        // Where and when it happened, and not what.
        _ if ELSEWHERE.iter().any(|ending| name.ends_with(ending)) => return Name { role: None, is_error },
        _ => Role::Message,
    };
    Name { role: Some(role), is_error }
}

/// Whether what stands under this name is about an error.
pub fn names_an_error(name: &str) -> bool {
    of(name).is_error
}

/// The one list of such names, in lower case and without separators.
fn speaks_of_an_error(name: &str) -> bool {
    let has = |part: &str| name.contains(part);
    has("error")
        || has("exception")
        || has("fail")
        || has("reason")
        || has("stacktrace")
        || has("traceback")
        || has("backtrace")
        || has("fault") && !has("default")
        || matches!(
            name,
            "exc"
                | "exctype"
                | "excmessage"
                | "excinfo"
                | "err"
                | "cause"
                | "causedby"
                | "rootcause"
                | "errmsg"
                | "functionerror"
                | "errno"
                | "problem"
                | "panic"
                | "lasterr"
        )
}

/// Whether a status says that something failed.
pub(crate) fn is_bad(status: &str) -> bool {
    if status.len() > 40 {
        return false;
    }
    let status = status.to_ascii_lowercase();
    [
        "fail",
        "error",
        "reject",
        "declin",
        "timeout",
        "timedout",
        "timed_out",
        "invalid",
        "denied",
        "abort",
        "expired",
        "exhaust",
        "unhandled",
    ]
    .iter()
    .any(|word| status.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_they_are_for_however_they_are_written() {
        for name in ["errorType", "error_type", "ErrorType", "exceptionClass", "x-error-type"] {
            assert_eq!(of(name), Name { role: Some(Role::Type), is_error: true }, "{name}");
        }
        assert_eq!(of("ErrorMessage"), Name { role: Some(Role::Message), is_error: true });
        assert_eq!(of("ErrorCode").role, Some(Role::Code));
        assert_eq!(of("stackTrace").role, Some(Role::Trace));
        assert_eq!(of("failureReason").role, Some(Role::Message));
        assert_eq!(of("errorId").role, None);
        for name in ["defaultCurrency", "orderId", "total", "customer"] {
            assert_eq!(of(name), Name { role: None, is_error: false }, "{name}");
        }
        assert!(["lastException", "failure_reason", "caused-by", "err"].into_iter().all(names_an_error));
        assert_eq!(of(&"error".repeat(1000)).role, None);
    }
}
