//! What can go wrong on the side of whoever runs a sandbox: what happened, and what to do about it. What clients are answered
//! is elsewhere, in the words of SQS and S3.

use std::fmt;

/// Why a sandbox could not be started, set up or filled.
#[derive(Debug, Clone)]
pub struct Error {
    is_usage: bool,
    message: String,
    hint: Option<String>,
}

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What was asked for makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { is_usage: true, message: message.into(), hint: None }
    }

    /// Something failed: the system, or a queue or a file that is not as it should be.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { is_usage: false, message: message.into(), hint: None }
    }

    /// Adds what is safe and what to do next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether what was asked for makes no sense, so that another attempt needs another question.
    pub fn is_usage(&self) -> bool {
        self.is_usage
    }

    /// What happened, without the hint.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next, if there is something to say.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
