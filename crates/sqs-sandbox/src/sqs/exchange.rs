//! Sending, deleting and changing visibility, one at a time and in batches: the limits of a batch, failures per entry inside an
//! answer that says success, and the MD5s. What happens to a message is `queue`'s.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::account::{Account, Cell};
use super::call::{
    ChangeMessageVisibility, ChangeMessageVisibilityBatch, DeleteMessage, DeleteMessageBatch, HandleEntry, SendEntry,
    SendMessage, SendMessageBatch,
};
use super::failure::Failure;
use super::message::{
    Extra, Incoming, Millis, check_characters, hex, md5_of_attributes, md5_of_body, md5_of_trace, parse_attributes,
};
use super::{FailEntry, Outcome, Tamper, Touched};

/// The most entries in a batch.
const MAX_ENTRIES: usize = 10;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sent {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    md5_of_body: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_attributes: Option<String>,
    #[serde(rename = "MD5OfMessageSystemAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_system_attributes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Done {
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failed {
    id: String,
    sender_fault: bool,
    code: String,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BatchAnswer<T> {
    successful: Vec<T>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Failed>,
}

/// Judges a message that does not depend on its queue.
fn judge(entry: SendEntry) -> Result<Incoming, Failure> {
    if entry.message_body.is_empty() {
        return Err(Failure::missing("The request must contain the parameter MessageBody."));
    }
    check_characters(&entry.message_body)?;
    let attributes = parse_attributes(entry.message_attributes)?;
    let mut trace = None;
    for (name, attribute) in entry.message_system_attributes {
        match (name.as_str(), attribute.string_value) {
            ("AWSTraceHeader", Some(text)) if attribute.data_type == "String" => trace = Some(text.into()),
            _ => {
                return Err(Failure::invalid_value(format!(
                    "Message system attribute name '{name}' is invalid: only AWSTraceHeader, a String, can be sent."
                )));
            }
        }
    }
    let delay = entry.delay_seconds.map(|delay| {
        u32::try_from(delay).ok().filter(|&delay| delay <= 900).ok_or_else(|| {
            Failure::invalid_value(format!(
                "Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
            ))
        })
    });
    Ok(Incoming {
        body_md5: md5_of_body(&entry.message_body),
        body: entry.message_body.into(),
        attributes,
        extra: Extra {
            trace,
            group: entry.message_group_id.map(Arc::from),
            deduplication: entry.message_deduplication_id.map(Into::into),
            ..Extra::default()
        },
        delay: delay.transpose()?,
    })
}

fn check_ids<'a>(ids: impl ExactSizeIterator<Item = &'a str>, kind: &str) -> Result<(), Failure> {
    let count = ids.len();
    if count == 0 {
        return Err(Failure::empty_batch(format!("There should be at least one {kind} in the request.")));
    }
    if count > MAX_ENTRIES {
        return Err(Failure::too_many_entries(count));
    }
    let mut seen = HashSet::new();
    for id in ids {
        let characters = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if id.is_empty() || id.len() > 80 || !characters {
            return Err(Failure::invalid_entry_id());
        }
        if !seen.insert(id) {
            return Err(Failure::ids_not_distinct(format!("Id {id} repeated.")));
        }
    }
    Ok(())
}

/// The size of an entry that was not judged yet, so that a batch that is too long is refused before its entries are.
fn raw_size(entry: &SendEntry) -> usize {
    let attributes = entry.message_attributes.iter().map(|(name, attribute)| {
        let text = attribute.string_value.as_deref().map_or(0, str::len);
        let binary = attribute.binary_value.as_deref().map_or(0, |encoded| {
            let padding = encoded.bytes().rev().take_while(|&byte| byte == b'=').count();
            (encoded.len() / 4 * 3).saturating_sub(padding)
        });
        name.len() + attribute.data_type.len() + text + binary
    });
    entry.message_body.len() + attributes.sum::<usize>()
}

/// What is answered about one message, and what the log notes.
fn send_one(
    cell: &Cell,
    now: Millis,
    id: Option<String>,
    entry: SendEntry,
    corrupt: bool,
) -> Result<(Sent, Touched), Failure> {
    let incoming = judge(entry)?;
    let body_md5 = incoming.body_md5;
    let attributes = incoming.attributes.clone();
    let trace = incoming.extra.trace.clone();
    let accepted = cell.lock().send(now, incoming)?;
    let mut shown_md5 = body_md5;
    if corrupt {
        shown_md5[0] ^= 1;
    }
    let pairs = attributes.as_deref().map(|all| all.iter().map(|(name, attribute)| (name.as_ref(), attribute)));
    let sent = Sent {
        id,
        message_id: accepted.id.to_string(),
        md5_of_body: hex(&shown_md5),
        md5_of_attributes: pairs.map(|pairs| hex(&md5_of_attributes(pairs))),
        md5_of_system_attributes: trace.map(|trace| hex(&md5_of_trace(&trace))),
        sequence_number: accepted.sequence.map(|sequence| sequence.to_string()),
    };
    Ok((sent, Touched { id: accepted.id, body_md5: Some(body_md5) }))
}

/// Collects a batch's answer.
struct Batch<T> {
    answer: BatchAnswer<T>,
    touched: Vec<Touched>,
}

impl<T: Serialize> Batch<T> {
    fn new() -> Self {
        Self { answer: BatchAnswer { successful: Vec::new(), failed: Vec::new() }, touched: Vec::new() }
    }

    fn note(&mut self, id: String, result: Result<(T, Option<Touched>), Failure>) {
        match result {
            Ok((done, touched)) => {
                self.answer.successful.push(done);
                self.touched.extend(touched);
            }
            Err(failure) => self.answer.failed.push(Failed {
                id,
                sender_fault: failure.sender,
                code: failure.code.to_owned(),
                message: failure.message,
            }),
        }
    }

    /// Makes an entry fail where a fault says so.
    fn is_made_to_fail(&mut self, index: usize, id: &str, tamper: &Tamper) -> bool {
        let Some(FailEntry { sender, code, .. }) = tamper.fail.iter().find(|fail| fail.index == index) else {
            return false;
        };
        self.answer.failed.push(Failed {
            id: id.to_owned(),
            sender_fault: *sender,
            code: code.clone(),
            message: "Made to fail by a fault of the sandbox.".to_owned(),
        });
        true
    }

    fn outcome(self) -> Outcome {
        let failed = self.answer.failed.len();
        let entries = self.answer.successful.len() + failed;
        Outcome { entries, failed, touched: self.touched, ..Outcome::json(&self.answer) }
    }
}

impl Account {
    pub(super) fn send(&self, request: SendMessage, tamper: &Tamper) -> Result<Outcome, Failure> {
        let cell = self.by_url(&request.queue_url)?;
        let (sent, touched) = send_one(&cell, self.now(), None, request.into(), tamper.corrupt_md5)?;
        cell.wake.notify_one();
        Ok(Outcome { entries: 1, touched: vec![touched], ..Outcome::json(&sent) })
    }

    pub(super) fn send_batch(&self, request: SendMessageBatch, tamper: &Tamper) -> Result<Outcome, Failure> {
        let cell = self.by_url(&request.queue_url)?;
        check_ids(request.entries.iter().map(|entry| entry.id.as_str()), "SendMessageBatchRequestEntry")?;
        let total = request.entries.iter().map(raw_size).sum();
        if total > self.setup.limit {
            return Err(Failure::batch_too_long(self.setup.limit, total));
        }
        super::fifo::check_batch(&cell.lock().settings, &request.entries)?;
        let now = self.now();
        let mut batch = Batch::new();
        for (index, entry) in request.entries.into_iter().enumerate() {
            let id = entry.id.clone();
            if batch.is_made_to_fail(index, &id, tamper) {
                continue;
            }
            let result = send_one(&cell, now, Some(id.clone()), entry, tamper.corrupt_md5);
            batch.note(id, result.map(|(sent, touched)| (sent, Some(touched))));
        }
        cell.wake.notify_one();
        Ok(batch.outcome())
    }

    pub(super) fn delete_message(&self, request: &DeleteMessage, tamper: &Tamper) -> Result<Outcome, Failure> {
        let cell = self.by_url(&request.queue_url)?;
        let touched = self.delete_one(&cell, &request.receipt_handle, tamper)?;
        Ok(Outcome { entries: 1, touched: touched.into_iter().collect(), ..Outcome::empty() })
    }

    pub(super) fn delete_batch(&self, request: &DeleteMessageBatch, tamper: &Tamper) -> Result<Outcome, Failure> {
        let kind = "DeleteMessageBatchRequestEntry";
        self.handle_batch(&request.queue_url, &request.entries, kind, tamper, |account, cell, entry| {
            account.delete_one(cell, &entry.receipt_handle, tamper)
        })
    }

    fn delete_one(&self, cell: &Cell, handle: &str, tamper: &Tamper) -> Result<Option<Touched>, Failure> {
        if handle.is_empty() {
            return Err(Failure::missing("The request must contain the parameter ReceiptHandle."));
        }
        let mut queue = cell.lock();
        if tamper.ignore_stale && queue.is_stale(handle) {
            return Ok(None);
        }
        let deleted = queue.delete(self.now(), handle)?;
        let has_more = queue.has_visible();
        drop(queue);
        if has_more {
            // A delete may free a FIFO queue's group, for which a receiver may be waiting.
            cell.wake.notify_one();
        }
        Ok(deleted.map(|stored| Touched { id: stored.id, body_md5: Some(stored.body_md5) }))
    }

    pub(super) fn change_visibility(&self, request: &ChangeMessageVisibility) -> Result<Outcome, Failure> {
        let cell = self.by_url(&request.queue_url)?;
        let id = self.change_one(&cell, &request.receipt_handle, request.visibility_timeout)?;
        Ok(Outcome { entries: 1, touched: vec![Touched { id, body_md5: None }], ..Outcome::empty() })
    }

    pub(super) fn change_visibility_batch(
        &self,
        request: &ChangeMessageVisibilityBatch,
        tamper: &Tamper,
    ) -> Result<Outcome, Failure> {
        let kind = "ChangeMessageVisibilityBatchRequestEntry";
        self.handle_batch(&request.queue_url, &request.entries, kind, tamper, |account, cell, entry| {
            let id = account.change_one(cell, &entry.receipt_handle, entry.visibility_timeout)?;
            Ok(Some(Touched { id, body_md5: None }))
        })
    }

    fn change_one(&self, cell: &Cell, handle: &str, seconds: Option<i64>) -> Result<Uuid, Failure> {
        if handle.is_empty() {
            return Err(Failure::missing("The request must contain the parameter ReceiptHandle."));
        }
        let seconds =
            seconds.ok_or_else(|| Failure::missing("The request must contain the parameter VisibilityTimeout."))?;
        let seconds = u32::try_from(seconds).ok().filter(|&seconds| seconds <= 43_200).ok_or_else(|| {
            Failure::invalid_value(format!(
                "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an \
                 integer between 0 and 43200"
            ))
        })?;
        let id = cell.lock().change_visibility(self.now(), handle, seconds)?;
        // Receivers that sleep until the old deadline must look again.
        cell.wake.notify_one();
        Ok(id)
    }

    fn handle_batch(
        &self,
        url: &str,
        entries: &[HandleEntry],
        kind: &str,
        tamper: &Tamper,
        each: impl Fn(&Self, &Cell, &HandleEntry) -> Result<Option<Touched>, Failure>,
    ) -> Result<Outcome, Failure> {
        let cell = self.by_url(url)?;
        check_ids(entries.iter().map(|entry| entry.id.as_str()), kind)?;
        let mut batch = Batch::new();
        for (index, entry) in entries.iter().enumerate() {
            if batch.is_made_to_fail(index, &entry.id, tamper) {
                continue;
            }
            let result = each(self, &cell, entry);
            batch.note(entry.id.clone(), result.map(|touched| (Done { id: entry.id.clone() }, touched)));
        }
        Ok(batch.outcome())
    }
}
