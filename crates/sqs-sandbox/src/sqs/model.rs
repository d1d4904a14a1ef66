//! A queue against a small reference model: a plain list that is searched, under random operations. Whatever the real one does
//! with shards, groups and deadlines, it must agree with the list.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use uuid::Uuid;

use super::deliver::Ask;
use super::message::{Extra, Incoming, Millis, Stored, md5_of_body};
use super::queue::{Manner, Queue};
use super::settings::{AttributeMap, Settings};

const RETENTION: Millis = 60_000;
const VISIBILITY: u32 = 5;
const MAX_RECEIVES: u32 = 3;

#[derive(Debug, Clone, Copy)]
enum Op {
    Send { group: u8, delay: u32 },
    Receive { max: usize, visibility: u32, thorough: bool },
    Delete { handle: usize },
    Change { handle: usize, seconds: u32 },
    Advance { ms: Millis },
    TakeVisible { max: usize },
    Purge,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..4_u8, prop_oneof![4 => Just(0), 1 => 1..8_u32]).prop_map(|(group, delay)| Op::Send { group, delay }),
        6 => (1..=10_usize, 0..10_u32, any::<bool>())
            .prop_map(|(max, visibility, thorough)| Op::Receive { max, visibility, thorough }),
        5 => (0..50_usize).prop_map(|handle| Op::Delete { handle }),
        3 => (0..50_usize, 0..10_u32).prop_map(|(handle, seconds)| Op::Change { handle, seconds }),
        4 => (1..6_000_u64).prop_map(|ms| Op::Advance { ms }),
        1 => (1..4_usize).prop_map(|max| Op::TakeVisible { max }),
        1 => Just(Op::Purge),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Visible,
    Delayed(Millis),
    InFlight(Millis),
}

/// A message of the model. The list keeps them in the order of arrival.
#[derive(Debug, Clone)]
struct Kept {
    id: Uuid,
    group: String,
    sent: Millis,
    place: Place,
    count: u32,
    newest: String,
}

#[derive(Default)]
struct Model {
    now: Millis,
    fifo: bool,
    list: Vec<Kept>,
    handles: Vec<(Uuid, String)>,
}

impl Model {
    fn settle(&mut self) {
        let now = self.now;
        for kept in &mut self.list {
            if matches!(kept.place, Place::Delayed(until) | Place::InFlight(until) if until <= now) {
                kept.place = Place::Visible;
            }
        }
        self.list.retain(|kept| kept.sent + RETENTION > now);
    }

    /// What can be received: on a FIFO queue the visible beginnings of groups.
    fn available(&self) -> Vec<Uuid> {
        let is_open = |kept: &Kept| {
            let before = self.list.iter().take_while(|other| other.id != kept.id);
            let is_first = before.filter(|other| other.group == kept.group).all(|other| other.place == Place::Visible);
            !self.fifo || is_first
        };
        let open = self.list.iter().filter(|kept| kept.place == Place::Visible && is_open(kept));
        open.map(|kept| kept.id).collect()
    }

    fn at(&mut self, id: Uuid) -> Option<&mut Kept> {
        self.list.iter_mut().find(|kept| kept.id == id)
    }

    fn count(&self, holds: impl Fn(Place) -> bool) -> usize {
        self.list.iter().filter(|kept| holds(kept.place)).count()
    }
}

