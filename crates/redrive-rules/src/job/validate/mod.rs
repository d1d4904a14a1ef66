//! What a job of the right shape must hold beyond it: names that exist, places that differ, conditions that can hold.
//! Looks at the types alone; nothing here knows the text, parses an expression, or asks a service.

mod destination;
mod guard;
mod notify;
mod parking;
mod queue;
mod rule;

use std::collections::BTreeMap;

use redrive_protocol::target::{DROP, KEEP, ORIGIN};

use super::finding::{Finding, Findings, Place, did_you_mean, one_of};
use super::text;
use super::types::{Destination, Job};
use super::values::{Age, Bound};

/// More would be a program, not a job; rule and target numbers stay far below what the journal can hold.
const MAX_RULES: usize = 1000;

/// Everything that is wrong with a job.
pub(super) fn validate(job: &Job) -> Vec<Finding> {
    let mut findings = Findings::default();
    let root = Place::root();
    if let Err(message) = text::name(&job.name) {
        findings.add(Finding::new(&root.key("name"), message));
    }
    source(job, &mut findings);
    destination::all(job, &mut findings);
    let names = Names::new(job);
    retry(job, &names, &mut findings);
    if let Some(fallback) = &job.origin.fallback {
        let place = root.key("origin").key("fallback");
        names.check(fallback, &place, &mut findings);
        if fallback == ORIGIN {
            let message = "the fallback is for messages whose origin is not known; it cannot be `origin`";
            findings.add(Finding::new(&place, message).help("name a queue, an S3 or a file destination, or `keep`"));
        }
    }
    names.check(&job.unmatched.to, &root.key("unmatched").key("to"), &mut findings);
    parking::check(job, &mut findings);
    guard::check(job, &mut findings);
    notify::check(job, &mut findings);
    rule::all(job, &names, &mut findings);
    if job.plan.expires_after.is_some_and(|age| age.0.is_zero()) {
        let place = root.key("plan").key("expires_after");
        findings.add(Finding::new(&place, "a plan that expires at once can never be applied; expected more than `0s`"));
    }
    if job.limits.ramp.is_some() && job.limits.rate.is_none() {
        let message = "a ramp leads up to a rate, and no `rate` is set";
        findings.add(Finding::new(&root.key("limits").key("ramp"), message).help("add `rate`, such as \"200/s\""));
    }
    for (index, name) in job.report.redact_attributes.iter().enumerate() {
        findings.check(text::attribute_name(name), &root.key("report").key("redact_attributes").index(index));
    }
    findings.0
}

/// The destinations that can be named.
struct Names<'j> {
    defined: &'j BTreeMap<String, Destination>,
    allow_drop: bool,
}

impl<'j> Names<'j> {
    fn new(job: &'j Job) -> Self {
        Self { defined: &job.destination, allow_drop: job.allow_drop }
    }

    fn check(&self, name: &str, place: &Place, findings: &mut Findings) {
        match name {
            ORIGIN | KEEP => {}
            DROP if self.allow_drop => {}
            DROP => {
                let message = "`drop` deletes messages for good, and this job does not allow that";
                let help = "add `allow_drop = true` before the first `[table]`, or archive them instead";
                findings.add(Finding::new(place, message).help(help));
            }
            name if self.defined.contains_key(name) => {}
            name => {
                let known = self.defined.keys().map(String::as_str).chain([ORIGIN, KEEP, DROP]);
                let help = did_you_mean(name, known.clone()).unwrap_or_else(|| format!("expected {}", one_of(known)));
                let finding = Finding::new(place, format!("no destination is called {name:?}")).help(help);
                findings.add(finding.needs(Place::root().key("destination")));
            }
        }
    }
}

fn source(job: &Job, findings: &mut Findings) {
    let place = Place::root().key("source");
    let source = &job.source;
    queue::check(&source.queue, &source.access(), &place, findings);
    if let Some(timeout) = source.visibility_timeout {
        let seconds = timeout.0.as_secs();
        if !(10..=12 * 60 * 60).contains(&seconds) {
            let message = format!("expected `10s` to `12h`, which is the longest that SQS takes; found `{timeout}`");
            findings.add(Finding::new(&place.key("visibility_timeout"), message));
        }
    }
    if let Some(buckets) = &source.extended_client_buckets {
        let place = place.key("extended_client_buckets");
        if !source.extended_client {
            let message = "no pointer is followed, to these buckets or any other";
            findings.add(Finding::new(&place, message).help("add `extended_client = true`"));
        }
        if buckets.is_empty() {
            let message = "expected at least one bucket; without this key pointers to any bucket are followed";
            findings.add(Finding::new(&place, message));
        }
    }
    let nothing = match (source.sent_after, source.sent_before) {
        (Some(Bound::At(after)), Some(Bound::At(before))) => after >= before,
        (Some(Bound::Ago(Age(after))), Some(Bound::Ago(Age(before)))) => after <= before,
        _ => false,
    };
    if nothing {
        let message =
            "no message is sent after `sent_after` and before `sent_before`: the first must be the earlier one";
        let finding = Finding::new(&place.key("sent_after"), message);
        findings.add(finding.also(place.key("sent_before"), "not after this"));
    }
}

fn retry(job: &Job, names: &Names<'_>, findings: &mut Findings) {
    let Some(retry) = &job.retry else { return };
    let place = Place::root().key("retry");
    findings.check(text::attribute_name(&retry.attribute), &place.key("attribute"));
    let exhausted = place.key("exhausted");
    names.check(&retry.exhausted, &exhausted, findings);
    if retry.exhausted == ORIGIN {
        let message = "an exhausted message must not be redriven again; expected another destination than `origin`";
        findings.add(Finding::new(&exhausted, message).help("archive it with an S3 or file destination, or `keep` it"));
    }
}
