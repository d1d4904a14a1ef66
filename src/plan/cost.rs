//! What apply will cost: API requests, list price, and time at the rate limit. Arithmetic over the plan's figures.
//!
//! Requests are counted as apply makes them: receives, sends, deletes and the release of what stays in tens, sends also by
//! the byte limit of a batch, one put per archived object, and a handful to look at queues and buckets. Left out: the
//! extension of visibility timeouts (it depends on how long apply takes), retries, and receives that bring fewer than ten.
//!
//! Prices are the list prices of the first paid tier in most regions, and an estimate for every other:
//! a million SQS requests at 0.40 USD on a standard queue and 0.50 USD on a FIFO queue, where every 64 KiB of payload begun
//! count as one request <https://aws.amazon.com/sqs/pricing/>, and a thousand S3 puts at 0.005 USD
//! <https://aws.amazon.com/s3/pricing/>.

use redrive_protocol::target::{Reason, Target, TargetKind};
use redrive_rules::job::{Age, Limits, RAMP_FROM, Rate};

use super::document::{Cost, Outcome, RuleFigures};
use super::stats::{Size, project};
use crate::sqs::MAX_BATCH;

/// The most bytes of one batch.
const MAX_BATCH_BYTES: u64 = 1024 * 1024;

/// Payload that counts as one request.
const CHUNK: u64 = 64 * 1024;

/// Polls that find nothing, before apply believes that the source is empty.
const LAST_POLLS: u64 = 3;

/// Messages of one kind on one way, projected on the queue.
#[derive(Debug, Clone, Copy, Default)]
struct Flow {
    messages: u64,
    bytes: u64,
}

impl Flow {
    fn add(&mut self, messages: u64, bytes: u64) {
        self.messages = self.messages.saturating_add(messages);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The same flow where only `part` of `whole` is carried.
    fn scaled(self, part: u64, whole: u64) -> Self {
        let scale = |amount: u64| {
            let scaled = (u128::from(amount) * u128::from(part)).div_ceil(u128::from(whole.max(1)));
            u64::try_from(scaled).unwrap_or(u64::MAX)
        };
        Self { messages: scale(self.messages), bytes: scale(self.bytes) }
    }

    /// Batch calls that carry it.
    fn batches(self) -> u64 {
        let average = self.bytes.div_ceil(self.messages.max(1)).max(1);
        let in_batch = (MAX_BATCH_BYTES / average).clamp(1, MAX_BATCH as u64);
        self.messages.div_ceil(in_batch)
    }

    /// Requests that these batches are billed as.
    fn billed(self) -> u64 {
        self.batches().max(self.bytes.div_ceil(CHUNK))
    }
}

/// Requests so far, and their price.
#[derive(Default)]
struct Bill {
    sqs: u64,
    s3: u64,
    /// In tenths of a millionth of a US dollar, for 0.40 USD a million is 0.4 millionths each.
    price: u64,
}

impl Bill {
    /// The batches of a flow, and some calls without payload beside them.
    fn sqs(&mut self, flow: Flow, beside: u64, fifo: bool) {
        let billed = flow.billed().saturating_add(beside);
        self.sqs = self.sqs.saturating_add(flow.batches()).saturating_add(beside);
        self.price = self.price.saturating_add(billed.saturating_mul(if fifo { 5 } else { 4 }));
    }

