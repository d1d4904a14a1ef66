//! Whether plans say what they know: 300 of 3,000 messages, handed out as SQS does, planned 200 times. Kinds at random: the 95 %
//! intervals hold. Kinds in waves or blocks: no plan gives an interval that misses, since none is given.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::plan::{Basis, Estimate, Unevenness};

const PLANS: u64 = 200;
const TOTAL: usize = 3000;
const SAMPLE: u64 = 300;

const KINDS: &str = r#"
version = 1
name = "kinds"
[source]
queue = "orders-dlq"
[destination.archive]
s3 = { bucket = "redrive-archive", key = "{date}/{message_id}.json" }
[destination.parking]
sqs = { queue = "parking" }
[[rule]]
name = "a"
when = [{ body = "$.kind", equals = "a" }]
to = "parking"
[[rule]]
name = "b"
when = [{ body = "$.kind", equals = "b" }]
to = "archive"
"#;

/// Plans a queue that holds these kinds, the oldest first; gives what the plan rests on, and each estimate with the truth.
async fn planned(kinds: &[char], seed: u64) -> (Basis, Vec<(Estimate, u64)>) {
    let messages = kinds.iter().enumerate().map(|(at, kind)| message(at, &format!("{{\"kind\":\"{kind}\"}}")));
    let source = FakeQueue::new(attributes("orders-dlq"), messages.collect());
    source.hand_out_like_sqs(seed);
    let mut world = World { text: KINDS.to_owned(), source, ..World::new() };
    world.extent = Extent::Sample(SAMPLE);
    let plan = world.plan().await.expect("all is well");
    assert_eq!((world.source.visible(), world.source.in_flight()), (TOTAL, 0));
    let truth = |rule: &RuleFigures| {
        let is_of = |kind: &&char| match rule.name.as_str() {
            "a" => **kind == 'a',
            "b" => **kind == 'b',
            "unmatched" => **kind == 'c',
            _ => false,
        };
        (rule.estimate, kinds.iter().filter(is_of).count() as u64)
    };
    (plan.sample.basis, plan.rules.iter().filter(|rule| rule.rule != RuleId::OUT_OF_SCOPE).map(truth).collect())
}

#[tokio::test]
async fn intervals_hold_where_kinds_come_at_random() {
    let (mut held, mut all) = (0, 0);
    for seed in 0..PLANS {
        let mut rng = StdRng::seed_from_u64(seed);
        let kinds: Vec<char> = (0..TOTAL)
            .map(|_| match rng.random_range(0..100) {
                0..35 => 'a',
                35..45 => 'b',
                _ => 'c',
            })
            .collect();
        let (_, estimates) = planned(&kinds, seed).await;
        for (estimate, truth) in estimates {
            all += 1;
            // Without an interval, a plan that could have given one counts as one that failed.
            held += u64::from(estimate.is_interval && (estimate.low..=estimate.high).contains(&truth));
        }
    }
    assert!(held * 100 >= all * 93, "{held} of {all}");
}

/// No plan gives an interval that misses; gives how many were caught by each test.
async fn none_misses(shape: &str, kinds: impl Fn(&mut StdRng) -> Vec<char>) {
    let mut given = 0;
    for seed in 0..PLANS {
        let kinds = kinds(&mut StdRng::seed_from_u64(seed));
        let (basis, estimates) = planned(&kinds, seed).await;
        for (estimate, truth) in estimates {
            given += u64::from(estimate.is_interval);
            assert!((estimate.low..=estimate.high).contains(&truth), "{shape} {seed}: {basis:?} {estimate:?} {truth}");
        }
    }
    assert_eq!(given, 0, "{shape}");
}

#[tokio::test]
async fn no_interval_is_given_where_kinds_come_in_waves() {
    none_misses("waves", |rng| {
        let (period, phase) = (rng.random_range(60.0..600.0), rng.random_range(0.0..1.0));
        let mut at = 0.0_f64;
        let kind = |_| {
            at += 1.0;
            let swing = ((at / period + phase) * std::f64::consts::TAU).sin();
            if rng.random_range(-1.0..1.0) < swing { 'a' } else { ['b', 'c'][usize::from(rng.random_ratio(2, 3))] }
        };
        (0..TOTAL).map(kind).collect()
    })
    .await;
}

#[tokio::test]
async fn no_interval_is_given_where_kinds_come_in_blocks() {
    none_misses("blocks", |rng| {
        let mut kinds = Vec::with_capacity(TOTAL);
        while kinds.len() < TOTAL {
            let (kind, length) = (['a', 'b', 'c'][rng.random_range(0..3)], rng.random_range(50..1000));
            kinds.extend(std::iter::repeat_n(kind, length));
        }
        kinds.truncate(TOTAL);
        kinds
    })
    .await;
}

#[tokio::test]
async fn a_plan_without_an_interval_has_no_bound_and_says_why() {
    let kinds: Vec<char> = (0..TOTAL).map(|at| if at < 100 { 'a' } else { 'c' }).collect();
    let messages = kinds.iter().enumerate().map(|(at, kind)| message(at, &format!("{{\"kind\":\"{kind}\"}}")));
    let source = FakeQueue::new(attributes("orders-dlq"), messages.collect());
    let mut world = World { text: KINDS.to_owned(), source, ..World::new() };
    world.extent = Extent::Sample(SAMPLE);
    let plan = world.plan().await.expect("all is well");
    assert_eq!(plan.sample.basis, Basis::Uneven(Unevenness::ByReceipt));
    let bounds: Vec<_> = plan.rules.iter().map(|rule| (rule.bound, rule.bound_staying)).collect();
    // Where a rule keeps, nothing can leave, whatever is there.
    assert_eq!(bounds, [(None, None), (None, None), (Some(0), None), (Some(0), None)]);
    assert!(plan.hazards.iter().any(|hazard| hazard.code == HazardCode::SampleUneven));

    world.extent = Extent::All;
    let plan = world.plan().await.expect("all is well");
    assert_eq!((plan.sample.basis, plan.sample.messages), (Basis::Whole, TOTAL as u64));
    assert_eq!(plan.rules[0].bound, Some(110));
}

#[tokio::test]
async fn a_queue_of_up_to_ten_thousand_messages_is_looked_at_whole_and_of_a_larger_one_as_many() {
    for (total, messages, basis) in [
        (1_001, 1_001, Basis::Whole),
        (10_000, 10_000, Basis::Whole),
        (10_001, 10_000, Basis::Uneven(Unevenness::OneKind)),
    ] {
        let mut world = World { source: FakeQueue::filled(total), ..World::new() };
        world.extent = Extent::Auto;
        let plan = world.plan().await.expect("all is well");
        assert_eq!((plan.sample.messages, plan.sample.basis), (messages, basis));
        assert_eq!((world.source.visible(), world.source.in_flight()), (total, 0));
    }
    // A count that lags far behind ends in a sample, not in a claim.
    let source = FakeQueue::filled(25_000);
    source.count_stays_at(900);
    let mut world = World { source, ..World::new() };
    world.extent = Extent::Auto;
    let plan = world.plan().await.expect("all is well");
    assert_eq!((plan.sample.messages, plan.sample.basis), (20_000, Basis::Uneven(Unevenness::OneKind)));
}
