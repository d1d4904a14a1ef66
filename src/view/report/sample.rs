//! A plan, its figures and the messages that need attention, for the tests of the views.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redrive_protocol::message::MessageId;
use redrive_protocol::target::{Reason, RuleId, Target, TargetId, TargetKind};

use super::{Listing, MANY, Report, Troubles};
use crate::apply::{Event, Figures, Progress, Totals};
use crate::journal::{Happened, RunRecord, Timeline, Trouble};
use crate::plan::{
    Approver, Basis, Cost, Estimate, FORMAT, JobText, Outcome, OutcomeFigures, Plan, RuleFigures, Sample, TYPE,
};
use crate::sqs::{Counts, QueueAttributes};
use redrive_protocol::protocol::{Resolution, Resolved, State, Tally, TallyKey};

const ORDERS: TargetId = TargetId(0);
const GRAVEYARD: TargetId = TargetId(1);
const PAYMENTS: TargetId = TargetId(2);

pub(in crate::view) fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn queue(name: &str) -> QueueAttributes {
    QueueAttributes {
        arn: format!("arn:aws:sqs:eu-west-1:123456789012:{name}"),
        url: format!("https://sqs.eu-west-1.amazonaws.com/123456789012/{name}"),
        fifo: name == "payments.fifo",
        created: None,
        redrive_policy: None,
        redrive_allow_policy: None,
        maximum_message_size: 1 << 20,
        message_retention_seconds: 345_600,
        visibility_timeout_seconds: 30,
        kms_key: None,
        content_based_deduplication: false,
        counts: Counts::default(),
    }
}

fn target(destination: &str, kind: TargetKind, queue: Option<QueueAttributes>) -> Target {
    Target { destination: destination.to_owned(), kind, queue, location: None }
}

fn rule(id: RuleId, name: &str, outcomes: &[(Outcome, u64)]) -> RuleFigures {
    let estimate = |total| Estimate { sampled: total / 10, total, low: total, high: total, is_interval: true };
    RuleFigures {
        rule: id,
        name: name.to_owned(),
        estimate: estimate(outcomes.iter().map(|(_, total)| total).sum()),
        bound: Some(10_000),
        bound_staying: None,
        outcomes: outcomes
            .iter()
            .map(|(outcome, total)| OutcomeFigures { outcome: *outcome, estimate: estimate(*total), bytes: 0 })
            .collect(),
    }
}

pub(in crate::view) fn plan() -> Plan {
    Plan {
        kind: TYPE.to_owned(),
        format: FORMAT,
        digest: format!("sha256:{}", "3f2a9c0d1e4b".repeat(5)),
        tool_version: "0.1.0".to_owned(),
        author: None,
        created: at("2026-11-20T09:58:00Z"),
        expires: at("2026-11-21T09:58:00Z"),
        job: JobText {
            name: "orders-dlq".to_owned(),
            description: Some("INC-4711: gateway timeouts".to_owned()),
            file: "jobs/orders.toml".to_owned(),
            sha256: "ab".repeat(32),
            text: String::new(),
        },
        sent_before: at("2026-11-20T09:58:00Z"),
        sent_after: None,
        source: queue("orders-dlq"),
        targets: vec![
            target("orders", TargetKind::Sqs, Some(queue("orders"))),
            target("graveyard", TargetKind::S3, None),
            target("payments", TargetKind::Sqs, Some(queue("payments.fifo"))),
            target("drop", TargetKind::Drop, None),
        ],
        sample: Sample {
            messages: 1000,
            whole_queue: false,
            basis: Basis::Even { effective: 1000 },
            population: 10_000,
            receives: 100,
            not_given_back: 0,
            oldest: None,
            newest: None,
            ages: Vec::new(),
            not_json: 0,
            origins: Vec::new(),
        },
        callers: Vec::new(),
        pins: None,
        rules: vec![
            rule(RuleId(0), "gateway timeouts", &[(Outcome::To(ORDERS), 7000), (Outcome::Exhausted(GRAVEYARD), 2000)]),
            rule(RuleId(1), "refunds", &[(Outcome::To(PAYMENTS), 50), (Outcome::Blocked(Reason::NotJson), 10)]),
            rule(RuleId::UNMATCHED, "unmatched", &[(Outcome::Kept(Reason::Unmatched), 940)]),
            rule(RuleId::OUT_OF_SCOPE, "out of scope", &[]),
        ],
        cost: Cost { sqs_requests: 3000, s3_requests: 2000, micro_usd: 1200, seconds_at_rate: None },
        refusals: Vec::new(),
        hazards: Vec::new(),
        examples_sha256: String::new(),
        examples: Vec::new(),
    }
}