fn queue(fifo: bool, shuffle: bool) -> Queue {
    let name = if fifo { "q.fifo" } else { "q" };
    let mut settings = Settings::new(name, format!("arn:aws:sqs:r:a:{name}"), 0, 1_048_576);
    let set = [
        ("MessageRetentionPeriod", "60".to_owned()),
        ("VisibilityTimeout", VISIBILITY.to_string()),
        ("RedrivePolicy", format!(r#"{{"deadLetterTargetArn":"x","maxReceiveCount":{MAX_RECEIVES}}}"#)),
    ];
    let set: AttributeMap = set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    settings.set(&set, 1_048_576).unwrap();
    Queue::new(settings, Manner { seed: 7, shuffle, short_poll_miss: 0.25, in_flight_limit: 120_000 })
}

fn incoming(number: usize, group: Option<String>, delay: u32) -> Incoming {
    let body = format!("body {number}");
    let deduplication = group.is_some().then(|| number.to_string().into());
    Incoming {
        body_md5: md5_of_body(&body),
        body: body.into(),
        attributes: None,
        extra: Extra { group: group.map(Arc::from), deduplication, ..Extra::default() },
        delay: Some(delay),
    }
}

/// Carries out one operation on both, and compares what they say.
fn step(op: Op, number: usize, queue: &mut Queue, model: &mut Model) -> Result<(), TestCaseError> {
    let now = model.now;
    match op {
        Op::Send { group, delay } => {
            let delay = if model.fifo { 0 } else { delay };
            let group = format!("g{group}");
            let sent = queue.send(now, incoming(number, model.fifo.then(|| group.clone()), delay)).ok();
            let id = sent.map(|accepted| accepted.id).ok_or_else(|| TestCaseError::fail("a send was refused"))?;
            let place = if delay == 0 { Place::Visible } else { Place::Delayed(now + Millis::from(delay) * 1000) };
            model.list.push(Kept { id, group, sent: now, place, count: 0, newest: String::new() });
        }
        Op::Receive { max, visibility, thorough } => receive(max, visibility, thorough, queue, model)?,
        Op::Delete { handle } => {
            let Some((id, handle)) = pick(&model.handles, handle) else { return Ok(()) };
            let kept = model.at(id).cloned();
            let deleted = queue.delete(now, &handle);
            let is_refused = model.fifo
                && kept.as_ref().is_some_and(|kept| kept.newest != handle || !matches!(kept.place, Place::InFlight(_)));
            prop_assert_eq!(deleted.is_err(), is_refused);
            if let Ok(deleted) = deleted {
                prop_assert_eq!(deleted.map(|stored| stored.id), kept.map(|kept| kept.id));
                model.list.retain(|kept| kept.id != id);
            }
        }
        Op::Change { handle, seconds } => {
            let Some((id, handle)) = pick(&model.handles, handle) else { return Ok(()) };
            let (fifo, changed) = (model.fifo, queue.change_visibility(now, &handle, seconds));
            match model.at(id) {
                Some(kept) if matches!(kept.place, Place::InFlight(_)) && (!fifo || kept.newest == handle) => {
                    prop_assert!(changed.is_ok());
                    let until = now + Millis::from(seconds) * 1000;
                    kept.place = if seconds == 0 { Place::Visible } else { Place::InFlight(until) };
                }
                // The timeout has run out, and nobody has received it since: no error, and no effect.
                Some(kept) if kept.place == Place::Visible && !fifo && kept.newest == handle => {
                    prop_assert!(changed.is_ok());
                }
                _ => prop_assert!(changed.is_err()),
            }
        }
        Op::Advance { ms } => model.now += ms,
        Op::TakeVisible { max } => {
            let before = model.available().len();
            let taken = queue.take_visible(now, max);
            prop_assert!(taken.len() >= max.min(before), "{} of {before}", taken.len());
            for stored in taken {
                prop_assert!(model.at(stored.id).is_some_and(|kept| kept.place == Place::Visible));
                model.list.retain(|kept| kept.id != stored.id);
            }
        }
        Op::Purge => {
            queue.purge(now);
            model.list.clear();
        }
    }
    Ok(())
}

fn pick(handles: &[(Uuid, String)], nth: usize) -> Option<(Uuid, String)> {
    // The newest handles are the interesting ones.
    handles.iter().rev().nth(nth).cloned()
}

fn receive(
    max: usize,
    visibility: u32,
    thorough: bool,
    queue: &mut Queue,
    model: &mut Model,
) -> Result<(), TestCaseError> {
    let ask = Ask { max, visibility: Some(visibility), thorough, has_target: true, duplicate: false };
    let available = model.available();
    let received = queue.receive(model.now, ask).map_err(|failure| TestCaseError::fail(failure.message))?;
    for dead in &received.dead {
        let is_due = model.at(dead.id).is_some_and(|kept| kept.count >= MAX_RECEIVES && kept.place == Place::Visible);
        prop_assert!(is_due, "a message was given up too early");
        model.list.retain(|kept| kept.id != dead.id);
    }
    let mut by_group: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    for kept in model.list.iter().filter(|_| model.fifo) {
        by_group.entry(kept.group.clone()).or_default().push(kept.id);
    }
    let until = model.now + Millis::from(visibility) * 1000;
    for delivery in &received.deliveries {
        prop_assert!(available.contains(&delivery.message.id), "a message that could not be received was delivered");
        let kept =
            model.at(delivery.message.id).ok_or_else(|| TestCaseError::fail("delivered twice in one receive"))?;
        prop_assert!(kept.place == Place::Visible && kept.count < MAX_RECEIVES);
        kept.count += 1;
        kept.place = Place::InFlight(until);
        kept.newest.clone_from(&delivery.handle);
        prop_assert_eq!(kept.count, delivery.message.receive_count);
        if model.fifo {
            let group = model.list.iter().find(|kept| kept.id == delivery.message.id).map(|kept| kept.group.clone());
            let order = by_group.get_mut(&group.unwrap_or_default());
            prop_assert_eq!(order.map(|order| order.remove(0)), Some(delivery.message.id), "out of order in its group");
        }
        model.handles.push((delivery.message.id, delivery.handle.clone()));
    }
    if thorough || model.fifo {
        // SQS may give fewer than it could, but a message that was given up is the only reason here.
        let met = received.deliveries.len() + received.dead.len();
        prop_assert!(met >= max.min(available.len()), "{met} of {}", available.len());
    }
    Ok(())
}

fn agree(ops: Vec<Op>, fifo: bool, shuffle: bool) -> Result<(), TestCaseError> {
    let mut queue = queue(fifo, shuffle);
    let mut model = Model { now: 1_000_000, fifo, ..Model::default() };
    for (number, op) in ops.into_iter().enumerate() {
        step(op, number, &mut queue, &mut model)?;
        model.settle();
        queue.advance(model.now);
        let counts = queue.counts();
        prop_assert_eq!(counts.visible, model.count(|place| place == Place::Visible));
        prop_assert_eq!(counts.delayed, model.count(|place| matches!(place, Place::Delayed(_))));
        prop_assert_eq!(counts.in_flight, model.count(|place| matches!(place, Place::InFlight(_))));
        prop_assert_eq!(queue.has_visible(), !model.available().is_empty());
        let mut ids: Vec<Uuid> = queue.messages().map(|stored| stored.id).collect();
        let mut expected: Vec<Uuid> = model.list.iter().map(|kept| kept.id).collect();
        ids.sort();
        expected.sort();
        prop_assert_eq!(ids, expected);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_standard_queue_agrees_with_the_model(ops in prop::collection::vec(op(), 1..120), shuffle in any::<bool>()) {
        agree(ops, false, shuffle)?;
    }

    #[test]
    fn a_fifo_queue_agrees_with_the_model(ops in prop::collection::vec(op(), 1..120), shuffle in any::<bool>()) {
        agree(ops, true, shuffle)?;
    }
}

/// Receives and deletes two hundred messages of a queue with so many, a third of them in flight: the best time of several,
/// as other programs may want the processor too.
fn time_with(messages: usize) -> Duration {
    let mut queue = queue(false, true);
    for number in 0..messages {
        queue.send(1_000, incoming(number, None, 0)).unwrap_or_else(|failure| panic!("{}", failure.message));
    }
    let ask = Ask { max: 10, visibility: Some(30), thorough: true, has_target: true, duplicate: false };
    for _ in 0..messages / 30 {
        queue.receive(1_001, ask).unwrap();
    }
    let mut round = || {
        let started = Instant::now();
        for _ in 0..20 {
            for delivery in queue.receive(1_002, ask).unwrap().deliveries {
                queue.change_visibility(1_002, &delivery.handle, 40).unwrap();
                queue.delete(1_002, &delivery.handle).unwrap();
            }
        }
        started.elapsed()
    };
    (0..9).map(|_| round()).min().unwrap_or_default()
}

#[test]
fn a_large_queue_is_about_as_fast_as_a_small_one() {
    let (small, large) = (time_with(3_000), time_with(300_000));
    // A search through the messages would take a hundred times as long.
    assert!(large < small * 15, "{small:?} with 3,000 messages, {large:?} with 300,000");
}

#[test]
fn a_message_costs_little_beyond_its_payload() {
    assert!(size_of::<Stored>() <= 112, "{}", size_of::<Stored>());
}
