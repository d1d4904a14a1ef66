//! AWS's own redrive: message move tasks, from a dead-letter queue to where its messages came from or to another queue. One at
//! a time for a source; messages get new IDs, as a send gives them.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Outcome;
use super::account::{Account, Cell};
use super::call::{CancelMessageMoveTask, ListMessageMoveTasks, StartMessageMoveTask};
use super::failure::Failure;
use super::message::{Incoming, State, Stored};
use super::tasks::{Progress, Status, Task};

/// The most messages a second, and the pace without a number.
const MAX_RATE: u32 = 500;

/// How often a task moves its share.
const TICKS_PER_SECOND: u32 = 10;

/// How many tasks of a source are listed at most.
const MAX_LISTED: i64 = 10;

impl Account {
    pub(super) fn start_move_task(self: &Arc<Self>, request: StartMessageMoveTask) -> Result<Outcome, Failure> {
        let missing = || {
            Failure::resource_not_found("The resource that you specified for the SourceArn parameter doesn't exist.")
        };
        let source = self.by_arn(&request.source_arn).ok_or_else(missing)?;
        if let Some(arn) = &request.destination_arn {
            let destination = self.by_arn(arn).ok_or_else(|| {
                Failure::resource_not_found(
                    "The resource that you specified for the DestinationArn parameter doesn't exist.",
                )
            })?;
            if destination.arn == source.arn {
                return Err(Failure::invalid_value("Source queue arn and destination queue arn cannot be the same."));
            }
        }
        let is_target = self.cells().iter().any(|cell| cell.lock().settings.target_arn() == Some(&source.arn));
        if !is_target {
            return Err(Failure::invalid_value("Source queue must be configured as a Dead Letter Queue."));
        }
        let rate = match request.max_number_of_messages_per_second {
            None => None,
            Some(rate) => {
                Some(u32::try_from(rate).ok().filter(|rate| (1..=MAX_RATE).contains(rate)).ok_or_else(|| {
                    Failure::invalid_value(
                        "Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be between 1 and 500.",
                    )
                })?)
            }
        };
        let now = self.now();
        let mut queue = source.lock();
        queue.advance(now);
        let (to_move, id) = (queue.counts().visible, queue.new_id());
        drop(queue);
        let handle = STANDARD.encode(json!({"taskId": id.to_string(), "sourceArn": request.source_arn}).to_string());
        let task = Arc::new(Task {
            handle: handle.clone(),
            source_arn: request.source_arn,
            destination_arn: request.destination_arn,
            rate,
            started: now,
            to_move,
            progress: Mutex::new(Progress { status: Status::Running, moved: 0 }),
        });
        let mut tasks = self.tasks.all();
        let is_active = |other: &Arc<Task>| {
            other.source_arn == task.source_arn
                && matches!(other.progress().status, Status::Running | Status::Cancelling)
        };
        if tasks.iter().any(is_active) {
            return Err(Failure::invalid_value(
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
            ));
        }
        tasks.push(Arc::clone(&task));
        drop(tasks);
        tokio::spawn(run(Arc::downgrade(self), source, task));
        Ok(Outcome::json(&json!({"TaskHandle": handle})))
    }

    pub(super) fn list_move_tasks(&self, request: &ListMessageMoveTasks) -> Result<Outcome, Failure> {
        if self.by_arn(&request.source_arn).is_none() {
            return Err(Failure::resource_not_found(
                "The resource that you specified for the SourceArn parameter doesn't exist.",
            ));
        }
        let max = request.max_results.unwrap_or(1);
        if !(1..=MAX_LISTED).contains(&max) {
            return Err(Failure::invalid_value(
                "Value for parameter MaxResults is invalid. Reason: Must be between 1 and 10.",
            ));
        }
        let tasks = self.tasks.all();
        let of_source = tasks.iter().rev().filter(|task| task.source_arn == request.source_arn);
        let results: Vec<Value> = of_source.take(usize::try_from(max).unwrap_or(1)).map(|task| task.show()).collect();
        Ok(Outcome::json(&json!({"Results": results})))
    }

