//! For tests of plan and view: a queue in memory (visibility without clocks, faults lined up beforehand), and a plan.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redrive_protocol::message::{Attributes, Message, MessageId, Outgoing, ReceiptHandle, Received, SystemAttributes};

mod document;

pub(crate) use document::plan;

use crate::sqs::{
    Acknowledged, CallError, Counts, EntryFault, EntryFaultKind, Fault, MoveTask, Queue, QueueAttributes, RedrivePolicy,
};
use redrive_protocol::protocol::Sent;

/// A queue that holds its messages in memory.
#[derive(Debug)]
pub(crate) struct FakeQueue {
    url: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    attributes: Result<QueueAttributes, CallError>,
    /// What the counts say instead of the truth.
    stale_visible: Option<u64>,
    sources: Result<Vec<String>, CallError>,
    visible: VecDeque<Message>,
    in_flight: HashMap<String, Message>,
    receives: u64,
    /// Each receive gives the messages of the last one once more.
    duplicates: bool,
    /// Messages are spread over shards, and each receive asks one of them.
    shards: Option<StdRng>,
    receive_faults: VecDeque<CallError>,
    change_faults: VecDeque<CallError>,
    change_entry_faults: BTreeMap<usize, EntryFault>,
    calls: Vec<&'static str>,
}

/// How many shards a queue has that hands out like SQS.
const SHARDS: u64 = 8;

impl State {
    /// The next message: the first of this shard, or of the one after it that has any.
    fn next(&mut self, shard: Option<u64>) -> Option<Message> {
        let Some(asked) = shard else { return self.visible.pop_front() };
        let shard_of = |message: &Message| {
            let number: u64 = message.id.as_str().split('-').next().and_then(|n| n.parse().ok()).expect("a number");
            // Spread without regard to the order.
            number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61
        };
        let after = (0..SHARDS).map(|step| (asked + step) % SHARDS);
        let mut found = after.filter_map(|shard| self.visible.iter().position(|message| shard_of(message) == shard));
        let position = found.next()?;
        self.visible.remove(position)
    }
}

pub(crate) fn call_error(fault: Fault) -> CallError {
    CallError {
        fault,
        action: "ReceiveMessage",
        resource: "orders-dlq".to_owned(),
        code: None,
        message: "set up by the test".to_owned(),
    }
}

pub(crate) fn entry_fault(kind: EntryFaultKind, code: &str) -> EntryFault {
    EntryFault { code: code.to_owned(), message: String::new(), kind }
}

