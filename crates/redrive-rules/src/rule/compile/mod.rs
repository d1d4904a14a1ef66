//! A job's rules, cap, templates and redaction, compiled; every problem is reported with its key path, all at once.
//!
//! Conditions and transforms are parsed by `job`, here as when the job is read, so that nothing is checked a second time in
//! other words. What `job` validates besides, such as names that exist and rules that have conditions, is taken for granted.

mod condition;
mod transform;

use redrive_protocol::target::{DROP, KEEP, ORIGIN, RuleId};

use super::cap::Cap;
use super::filter::Condition;
use super::identify::Mark;
use super::jq::{Program, ProgramError};
use super::path::{Path, PathError};
use super::redact::Redaction;
use super::transform::Transform;
use super::{CompiledRule, Destination, Route, Rules};
use crate::job::finding::{Finding, Findings, Place};
use crate::job::{self, Job, Problem, Template};

fn path(text: &str, place: &Place, findings: &mut Findings) -> Option<Path> {
    Path::parse(text).map_err(|error| no_path(error, place, findings)).ok()
}

fn no_path(error: PathError, place: &Place, findings: &mut Findings) {
    let help = "a JSONPath (RFC 9535) looks like \"$.order.total\", \"$.items[0].sku\" or \"$['a key']\"";
    findings.add(Finding::new(place, error.message).maybe_within(error.within).help(help));
}

fn program(code: &str, place: &Place, findings: &mut Findings) -> Option<Program> {
    let help =
        "the manual of jq is at https://jqlang.org/manual; what differs here is in the reference of the job file";
    let add = |error: ProgramError| {
        findings.add(Finding::new(place, error.message).maybe_within(error.within).help(help));
    };
    Program::parse(code).map_err(|errors| errors.into_iter().for_each(add)).ok()
}

fn template(text: &str, place: &Place, findings: &mut Findings) -> Option<Template> {
    let add = |(within, message)| findings.add(Finding::new(place, message).within(within));
    Template::parse(text).map_err(add).ok()
}

/// Compiles a list of conditions that is no rule's. What cannot be compiled is reported and left out.
pub(super) fn conditions(list: &[job::Condition], place: &Place, findings: &mut Findings) -> Vec<Condition> {
    condition::group(list, place, findings)
}

pub(super) fn compile(job: &Job) -> Result<Rules, Vec<Problem>> {
    let (root, mut findings) = (Place::root(), Findings::default());
    let destinations = destinations(job, &mut findings);
    let route = |name: &str, place: &Place, findings: &mut Findings| match name {
        KEEP => Route::Keep,
        DROP => Route::Drop,
        ORIGIN => Route::Origin,
        name => {
            if !job.destination.contains_key(name) {
                let finding = Finding::new(place, format!("there is no destination {name:?}"));
                findings.add(finding.help("built in are origin, keep and drop"));
            }
            Route::Named(name.to_owned())
        }
    };
    let mut rules = Vec::with_capacity(job.rule.len());
    for (index, rule) in job.rule.iter().enumerate() {
        let place = root.key("rule").index(index);
        let Some(id) = u16::try_from(index).ok().map(RuleId).filter(|id| *id < RuleId::OUT_OF_SCOPE) else {
            findings.add(Finding::new(&place, format!("a job has at most {} rules", RuleId::OUT_OF_SCOPE.0)));
            break;
        };
        rules.push(CompiledRule {
            id,
            name: rule.name.clone(),
            when: condition::group(&rule.when, &place.key("when"), &mut findings),
            transforms: transform::all(rule, job, &place.key("transform"), &mut findings),
            to: route(&rule.to, &place.key("to"), &mut findings),
        });
    }
    let unmatched = route(&job.unmatched.to, &root.key("unmatched").key("to"), &mut findings);
    let fallback = job.origin.fallback.as_deref();
    let fallback = fallback.map(|name| route(name, &root.key("origin").key("fallback"), &mut findings));
    let cap = job.retry.as_ref().map(|retry| Cap {
        attribute: retry.attribute.clone(),
        max: retry.max,
        exhausted: route(&retry.exhausted, &root.key("retry").key("exhausted"), &mut findings),
    });
    let redaction = redaction(job, &mut findings);
    let marks = marks(job, &mut findings);
    if !findings.0.is_empty() {
        return Err(findings.0.into_iter().map(|finding| finding.problem).collect());
    }
    let needs_body = |rule: &CompiledRule| {
        rule.when.iter().any(Condition::needs_body) || rule.transforms.iter().any(Transform::needs_json)
    };
    let reads_payloads = job.source.extended_client && rules.iter().any(needs_body);
    let payload_buckets = job.source.extended_client_buckets.clone().map(|buckets| buckets.into_iter().collect());
    let job = job.name.clone();
    let ordered = rules;
    Ok(Rules {
        job,
        ordered,
        unmatched,
        fallback,
        cap,
        destinations,
        redaction,
        marks,
        reads_payloads,
        payload_buckets,
    })
}

fn destinations(job: &Job, findings: &mut Findings) -> std::collections::BTreeMap<String, Destination> {
    let compile = |(name, destination): (&String, &job::Destination)| {
        let place = Place::root().key("destination").key(name);
        let compiled = match destination {
            job::Destination::Sqs(sqs) => {
                let place = place.key("sqs");
                let mut template = |key, text: &Option<String>| template(text.as_deref()?, &place.key(key), findings);
                Destination::Sqs {
                    group: template("message_group_id", &sqs.message_group_id),
                    deduplication: template("message_deduplication_id", &sqs.message_deduplication_id),
                }
            }
            job::Destination::S3(s3) => {
                Destination::S3 { key: template(&s3.key, &place.key("s3").key("key"), findings)? }
            }
            job::Destination::File(file) => {
                Destination::File { path: template(&file.path, &place.key("file").key("path"), findings)? }
            }
        };
        Some((name.clone(), compiled))
    };
    job.destination.iter().filter_map(compile).collect()
}

fn marks(job: &Job, findings: &mut Findings) -> Vec<Mark> {
    let place = Place::root().key("report").key("identify");
    let mark = |(index, text): (usize, &String)| match text.strip_prefix("attribute:") {
        Some(name) if !name.is_empty() => Some(Mark::Attribute(text.clone(), name.to_owned())),
        Some(_) => {
            let finding = Finding::new(&place.index(index), "the name of the message attribute is missing");
            findings.add(finding.help("such as \"attribute:tenant\""));
            None
        }
        None => Some(Mark::Path(text.clone(), path(text, &place.index(index), findings)?)),
    };
    job.report.identify.iter().enumerate().filter_map(mark).collect()
}

fn redaction(job: &Job, findings: &mut Findings) -> Redaction {
    let place = Place::root().key("report").key("redact");
    let paths = job.report.redact.iter().enumerate();
    let paths = paths.filter_map(|(index, text)| path(text, &place.index(index), findings)).collect();
    Redaction { paths, attributes: job.report.redact_attributes.iter().cloned().collect() }
}
