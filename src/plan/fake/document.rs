//! A small plan with one of everything.

use redrive_protocol::target::{Reason, RuleId, Target, TargetId, TargetKind};

use super::super::code::HazardCode;
use super::super::document::{
    AgeCount, Caller, Cost, Example, FORMAT, Hazard, Identity, JobText, OriginCount, Outcome, OutcomeFigures, Plan,
    Point, RuleFigures, Sample, Shown, TYPE,
};
use super::super::evenness::Basis;
use super::super::stats::{Size, bound, estimate};
use super::{at, attributes, redrives_to};
use crate::sqs::{Counts, QueueAttributes};

/// A small plan with one of everything, not sealed.
pub(crate) fn plan() -> Plan {
    let text = "version = 1\nname = \"orders-dlq\"\n";
    let target = |destination: &str, kind, queue, location: Option<&str>| Target {
        destination: destination.to_owned(),
        kind,
        queue,
        location: location.map(str::to_owned),
    };
    let size = Size::new(1000, 40_000);
    let estimate = |sampled| estimate(sampled, size);
    let mut source = attributes("orders-dlq");
    source.counts = Counts { visible: Some(40_000), in_flight: Some(12), delayed: Some(0) };
    let origin = QueueAttributes { redrive_policy: redrives_to("orders-dlq"), ..attributes("orders") };
    Plan {
        kind: TYPE.to_owned(),
        format: FORMAT,
        digest: String::new(),
        tool_version: "0.1.0".to_owned(),
        author: Some("carol".to_owned()),
        created: at("2026-11-22T06:00:00Z"),
        expires: at("2026-11-23T06:00:00Z"),
        job: JobText {
            name: "orders-dlq".to_owned(),
            description: Some("INC-4711: gateway timeouts".to_owned()),
            file: "jobs/orders-dlq.toml".to_owned(),
            sha256: super::super::file::sha256(text.as_bytes()),
            text: text.to_owned(),
        },
        sent_before: at("2026-11-22T06:00:00Z"),
        sent_after: None,
        source,
        targets: vec![
            target("graveyard", TargetKind::S3, None, Some("s3://redrive-archive")),
            target("origin", TargetKind::Sqs, Some(origin), None),
        ],
        sample: Sample {
            messages: 1000,
            whole_queue: false,
            basis: Basis::Even { effective: 1000 },
            population: 40_000,
            receives: 104,
            not_given_back: 0,
            oldest: Some(at("2026-11-19T06:11:02Z")),
            newest: Some(at("2026-11-22T05:58:40Z")),
            ages: vec![
                AgeCount { from: 60, to: Some(600), messages: 12 },
                AgeCount { from: 600, to: Some(3600), messages: 0 },
                AgeCount { from: 3600, to: Some(21_600), messages: 260 },
                AgeCount { from: 21_600, to: Some(86_400), messages: 728 },
            ],
            not_json: 31,
            origins: vec![
                OriginCount { arn: attributes("orders").arn, messages: 990 },
                OriginCount { arn: String::new(), messages: 10 },
            ],
        },
        callers: vec![Caller {
            place: "source".to_owned(),
            region: "eu-west-1".to_owned(),
            endpoint: None,
            credentials: "profile ops".to_owned(),
            identity: Some(Identity {
                account: "000000000000".to_owned(),
                arn: "arn:aws:sts::000000000000:assumed-role/ops/carol".to_owned(),
            }),
        }],
        pins: None,
        rules: vec![
            RuleFigures {
                rule: RuleId(0),
                name: "gateway timeouts".to_owned(),
                estimate: estimate(600),
                bound: Some(bound(590, size, 5)),
                bound_staying: Some(bound(10, size, 5)),
                outcomes: vec![
                    OutcomeFigures { outcome: Outcome::To(TargetId(1)), estimate: estimate(540), bytes: 330_000 },
                    OutcomeFigures { outcome: Outcome::Exhausted(TargetId(0)), estimate: estimate(50), bytes: 31_000 },
                    OutcomeFigures {
                        outcome: Outcome::Blocked(Reason::TooManyAttributes),
                        estimate: estimate(10),
                        bytes: 9_000,
                    },
                ],
            },
            RuleFigures {
                rule: RuleId::UNMATCHED,
                name: "unmatched".to_owned(),
                estimate: estimate(400),
                bound: Some(0),
                bound_staying: Some(bound(400, size, 5)),
                outcomes: vec![OutcomeFigures {
                    outcome: Outcome::Kept(Reason::Unmatched),
                    estimate: estimate(400),
                    bytes: 240_000,
                }],
            },
        ],
        cost: Cost { sqs_requests: 10_163, s3_requests: 2_000, micro_usd: 14_065, seconds_at_rate: Some(118) },
        refusals: Vec::new(),
        hazards: vec![Hazard::new(HazardCode::CountsApproximate, "The counts are approximate.")],
        examples_sha256: String::new(),
        examples: vec![Example {
            rule: RuleId(0),
            outcome: Outcome::To(TargetId(1)),
            message_id: "0b6ad0a4-2a5d-4c5b-9c7e-6a8c4f1d2e3f".to_owned(),
            sent: Some(at("2026-11-19T06:11:02Z")),
            asked: vec![Point {
                of: "{ body = \"$.error.type\", equals = \"Timeout\" }".to_owned(),
                found: "found \"Timeout\"".to_owned(),
            }],
            errors: vec![Point { of: "$.error.type".to_owned(), found: "Timeout".to_owned() }],
            before: Shown {
                body: "{\"order\":{\"id\":1,\"total\":1.10},\"debug\":true}".to_owned(),
                attributes: vec!["tenant (String) = eu-1".to_owned()],
            },
            after: Some(Shown {
                body: "{\"order\":{\"id\":1,\"total\":1.10},\"replayed_by\":\"INC-4711\"}".to_owned(),
                attributes: vec!["retryCount (Number) = 1".to_owned(), "tenant (String) = eu-1".to_owned()],
            }),
            detail: None,
        }],
    }
}
