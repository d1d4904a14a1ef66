//! Something to look at: scenarios, and the ways to fill a sandbox without sending. Contents follow the seed; message IDs do not,
//! as a journal outlives a sandbox and knows messages by their IDs; queues were always created at the same time, so that a plan
//! that was made on one sandbox is good for another.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::sqs::account::Account;
use super::sqs::message::{Extra, Millis, State, Stored, md5_of_body, parse_attributes};
use super::sqs::settings::AttributeMap;
use super::{MessageAttribute, Sandbox};
use crate::error::{Error, Result};

/// When the queues of scenarios were created: 2026-01-05T09:00:00Z.
const CREATED: Millis = 1_767_603_600_000;

/// How many messages failed in the `orders` scenario.
const FAILED_ORDERS: u32 = 400;

/// A message to put into a queue without sending it.
#[derive(Clone, Default)]
pub struct Seed {
    /// The body.
    pub body: String,
    /// The message attributes.
    pub attributes: BTreeMap<String, MessageAttribute>,
    /// How long ago it was sent, in milliseconds.
    pub age_ms: u64,
    /// How often it was received.
    pub receive_count: u32,
    /// `DeadLetterQueueSourceArn`.
    pub source_arn: Option<String>,
    /// `MessageGroupId`: needed on a FIFO queue.
    pub group: Option<String>,
    /// `MessageDeduplicationId`, on a FIFO queue.
    pub deduplication: Option<String>,
    /// `AWSTraceHeader`.
    pub trace_header: Option<String>,
}

impl Seed {
    /// A message with only a body.
    pub fn new(body: impl Into<String>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// Adds a message attribute.
    #[must_use]
    pub fn attribute(mut self, name: &str, attribute: MessageAttribute) -> Self {
        self.attributes.insert(name.to_owned(), attribute);
        self
    }
}

impl MessageAttribute {
    /// A `String` attribute.
    pub fn string(value: impl Into<String>) -> Self {
        Self { data_type: "String".to_owned(), string_value: Some(value.into()), binary_value: None }
    }

    /// A `Number` attribute; SQS carries numbers as text.
    pub fn number(value: impl Into<String>) -> Self {
        Self { data_type: "Number".to_owned(), string_value: Some(value.into()), binary_value: None }
    }

    /// A `Binary` attribute; with a custom label where one is given.
    pub fn binary(value: &[u8], label: Option<&str>) -> Self {
        let data_type = label.map_or_else(|| "Binary".to_owned(), |label| format!("Binary.{label}"));
        Self { data_type, string_value: None, binary_value: Some(STANDARD.encode(value)) }
    }
}

pub(super) fn create_queue(
    account: &Account,
    name: &str,
    attributes: &[(&str, &str)],
    created: Option<Millis>,
) -> Result<String> {
    let mut settings = account.settings(name, created.unwrap_or_else(|| account.now()));
    let map: AttributeMap = attributes.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    settings
        .set(&map, account.setup.limit)
        .map_err(|failure| Error::failed(format!("the sandbox cannot make the queue {name}: {}", failure.message)))?;
    account.insert(settings);
    Ok(account.url(name))
}

pub(super) fn seed(account: &Account, queue: &str, messages: impl IntoIterator<Item = Seed>) -> Result<Vec<String>> {
    let cell = account.by_name(queue).ok_or_else(|| Error::failed(format!("the sandbox has no queue {queue}")))?;
    let now = account.now();
    let mut ids = Vec::new();
    for message in messages {
        let attributes = parse_attributes(message.attributes)
            .map_err(|failure| Error::failed(format!("the sandbox cannot take a message: {}", failure.message)))?;
        let extra = Extra {
            trace: message.trace_header.map(Into::into),
            group: message.group.map(Arc::from),
            source_arn: message.source_arn.map(Arc::from),
            deduplication: message.deduplication.map(Into::into),
            sequence: 0,
        };
        let mut queue = cell.lock();
        let id = queue.new_id();
        queue.plant(Stored {
            id,
            body_md5: md5_of_body(&message.body),
            body: message.body.into(),
            attributes,
            extra: extra.into_stored(),
            sent: now.saturating_sub(message.age_ms),
            first_received: if message.receive_count > 0 { now.saturating_sub(message.age_ms) } else { 0 },
            receive_count: message.receive_count,
            arrival: 0,
            receipt: 0,
            state: State::Visible,
        });
        ids.push(id.to_string());
    }
    cell.wake.notify_one();
    Ok(ids)
}

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// An orders queue, its dead-letter queue with some hundred failed messages of several kinds, and a bucket.
    Orders,
}

/// What a scenario has put where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioSummary {
    /// Its name.
    pub name: &'static str,
    /// Queues, and how many messages are in each.
    pub queues: Vec<(String, usize)>,
    /// Buckets.
    pub buckets: Vec<String>,
    /// Kinds of messages, and how many there are of each.
    pub kinds: Vec<(&'static str, usize)>,
}

impl ScenarioSummary {
    /// In words, a line for each queue and bucket.
    pub fn lines(&self) -> Vec<String> {
        let queues = self.queues.iter().map(|(name, count)| format!("queue {name}: {count} messages"));
        let buckets = self.buckets.iter().map(|name| format!("bucket {name}"));
        queues.chain(buckets).collect()
    }
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Orders];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
        }
    }

    pub(super) fn fill(self, sandbox: &Sandbox) -> Result<ScenarioSummary> {
        match self {
            Self::Orders => orders(sandbox),
        }
    }
}

impl FromStr for Scenario {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|scenario| scenario.name()).collect();
            Error::usage(format!("there is no scenario {name}")).hint(format!("there is: {}", names.join(", ")))
        })
    }
}

