//! Message move tasks as they are remembered and shown. What they do is `moves`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::message::Millis;

/// How a task fares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    Cancelling,
    Cancelled,
    Completed,
    Failed(&'static str),
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Cancelling => "CANCELLING",
            Self::Cancelled => "CANCELLED",
            Self::Completed => "COMPLETED",
            Self::Failed(_) => "FAILED",
        }
    }
}

/// A message move task.
pub(super) struct Task {
    pub(super) handle: String,
    pub(super) source_arn: String,
    pub(super) destination_arn: Option<String>,
    pub(super) rate: Option<u32>,
    pub(super) started: Millis,
    pub(super) to_move: usize,
    pub(super) progress: Mutex<Progress>,
}

/// What has come of it so far.
pub(super) struct Progress {
    pub(super) status: Status,
    pub(super) moved: usize,
}

impl Task {
    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn show(&self) -> Value {
        let progress = self.progress();
        let mut shown = json!({
            "Status": progress.status.name(),
            "SourceArn": self.source_arn,
            "ApproximateNumberOfMessagesMoved": progress.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": self.started,
        });
        if let Some(arn) = &self.destination_arn {
            shown["DestinationArn"] = Value::from(arn.as_str());
        }
        if let Some(rate) = self.rate {
            shown["MaxNumberOfMessagesPerSecond"] = Value::from(rate);
        }
        if progress.status == Status::Running {
            shown["TaskHandle"] = Value::from(self.handle.as_str());
        }
        if let Status::Failed(reason) = progress.status {
            shown["FailureReason"] = Value::from(reason);
        }
        shown
    }
}

/// All tasks since the start, the oldest first.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<Vec<Arc<Task>>>);

impl Tasks {
    pub(super) fn all(&self) -> MutexGuard<'_, Vec<Arc<Task>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