    pub(super) fn cancel_move_task(&self, request: &CancelMessageMoveTask) -> Result<Outcome, Failure> {
        let decoded = STANDARD.decode(&request.task_handle).ok().and_then(|json| serde_json::from_slice(&json).ok());
        let source_arn = decoded.as_ref().and_then(|handle: &Value| {
            handle["taskId"].as_str()?;
            handle["sourceArn"].as_str()
        });
        let source_arn =
            source_arn.ok_or_else(|| Failure::invalid_value("Value for parameter TaskHandle is invalid."))?;
        if self.by_arn(source_arn).is_none() {
            return Err(Failure::resource_not_found(
                "The resource that you specified for the SourceArn parameter doesn't exist.",
            ));
        }
        let tasks = self.tasks.all();
        let task = tasks
            .iter()
            .find(|task| task.handle == request.task_handle)
            .ok_or_else(|| Failure::resource_not_found("Task does not exist."))?;
        let mut progress = task.progress();
        if progress.status != Status::Running {
            return Err(Failure::resource_not_found("Only active tasks can be cancelled."));
        }
        progress.status = Status::Cancelling;
        Ok(Outcome::json(&json!({"ApproximateNumberOfMessagesMoved": progress.moved})))
    }

    /// Moves a share of a task. `None` when it goes on, else how it ended.
    fn move_share(&self, source: &Cell, task: &Task, share: usize) -> Option<Status> {
        let now = self.now();
        let taken = source.lock().take_visible(now, share);
        if taken.is_empty() {
            return Some(Status::Completed);
        }
        let mut taken = taken.into_iter();
        while let Some(stored) = taken.next() {
            let came_from = stored.extra.as_ref().and_then(|extra| extra.source_arn.as_deref());
            let destination = match task.destination_arn.as_deref().or(came_from) {
                None => Err("CouldNotDetermineMessageSource"),
                Some(arn) => self.by_arn(arn).ok_or("AWS.SimpleQueueService.NonExistentQueue"),
            };
            let failed = match destination {
                Ok(destination) => {
                    let backup = Stored { state: State::Visible, ..stored.clone() };
                    let sent = destination.lock().send(now, resend(stored));
                    destination.wake.notify_one();
                    sent.err().map(|_| (backup, "InvalidMessageContents"))
                }
                Err(reason) => Some((stored, reason)),
            };
            if let Some((stored, reason)) = failed {
                let mut queue = source.lock();
                queue.plant(stored);
                taken.for_each(|stored| queue.plant(stored));
                drop(queue);
                source.wake.notify_one();
                return Some(Status::Failed(reason));
            }
            task.progress().moved += 1;
        }
        (!source.lock().has_visible()).then_some(Status::Completed)
    }
}

/// A message as it is sent anew. The deduplication ID becomes one that nothing else has.
fn resend(stored: Stored) -> Incoming {
    let mut extra = stored.extra.as_deref().cloned().unwrap_or_default();
    if extra.sequence > 0 {
        extra.deduplication = Some(stored.id.to_string().into());
    }
    extra.source_arn = None;
    extra.sequence = 0;
    Incoming { body: stored.body, body_md5: stored.body_md5, attributes: stored.attributes, extra, delay: None }
}

async fn run(account: Weak<Account>, source: Arc<Cell>, task: Arc<Task>) {
    let share = (task.rate.unwrap_or(MAX_RATE) / TICKS_PER_SECOND).max(1);
    let pace = Duration::from_secs(1) * share / task.rate.unwrap_or(MAX_RATE);
    loop {
        // The task ends with its sandbox.
        let Some(account) = account.upgrade() else { return };
        let is_cancelled = task.progress().status == Status::Cancelling;
        let end =
            if is_cancelled { Some(Status::Cancelled) } else { account.move_share(&source, &task, share as usize) };
        drop(account);
        if let Some(status) = end {
            task.progress().status = status;
            return;
        }
        tokio::time::sleep(pace).await;
    }
}