const HOUR: u64 = 60 * 60 * 1000;

/// Kinds of failures: name, of a hundred messages, the error's type and message.
const ERRORS: [(&str, u32, &str, &str); 5] = [
    ("timeouts", 38, "Timeout", "payment gateway did not answer within 30 s"),
    ("connection resets", 20, "ConnectionReset", "connection reset by payment gateway"),
    ("validation failures", 16, "ValidationFailed", "shipping.postcode does not match the country"),
    ("unknown products", 9, "UnknownProduct", "SKU is not in the catalogue"),
    ("optimistic locks", 7, "OptimisticLock", "order was changed by somebody else"),
];

fn orders(sandbox: &Sandbox) -> Result<ScenarioSummary> {
    let account = sandbox.account();
    let fortnight = "1209600";
    sandbox.create_queue("orders-dlq", &[("MessageRetentionPeriod", fortnight)], Some(CREATED))?;
    let target = account.settings("orders-dlq", CREATED).arn;
    let policy = json!({"deadLetterTargetArn": target, "maxReceiveCount": 3}).to_string();
    sandbox.create_queue("orders", &[("RedrivePolicy", &policy)], Some(CREATED))?;
    sandbox.create_queue("orders-parking", &[("MessageRetentionPeriod", fortnight)], Some(CREATED))?;
    sandbox.create_bucket("redrive-archive")?;

    let source = account.settings("orders", CREATED).arn;
    let mut rng = SmallRng::seed_from_u64(sandbox.seed_number());
    let mut kinds: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut seeds = Vec::new();
    for number in 0..FAILED_ORDERS {
        let (kind, seed) = failed_order(&mut rng, number, &source);
        *kinds.entry(kind).or_default() += 1;
        seeds.push(seed);
    }
    let count = sandbox.seed("orders-dlq", seeds)?.len();
    let queues = vec![("orders".to_owned(), 0), ("orders-dlq".to_owned(), count), ("orders-parking".to_owned(), 0)];
    Ok(ScenarioSummary {
        name: Scenario::Orders.name(),
        queues,
        buckets: vec!["redrive-archive".to_owned()],
        kinds: kinds.into_iter().collect(),
    })
}

fn failed_order(rng: &mut SmallRng, number: u32, source: &str) -> (&'static str, Seed) {
    let region = if rng.random_bool(0.7) { "eu" } else { "us" };
    let tenant = format!("{region}-{}", ["shop", "market", "outlet", "b2b"][rng.random_range(0..4)]);
    let order = format!("ord-{:05}", 10_000 + number * 7);
    let (kind, body) = body(rng, &order, &tenant);
    let mut seed = Seed::new(body);
    seed.attributes.insert("tenant".to_owned(), MessageAttribute::string(tenant));
    seed.attributes.insert("contentType".to_owned(), MessageAttribute::string("application/json"));
    if rng.random_bool(0.35) {
        // Some have been round as often as a cap of 3 allows, or oftener.
        let count = ["1", "1", "1", "2", "2", "3", "3", "4"][rng.random_range(0..8)];
        seed.attributes.insert("retryCount".to_owned(), MessageAttribute::number(count));
    }
    if rng.random_bool(0.1) {
        let fingerprint: [u8; 16] = rng.random();
        seed.attributes.insert("fingerprint".to_owned(), MessageAttribute::binary(&fingerprint, Some("md5")));
    }
    if rng.random_bool(0.15) {
        let (high, low): (u32, u64) = (rng.random(), rng.random());
        seed.trace_header = Some(format!("Root=1-{high:08x}-{:024x};Sampled=1", u128::from(low)));
    }
    // Dead after three receives of its consumer. A few were put into the dead-letter queue by hand.
    if rng.random_bool(0.96) {
        seed.source_arn = Some(source.to_owned());
        seed.receive_count = 3;
    }
    seed.age_ms = rng.random_range(HOUR / 4..72 * HOUR);
    (kind, seed)
}

fn body(rng: &mut SmallRng, order: &str, tenant: &str) -> (&'static str, String) {
    let total = f64::from(rng.random_range(500..250_000_u32)) / 100.0;
    let customer = rng.random_range(1000..9999_u32);
    let roll = rng.random_range(0..100_u32);
    let mut bound = 0;
    for (kind, share, error, message) in ERRORS {
        bound += share;
        if roll < bound {
            let mut lines = vec![json!({"sku": format!("SKU-{}", rng.random_range(100..999_u32)), "quantity": 1})];
            if rng.random_bool(0.04) {
                // A wholesale order: some hundred KiB.
                lines = (0..2_000)
                    .map(|line| json!({"sku": format!("SKU-{line}"), "quantity": line % 9 + 1, "note": "wholesale"}))
                    .collect();
            }
            let event = json!({
                "type": "order.placed",
                "order": {"id": order, "total": total, "currency": "EUR", "lines": lines},
                "customer": {"id": customer, "email": format!("customer{customer}@example.com")},
                "tenant": tenant,
                "error": {"type": error, "message": message},
                "debug": {"attempt": 3, "host": "worker-7"},
            });
            return (kind, event.to_string());
        }
    }
    match roll % 3 {
        0 => ("truncated JSON", format!("{{\"type\":\"order.placed\",\"order\":{{\"id\":\"{order}\",\"total\":")),
        1 => ("plain text", format!("please look at order {order}, customer {customer} has called twice")),
        _ => (
            "XML",
            format!("<?xml version=\"1.0\"?><order id=\"{order}\"><total currency=\"EUR\">{total}</total></order>"),
        ),
    }
}