    fn s3(&mut self, puts: u64) {
        self.s3 = self.s3.saturating_add(puts);
        self.price = self.price.saturating_add(puts.saturating_mul(50));
    }
}

/// The cost of applying these figures. `sampled_bytes` are the bytes of the sample as it was received.
pub(super) fn cost(
    source_fifo: bool,
    targets: &[Target],
    rules: &[RuleFigures],
    size: Size,
    sampled_bytes: u64,
    limits: &Limits,
) -> Cost {
    let mut to_target = vec![Flow::default(); targets.len()];
    let (mut staying, mut parked) = (0_u64, Flow::default());
    let parks = targets.iter().any(|target| target.kind == TargetKind::Park);
    for figures in rules.iter().flat_map(|rule| &rule.outcomes) {
        match figures.outcome {
            Outcome::To(target) | Outcome::Exhausted(target) => {
                if let Some(flow) = to_target.get_mut(usize::from(target.0)) {
                    flow.add(figures.estimate.total, project(figures.bytes, size));
                }
            }
            Outcome::Kept(Reason::Unmatched) if parks => {
                parked.add(figures.estimate.total, project(figures.bytes, size));
            }
            Outcome::Kept(_) | Outcome::Blocked(_) => staying = staying.saturating_add(figures.estimate.total),
        }
    }
    let would_leave = to_target.iter().fold(0_u64, |sum, flow| sum.saturating_add(flow.messages));
    // With `max_messages` apply ends early and meets that part of everything.
    let leaving = limits.max_messages.map_or(would_leave, |max| max.min(would_leave));
    let whole = would_leave.max(1);
    let part = if would_leave == 0 { 1 } else { leaving };
    let staying = Flow { messages: staying, bytes: 0 }.scaled(part, whole).messages;
    let received = Flow { messages: size.population(), bytes: project(sampled_bytes, size) }.scaled(part, whole);

    let mut bill = Bill::default();
    // The queue's attributes, and what delete and release need: receipt handles only, in tens.
    bill.sqs(received, 1 + LAST_POLLS, source_fifo);
    bill.sqs(Flow { messages: leaving, bytes: 0 }, 0, source_fifo);
    bill.sqs(Flow { messages: staying, bytes: 0 }, 0, source_fifo);
    for (target, flow) in targets.iter().zip(to_target) {
        let flow = flow.scaled(part, whole);
        match target.kind {
            TargetKind::Sqs => {
                let fifo = target.queue.as_ref().is_some_and(|queue| queue.fifo);
                bill.sqs(flow, 1, fifo);
            }
            TargetKind::S3 => bill.s3(flow.messages.saturating_add(1)),
            TargetKind::File | TargetKind::Drop => {}
            // Sent there, received there and sent back; deleted here and there.
            TargetKind::Park => {
                let parked = parked.scaled(part, whole);
                bill.sqs(parked, 1, false);
                bill.sqs(parked, LAST_POLLS, false);
                bill.sqs(parked, 0, false);
                bill.sqs(Flow { bytes: 0, ..parked }, 0, false);
                bill.sqs(Flow { bytes: 0, ..parked }, 0, false);
            }
        }
    }
    Cost {
        sqs_requests: bill.sqs,
        s3_requests: bill.s3,
        micro_usd: bill.price.div_ceil(10),
        seconds_at_rate: limits.rate.map(|rate| seconds(leaving, rate, limits.ramp)),
    }
}

/// How long so many messages take at a rate, which begins with a ramp where there is one.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds, for people; at a tenth of the least rate they are still far below 2^52"
)]
fn seconds(messages: u64, rate: Rate, ramp: Option<Age>) -> u64 {
    let Some(ramp) = ramp.map(|ramp| ramp.0.as_secs_f64()).filter(|ramp| *ramp > 0.0) else {
        return messages.div_ceil(u64::from(rate.0.max(1)));
    };
    let at_full_rate = messages as f64 / f64::from(rate.0.max(1));
    // While the rate rises, what has left grows with the square of the time.
    let (from, rise) = (RAMP_FROM, (1.0 - RAMP_FROM) / (2.0 * ramp));
    let within = ((from * from + 4.0 * rise * at_full_rate).sqrt() - from) / (2.0 * rise);
    let after = at_full_rate + ramp * (1.0 - RAMP_FROM) / 2.0;
    (if within < ramp { within } else { after }).ceil() as u64
}

#[cfg(test)]
mod tests {
    use redrive_protocol::target::{RuleId, TargetId};

    use super::super::document::{Estimate, OutcomeFigures};
    use super::super::fake::attributes;
    use super::*;

    fn target(kind: TargetKind, queue: Option<&str>) -> Target {
        Target { destination: "d".to_owned(), kind, queue: queue.map(attributes), location: None }
    }

    fn figures(outcomes: &[(Outcome, u64, u64)]) -> Vec<RuleFigures> {
        let estimate = |count| Estimate { sampled: count, total: count, low: count, high: count, is_interval: true };
        let outcomes = outcomes
            .iter()
            .map(|&(outcome, count, bytes)| OutcomeFigures { outcome, estimate: estimate(count), bytes })
            .collect();
        vec![RuleFigures {
            rule: RuleId(0),
            name: String::new(),
            estimate: estimate(0),
            bound: Some(0),
            bound_staying: None,
            outcomes,
        }]
    }

    const TO_FIRST: Outcome = Outcome::To(TargetId(0));

    #[test]
    fn tens_of_small_messages() {
        let targets = [target(TargetKind::Sqs, Some("orders")), target(TargetKind::S3, None)];
        let rules = figures(&[
            (TO_FIRST, 800, 400_000),
            (Outcome::Exhausted(TargetId(1)), 100, 50_000),
            (Outcome::Kept(Reason::Unmatched), 100, 50_000),
        ]);
        let limits = Limits { rate: Some(Rate(200)), ..Limits::default() };
        let cost = cost(false, &targets, &rules, Size::new(1000, 1000), 500_000, &limits);
        // Attributes 2, receives 100 + 3, sends 80, deletes 90, releases 10.
        assert_eq!(cost.sqs_requests, 285);
        assert_eq!(cost.s3_requests, 101);
        // 285 at 0.4 and 101 at 5 millionths.
        assert_eq!(cost.micro_usd, 619);
        assert_eq!(cost.seconds_at_rate, Some(5), "900 at 200 a second");
    }