pub(in crate::view) fn tally() -> Tally {
    let key = |state, rule, target, reason| TallyKey { state, rule, target, exhausted: false, reason };
    let counts = [
        (key(State::Done, RuleId(0), Some(ORDERS), None), 7003),
        (TallyKey { exhausted: true, ..key(State::Done, RuleId(0), Some(GRAVEYARD), None) }, 1980),
        (key(State::Done, RuleId(1), Some(PAYMENTS), None), 48),
        (key(State::Held, RuleId(0), Some(ORDERS), Some(Reason::AnswerLost)), 2),
        (key(State::Kept, RuleId::UNMATCHED, None, Some(Reason::Unmatched)), 947),
        (key(State::Kept, RuleId::OUT_OF_SCOPE, None, Some(Reason::Bounced)), 3),
        (key(State::Blocked, RuleId(1), None, Some(Reason::NotJson)), 12),
        (key(State::Failed, RuleId(0), Some(ORDERS), Some(Reason::Refused)), 1),
    ];
    Tally { counts: BTreeMap::from(counts), doubted: 5, ..Tally::default() }
}

pub(in crate::view) fn progress(tally: Tally) -> Event {
    Event::Progress(Progress { tally, requests: 3100, elapsed_ms: 95_300 })
}

/// A report of a run that did not finish, and how it stopped last.
pub(in crate::view) fn stopped(outcome: &str) -> Report {
    let mut report = report();
    report.record.outcome = Some(outcome.to_owned());
    report.record.ended = None;
    report
}

pub(in crate::view) fn trouble(id: &str, state: State, target: Option<TargetId>, doubts: u32) -> Trouble {
    let reason = match state {
        State::Held => Some(Reason::AnswerLost),
        State::Blocked => Some(Reason::NotJson),
        State::Failed => Some(Reason::Refused),
        _ => None,
    };
    Trouble {
        id: MessageId::new(id),
        state,
        rule: RuleId(0),
        target,
        reason,
        doubts,
        sent_as: None,
        note: None,
        identity: None,
        at: at("2026-11-20T10:00:30Z"),
        resolved: None,
    }
}

/// The messages in trouble.
pub(in crate::view) fn troubles() -> Vec<Trouble> {
    let mut more = trouble("aaaa-1", State::Done, Some(ORDERS), 2);
    more.sent_as = Some(MessageId::new("bbbb-1"));
    let mut refused = trouble("aaaa-5", State::Failed, Some(ORDERS), 0);
    refused.note = Some("InvalidMessageContents: no".to_owned());
    let mut troubles = vec![
        more,
        trouble("aaaa-2", State::Done, Some(GRAVEYARD), 1),
        trouble("aaaa-3", State::Done, Some(PAYMENTS), 1),
        trouble("aaaa-4", State::Held, Some(ORDERS), 1),
        refused,
    ];
    for number in 0..12 {
        let mut blocked = trouble(&format!("cccc-{number}"), State::Blocked, None, 0);
        blocked.note = Some("$.order.total".to_owned());
        troubles.push(blocked);
    }
    troubles
}

/// These, gathered as for a form that lists at most so many of a group.
pub(in crate::view) fn gathered(plan: &Plan, troubles: &[Trouble], most: usize) -> Troubles {
    let mut gathered = Troubles::new(most);
    for trouble in troubles {
        gathered.add(plan, trouble);
    }
    gathered
}

/// An object that lists messages, as a whole.
pub(in crate::view) fn whole(mut listing: Listing<'_>, troubles: &[Trouble]) -> String {
    let mut whole = listing.head().to_owned();
    for trouble in troubles {
        whole.push_str(&listing.item(trouble));
    }
    whole + Listing::END
}