/// Attributes of a standard queue of this name.
pub(crate) fn attributes(name: &str) -> QueueAttributes {
    QueueAttributes {
        arn: format!("arn:aws:sqs:eu-west-1:000000000000:{name}"),
        url: format!("https://sqs.eu-west-1.amazonaws.com/000000000000/{name}"),
        fifo: name.split('.').nth(1) == Some("fifo"),
        created: Some(at("2026-01-01T00:00:00Z")),
        redrive_policy: None,
        redrive_allow_policy: None,
        maximum_message_size: 1_048_576,
        message_retention_seconds: 1_209_600,
        visibility_timeout_seconds: 30,
        kms_key: None,
        content_based_deduplication: false,
        counts: Counts { visible: Some(0), in_flight: Some(0), delayed: Some(0) },
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the value of a field that may be empty")]
pub(crate) fn redrives_to(name: &str) -> Option<RedrivePolicy> {
    Some(RedrivePolicy { dead_letter_target_arn: attributes(name).arn, max_receive_count: 3 })
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("an RFC 3339 time")
}

/// Message `number`, sent that many seconds after the first of November.
pub(crate) fn message(number: usize, body: &str) -> Message {
    let sent = at("2026-11-01T00:00:00Z").as_millisecond() + i64::try_from(number).expect("small") * 1000;
    Message {
        id: MessageId::new(format!("{number:08}-0000-4000-8000-000000000000")),
        body: body.to_owned(),
        attributes: Attributes::new(),
        system: SystemAttributes(BTreeMap::from([("SentTimestamp".to_owned(), sent.to_string())])),
        payload: None,
    }
}

impl FakeQueue {
    pub(crate) fn new(attributes: QueueAttributes, messages: Vec<Message>) -> Arc<Self> {
        Arc::new(Self {
            url: attributes.url.clone(),
            state: Mutex::new(State {
                attributes: Ok(attributes),
                stale_visible: None,
                sources: Ok(Vec::new()),
                visible: messages.into(),
                in_flight: HashMap::new(),
                receives: 0,
                duplicates: false,
                shards: None,
                receive_faults: VecDeque::new(),
                change_faults: VecDeque::new(),
                change_entry_faults: BTreeMap::new(),
                calls: Vec::new(),
            }),
        })
    }

    pub(crate) fn filled(count: usize) -> Arc<Self> {
        let messages = (0..count).map(|number| message(number, &format!("{{\"n\":{number}}}"))).collect();
        Self::new(attributes("orders-dlq"), messages)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with it")
    }

    pub(crate) fn visible(&self) -> usize {
        self.state().visible.len()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.state().in_flight.len()
    }

    pub(crate) fn calls(&self, action: &str) -> usize {
        self.state().calls.iter().filter(|call| **call == action).count()
    }

    pub(crate) fn fail_attributes(&self, error: CallError) {
        self.state().attributes = Err(error);
    }

    pub(crate) fn fail_receive(&self, error: CallError) {
        self.state().receive_faults.push_back(error);
    }

    pub(crate) fn fail_change(&self, error: CallError) {
        self.state().change_faults.push_back(error);
    }

    /// The entry at this position fails once.
    pub(crate) fn fail_change_entry(&self, position: usize, fault: EntryFault) {
        self.state().change_entry_faults.insert(position, fault);
    }

    pub(crate) fn count_stays_at(&self, visible: u64) {
        self.state().stale_visible = Some(visible);
    }

    /// From now on a receive takes from one of eight shards, its oldest first, as SQS seems to.
    pub(crate) fn hand_out_like_sqs(&self, seed: u64) {
        self.state().shards = Some(StdRng::seed_from_u64(seed));
    }

    pub(crate) fn deliver_twice(&self) {
        self.state().duplicates = true;
    }

    pub(crate) fn sources(&self, sources: Result<Vec<String>, CallError>) {
        self.state().sources = sources;
    }
}

#[async_trait]
impl Queue for FakeQueue {
    fn url(&self) -> &str {
        &self.url
    }

    async fn attributes(&self) -> Result<QueueAttributes, CallError> {
        let mut state = self.state();
        state.calls.push("GetQueueAttributes");
        let counts = Counts {
            visible: Some(state.stale_visible.unwrap_or(state.visible.len() as u64)),
            in_flight: Some(state.in_flight.len() as u64),
            delayed: Some(0),
        };
        state.attributes.clone().map(|attributes| QueueAttributes { counts, ..attributes })
    }

    async fn dead_letter_sources(&self) -> Result<Vec<String>, CallError> {
        self.state().sources.clone()
    }

    async fn move_task(&self, _: &str) -> Result<Option<MoveTask>, CallError> {
        Ok(None)
    }

    async fn receive(&self, max: usize, _: Duration, _: Duration) -> Result<Vec<Received>, CallError> {
        // Lets the polls that run at the same time interleave.
        tokio::task::yield_now().await;
        let mut state = self.state();
        state.calls.push("ReceiveMessage");
        if let Some(error) = state.receive_faults.pop_front() {
            return Err(error);
        }
        state.receives += 1;
        let call = state.receives;
        let mut batch = Vec::new();
        if state.duplicates
            && max > 1
            && let Some(message) = state.in_flight.values().next().cloned()
        {
            batch.push(message);
        }
        let shard = state.shards.as_mut().map(|rng| rng.random_range(0..SHARDS));
        while batch.len() < max
            && let Some(message) = state.next(shard)
        {
            batch.push(message);
        }
        let received = |message: Message| {
            let handle = format!("{}/{call}", message.id);
            if state.duplicates {
                state.in_flight.retain(|_, other| other.id != message.id);
            }
            state.in_flight.insert(handle.clone(), message.clone());
            Received { message, receipt: ReceiptHandle::new(handle) }
        };
        Ok(batch.into_iter().map(received).collect())
    }

    async fn send(&self, _: &[Outgoing]) -> Result<Vec<Result<Acknowledged, EntryFault>>, CallError> {
        panic!("planning sends nothing")
    }

    async fn delete(&self, _: &[Sent]) -> Result<Vec<Result<(), EntryFault>>, CallError> {
        panic!("planning deletes nothing")
    }

    async fn change_visibility(
        &self,
        entries: &[ReceiptHandle],
        timeout: Duration,
    ) -> Result<Vec<Result<(), EntryFault>>, CallError> {
        assert!(timeout.is_zero() && (1..=10).contains(&entries.len()));
        let mut state = self.state();
        state.calls.push("ChangeMessageVisibilityBatch");
        if let Some(error) = state.change_faults.pop_front() {
            return Err(error);
        }
        let mut change = |(position, receipt): (usize, &ReceiptHandle)| {
            if let Some(fault) = state.change_entry_faults.remove(&position) {
                return Err(fault);
            }
            match state.in_flight.remove(receipt.as_str()) {
                Some(message) => {
                    state.visible.push_back(message);
                    Ok(())
                }
                None => Err(entry_fault(EntryFaultKind::Sender, "ReceiptHandleIsInvalid")),
            }
        };
        Ok(entries.iter().enumerate().map(&mut change).collect())
    }
}
