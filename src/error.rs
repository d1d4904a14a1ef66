//! The one error type: a kind (which decides the exit code), what happened, and what to do next.
//!
//! Errors are written for a person at 3 a.m.: `message` says what happened and to what, `hint` what is safe and what to do
//! next. Text from outside (queue names, server messages) is kept as it came; the view neutralises it when it is shown.

use std::fmt;

use crate::exit::Exit;

/// What sort of failure it is. One match, in [`Error::exit`], maps it to an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line or the job file is not valid.
    Usage,
    /// Something failed: a server, a permission, a disk.
    Failed,
    /// Another process is using the journal: nothing was touched.
    Busy,
    /// Stopped on the way; the journal knows where, and the same command continues.
    Stopped,
    /// The plan may not be applied as it is.
    PlanRefused,
    /// A guard refused to start.
    Guarded,
    /// What had been archived is not there any more: the same command does not mend it.
    Lost,
}

/// An error with what to do about it.
#[derive(Debug, Clone)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A new error of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// A usage error (exit code 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// A plain failure (exit code 1).
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// A plan that is refused (exit code 4).
    pub fn plan_refused(message: impl Into<String>) -> Self {
        Self::new(Kind::PlanRefused, message)
    }

    /// A guard that refuses to start (exit code 4).
    pub fn guarded(message: impl Into<String>) -> Self {
        Self::new(Kind::Guarded, message)
    }

    /// Adds what is safe and what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a further hint behind the one that is there.
    #[must_use]
    pub fn and_hint(self, more: &str) -> Self {
        let hint = self.hint.as_ref().map_or_else(|| more.to_owned(), |hint| format!("{hint}; {more}"));
        self.hint(hint)
    }

    /// Says first what it is about.
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The same error of a run that is in the journal and not finished: a failure leaves it resumable. What refuses the plan, or
    /// a guard, stays what it is.
    #[must_use]
    pub fn resumable(self) -> Self {
        if self.kind != Kind::Failed {
            return self;
        }
        let hint = self.hint.map(|hint| format!("{hint}. ")).unwrap_or_default();
        Self::new(Kind::Stopped, self.message).hint(format!(
            "{hint}Nothing is lost: the journal knows where every message is, and the same command continues"
        ))
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What happened, without the hint.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next, where there is something to say.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The exit code for it.
    pub fn exit(&self) -> Exit {
        match self.kind {
            Kind::Usage => Exit::Usage,
            Kind::Failed | Kind::Lost | Kind::Busy => Exit::Failed,
            Kind::Stopped => Exit::Stopped,
            Kind::PlanRefused | Kind::Guarded => Exit::Refused,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