/// Slow at first and at its end, throttled in between, and stopped for a while.
fn timeline() -> Timeline {
    let start = at("2026-11-20T10:00:00Z").as_second();
    let left = [10, 60, 120, 126, 125, 118, 121, 40, 124, 120];
    let mut slices: Vec<_> = left
        .iter()
        .zip(0_i64..)
        .map(|(left, number)| {
            let is_throttled = number == 7;
            (
                start + number * 8,
                Happened {
                    left: left * 8,
                    in_doubt: 5 * u64::from(is_throttled),
                    throttled: 18 * u64::from(is_throttled),
                    ..Happened::default()
                },
            )
        })
        .collect();
    slices.push((start + 4000, Happened { left: 9031 - 964 * 8, ..Happened::default() }));
    Timeline { seconds: 8, slices }
}

pub(in crate::view) fn report() -> Report {
    let plan = plan();
    let totals = Totals { requests: 3100, elapsed_ms: 95_300, in_flight_elsewhere: 4, ..Totals::default() };
    Report {
        guards: Vec::new(),
        came_back: Vec::new(),
        figures: Figures::new(&plan, &tally(), totals),
        timeline: timeline(),
        troubles: gathered(&plan, &troubles(), MANY),
        approvers: vec![Approver {
            by: "alice@example.com".to_owned(),
            comment: Some("looks right".to_owned()),
            at: "2026-11-22T07:00:00Z".parse().expect("a time"),
            key: None,
            signed: true,
        }],
        command: ["redrive", "apply", "orders.plan.json", "--journal", "a b.db"].map(str::to_owned).to_vec(),
        record: RunRecord {
            approvals: String::new(),
            command: String::new(),
            directory: "/srv/redrive".to_owned(),
            sandbox: false,
            not_notified: None,
            process: None,
            name: plan.id().to_owned(),
            source_arn: plan.source.arn.clone(),
            job_sha256: plan.job.sha256.clone(),
            plan: String::new(),
            started: at("2026-11-20T10:00:00Z"),
            ended: Some(at("2026-11-20T10:01:35Z")),
            outcome: Some("finished".to_owned()),
            cause: None,
            totals,
            given_up: None,
        },
        plan,
    }
}

const EVIL: &str = "\u{1b}[2J\u{9b}31m\r\n\n# h\t<script>alert(1)</script>|`x`|\u{202e}\u{2066}\u{200b}@team [a](http://x) \
                    </title>&lt; \"'";

fn evil() -> Resolved {
    Resolved {
        resolution: Resolution::Resend,
        at: at("2026-11-20T10:00:30Z"),
        who: EVIL.to_owned(),
        reason: Some(EVIL.to_owned()),
    }
}

/// The messages of [`hostile`].
pub(in crate::view) fn hostile_troubles() -> Vec<Trouble> {
    let mut troubles = troubles();
    for trouble in &mut troubles {
        trouble.id = MessageId::new(format!("{}{EVIL}", trouble.id));
        trouble.sent_as = Some(MessageId::new(EVIL));
        trouble.note = Some(EVIL.to_owned());
        trouble.identity = Some(EVIL.to_owned());
        trouble.resolved = Some(evil());
    }
    troubles
}

/// The same report where everything that comes from outside is hostile: to terminals, Markdown, pages, and eyes.
pub(in crate::view) fn hostile() -> Report {
    let mut report = report();
    for rule in &mut report.plan.rules {
        rule.name.push_str(EVIL);
    }
    for target in &mut report.plan.targets {
        target.destination.push_str(EVIL);
    }
    let job = &mut report.plan.job;
    for text in [&mut job.name, &mut job.file, &mut job.sha256, &mut report.plan.digest, &mut report.plan.source.arn] {
        text.push_str(EVIL);
    }
    job.description = Some(EVIL.to_owned());
    report.troubles = gathered(&report.plan, &hostile_troubles(), MANY);
    report.record.given_up = Some(evil());
    report.record.name.push_str(EVIL);
    report.record.directory.push_str(EVIL);
    report.command.push(EVIL.to_owned());
    report.record.outcome = Some(EVIL.to_owned());
    let totals = Totals { requests: 1, ..Totals::default() };
    report.plan.job.name = EVIL.to_owned();
    report.figures = Figures::new(&report.plan, &tally(), totals);
    report
}
