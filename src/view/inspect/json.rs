//! An inspection as lines of JSON: first what was looked at, then each group. Fields are only ever added.

use jiff::Timestamp;
use redrive_groups::{Group, Spread, rule_toml};
use redrive_protocol::target::KEEP;
use serde::Serialize;

use super::super::wire::VERSION;
use super::example::Example;
use super::{Inspection, Source};
use crate::plan::{AgeCount, Basis, Estimate, Point, ages};

/// What was looked at.
#[derive(Debug, Serialize)]
pub struct LookedObject<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    source: &'a str,
    at: Timestamp,
    messages: u64,
    whole_queue: bool,
    basis: Basis,
    population: u64,
    receives: u64,
    not_given_back: u64,
    tried_on: u64,
    groups: usize,
    others: u64,
    splits: Vec<SplitObject<'a>>,
}

/// What tells groups apart.
#[derive(Debug, Serialize)]
struct SplitObject<'a> {
    at: &'a str,
    explains: f64,
}

/// A group.
#[derive(Debug, Serialize)]
pub struct GroupObject<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    name: &'a str,
    is_other: bool,
    messages: u64,
    estimate: Estimate,
    common: Vec<PlaceObject<'a>>,
    varies: Vec<VariesObject<'a>>,
    first_sent: Option<Timestamp>,
    last_sent: Option<Timestamp>,
    ages: Vec<AgeCount>,
    receive_counts: [u32; 3],
    bytes: [u32; 3],
    sources: Vec<SourceObject<'a>>,
    form: Vec<&'static str>,
    rule: Option<RuleObject>,
    example: Option<ExampleObject>,
}

#[derive(Debug, Serialize)]
struct PlaceObject<'a> {
    at: &'a str,
    value: &'a str,
}

#[derive(Debug, Serialize)]
struct VariesObject<'a> {
    at: &'a str,
    distinct: usize,
    messages: u64,
    values: Vec<ValueObject<'a>>,
}

#[derive(Debug, Serialize)]
struct ValueObject<'a> {
    value: &'a str,
    messages: u64,
}

#[derive(Debug, Serialize)]
struct SourceObject<'a> {
    arn: Option<&'a str>,
    messages: u64,
}

#[derive(Debug, Serialize)]
struct RuleObject {
    toml: String,
    tried: u64,
    taken: u64,
    right: u64,
    wanted: u64,
    precision: f64,
    recall: f64,
}

#[derive(Debug, Serialize)]
struct ExampleObject {
    message_id: String,
    asked: Vec<Point>,
    errors: Vec<Point>,
    body: String,
    attributes: Vec<String>,
}

/// The first line of JSON.
pub fn looked(inspection: &Inspection) -> LookedObject<'_> {
    let Inspection { source, now, sample, finding, .. } = inspection;
    LookedObject {
        kind: "inspection",
        version: VERSION,
        source: match source {
            Source::Queue(queue) => &queue.arn,
            Source::File(name) => name,
        },
        at: *now,
        messages: sample.messages,
        whole_queue: sample.whole_queue,
        basis: sample.basis,
        population: sample.population,
        receives: sample.receives,
        not_given_back: sample.not_given_back,
        tried_on: finding.kept,
        groups: finding.groups.len(),
        others: finding.others.as_ref().map_or(0, |others| others.messages),
        splits: finding.splits.iter().map(|split| SplitObject { at: &split.place, explains: split.explains }).collect(),
    }
}

/// Then a line for each group, and one for all that are in none.
pub fn groups(inspection: &Inspection) -> impl Iterator<Item = GroupObject<'_>> {
    let groups = inspection.finding.groups.iter().map(|group| (group, false));
    let groups = groups.chain(inspection.finding.others.iter().map(|others| (others, true)));
    groups.map(|(group, is_other)| object(inspection, group, is_other))
}

fn object<'a>(inspection: &Inspection, group: &'a Group, is_other: bool) -> GroupObject<'a> {
    let at = |sent: Option<&i64>| sent.and_then(|sent| Timestamp::from_millisecond(*sent).ok());
    let spread = |spread: Spread| [spread.least, spread.middle, spread.most];
    GroupObject {
        kind: "group",
        version: VERSION,
        name: &group.name,
        is_other,
        messages: group.messages,
        estimate: inspection.sample.estimate_of(group.messages),
        common: group.facts.iter().map(|fact| PlaceObject { at: &fact.place, value: &fact.value }).collect(),
        varies: group
            .varies
            .iter()
            .map(|varies| VariesObject {
                at: &varies.place,
                distinct: varies.distinct,
                messages: varies.messages,
                values: varies.values.iter().map(|(value, number)| ValueObject { value, messages: *number }).collect(),
            })
            .collect(),
        first_sent: at(group.sent.first()),
        last_sent: at(group.sent.last()),
        ages: ages(&group.sent, inspection.now),
        receive_counts: spread(group.receives),
        bytes: spread(group.sizes),
        sources: group
            .sources
            .iter()
            .map(|(arn, number)| SourceObject { arn: arn.as_deref(), messages: *number })
            .collect(),
        form: group.envelopes.iter().map(|envelope| envelope.words()).collect(),
        rule: group.rule.as_ref().map(|rule| RuleObject {
            toml: rule_toml(&group.name, &rule.when, KEEP),
            tried: rule.tried,
            taken: rule.taken,
            right: rule.right,
            wanted: rule.wanted,
            precision: rule.precision(),
            recall: rule.recall(),
        }),
        example: Example::of(inspection, group).map(|Example { message_id, shown, asked, errors }| ExampleObject {
            message_id,
            asked,
            errors,
            body: shown.body,
            attributes: shown.attributes,
        }),
    }
}