    #[test]
    fn large_messages_make_smaller_batches_and_are_billed_by_64_kib() {
        let targets = [target(TargetKind::Sqs, Some("orders"))];
        let bytes = 100 * 300 * 1024;
        let cost =
            cost(false, &targets, &figures(&[(TO_FIRST, 100, bytes)]), Size::new(100, 100), bytes, &Limits::default());
        // Three of 300 KiB fit in one batch: 34 receives, 34 sends; deletes in tens.
        assert_eq!(cost.sqs_requests, 1 + 34 + 3 + 1 + 34 + 10);
        // Received and sent once each, in chunks of 64 KiB.
        let billed = 2 * bytes.div_ceil(64 * 1024) + 1 + 3 + 1 + 10;
        assert_eq!(cost.micro_usd, (billed * 4).div_ceil(10));
        assert_eq!(cost.seconds_at_rate, None);
    }

    #[test]
    fn fifo_requests_cost_more() {
        let of = |name| {
            let targets = [target(TargetKind::Sqs, Some(name))];
            let rules = figures(&[(TO_FIRST, 10_000, 1_000_000)]);
            cost(false, &targets, &rules, Size::new(10_000, 10_000), 1_000_000, &Limits::default())
        };
        let (standard, fifo) = (of("orders"), of("orders.fifo"));
        assert_eq!(standard.sqs_requests, fifo.sqs_requests);
        assert!((100..=101).contains(&(fifo.micro_usd - standard.micro_usd)), "1,001 requests at 0.1 millionths more");
    }

    #[test]
    fn a_limit_scales_everything() {
        let targets = [target(TargetKind::Sqs, Some("orders"))];
        let rules = figures(&[(TO_FIRST, 5_000, 500_000), (Outcome::Kept(Reason::Unmatched), 5_000, 500_000)]);
        let limits = Limits { max_messages: Some(500), rate: Some(Rate(100)), ..Limits::default() };
        let cost = cost(false, &targets, &rules, Size::new(10_000, 10_000), 1_000_000, &limits);
        // A tenth: 1,000 received, 500 sent and deleted, 500 released.
        assert_eq!(cost.sqs_requests, 1 + 100 + 3 + 50 + 50 + 1 + 50);
        assert_eq!(cost.seconds_at_rate, Some(5));
    }

    #[test]
    fn nothing_to_move_still_looks_through_the_queue() {
        let rules = figures(&[(Outcome::Kept(Reason::Unmatched), 50, 5_000)]);
        let cost = cost(false, &[], &rules, Size::new(50, 50), 5_000, &Limits::default());
        assert_eq!((cost.sqs_requests, cost.s3_requests), (1 + 5 + 3 + 5, 0));
    }

    #[test]
    fn what_is_parked_goes_there_and_back() {
        let parking = Target { kind: TargetKind::Park, ..target(TargetKind::Sqs, Some("parking")) };
        let rules = figures(&[(TO_FIRST, 100, 10_000), (Outcome::Kept(Reason::Unmatched), 900, 90_000)]);
        let targets = [target(TargetKind::Sqs, Some("orders")), parking];
        let cost = cost(false, &targets, &rules, Size::new(1000, 1000), 100_000, &Limits::default());
        // Receives 100, sends and deletes 10 each; parked: 90 sends, receives, sends back and twice as many deletes.
        assert_eq!(cost.sqs_requests, 2 + 100 + 3 + 20 + 5 * 90 + 1 + 3);
    }

    #[test]
    fn the_largest_figures_saturate() {
        let targets = [target(TargetKind::Sqs, Some("orders")), target(TargetKind::S3, None)];
        let rules = figures(&[(TO_FIRST, u64::MAX, u64::MAX), (Outcome::To(TargetId(1)), u64::MAX, u64::MAX)]);
        let limits = Limits { rate: Some(Rate(1)), ..Limits::default() };
        let cost = cost(true, &targets, &rules, Size::new(1, u64::MAX), u64::MAX, &limits);
        assert_eq!(cost.seconds_at_rate, Some(u64::MAX));
    }

    #[test]
    fn a_ramp_takes_its_time() {
        let (rate, ramp) = (Rate(100), Some(Age(std::time::Duration::from_mins(1))));
        assert_eq!(seconds(10_000, rate, None), 100);
        assert_eq!(seconds(10_000, rate, ramp), 127, "nine twentieths of the ramp are lost");
        assert_eq!(seconds(3_300, rate, ramp), 60, "as many as leave while it rises");
        assert_eq!(seconds(10, rate, ramp), 1);
        assert_eq!(seconds(0, rate, ramp), 0);
    }
}
