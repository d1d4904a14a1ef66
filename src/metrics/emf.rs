//! CloudWatch's embedded metric format: a line of JSON in a log from which CloudWatch makes metrics. Pure.
//!
//! CloudWatch adds up what it is given, so what grows is given as what came since the line before.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::families::Snapshot;
use crate::apply::Figures;

/// The namespace of all metrics.
const NAMESPACE: &str = "redrive";

/// One metric of the lines.
pub(super) struct Metric {
    pub(super) name: &'static str,
    /// Whether a line has what came since the one before, or what is there.
    pub(super) is_sum: bool,
    pub(super) help: &'static str,
    value: fn(&Figures) -> u64,
}

/// All of them.
pub(super) const METRICS: [Metric; 9] = [
    Metric {
        name: "Moved",
        is_sum: true,
        help: "Messages sent to a queue and deleted from the source.",
        value: |of| of.moved,
    },
    Metric {
        name: "Archived",
        is_sum: true,
        help: "Messages written to S3 or a file and deleted from the source.",
        value: |of| of.archived,
    },
    Metric { name: "Dropped", is_sum: true, help: "Messages deleted.", value: |of| of.dropped },
    Metric { name: "Requests", is_sum: true, help: "SQS requests.", value: |of| of.requests },
    Metric { name: "Kept", is_sum: false, help: "Messages left where they were.", value: |of| of.kept },
    Metric { name: "Blocked", is_sum: false, help: "Messages that could not be sent whole.", value: |of| of.blocked },
    Metric { name: "Held", is_sum: false, help: "Messages in doubt that wait for a decision.", value: |of| of.held },
    Metric {
        name: "Failed",
        is_sum: false,
        help: "Messages refused by their destination, or gone from the source.",
        value: |of| of.failed,
    },
    Metric {
        name: "InDoubt",
        is_sum: false,
        help: "Messages of which the answer to some send never came.",
        value: |of| of.in_doubt,
    },
];

/// The line for a snapshot, `before` being the figures of the line before.
pub(super) fn line(snapshot: &Snapshot<'_>, before: &Figures, at: Timestamp) -> Value {
    let figures = snapshot.figures;
    let metrics: Vec<Value> = METRICS.iter().map(|metric| json!({ "Name": metric.name, "Unit": "Count" })).collect();
    let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [["Job"]], "Metrics": metrics });
    let mut line = Map::new();
    line.insert("_aws".to_owned(), json!({ "Timestamp": at.as_millisecond(), "CloudWatchMetrics": [directive] }));
    for (name, value) in [
        ("Job", figures.job.as_str()),
        ("Run", figures.run.as_str()),
        ("Source", figures.source.as_str()),
        ("Outcome", snapshot.outcome),
    ] {
        line.insert(name.to_owned(), json!(value));
    }
    for Metric { name, is_sum, value, .. } in &METRICS {
        let earlier = if *is_sum { value(before) } else { 0 };
        line.insert((*name).to_owned(), json!(value(figures).saturating_sub(earlier)));
    }
    Value::Object(line)
}
