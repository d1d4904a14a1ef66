//! A job's rules, cap, templates and redaction, compiled; every problem is reported with its key path, all at once.
//!
//! `job` has validated what can be said without compiling. What it refuses is refused here again where it could not be
//! compiled, so that no job, however it came to be, is half compiled.

mod condition;
mod transform;

use std::ops::Range;

use redrive_protocol::target::{DROP, KEEP, ORIGIN, RuleId};

use super::cap::Cap;
use super::filter::Condition;
use super::jq::{Program, ProgramError};
use super::path::{Path, PathError};
use super::redact::Redaction;
use super::transform::Transform;
use super::{CompiledRule, Destination, Route, Rules};
use crate::job::{self, Job, KeyPath, Problem, Step, Template};

/// A key path under construction.
#[derive(Debug, Clone)]
struct At(KeyPath);

impl At {
    fn root(key: &str) -> Self {
        Self(vec![Step::Key(key.to_owned())])
    }

    fn key(&self, key: &str) -> Self {
        let mut path = self.0.clone();
        path.push(Step::Key(key.to_owned()));
        Self(path)
    }

    fn index(&self, index: usize) -> Self {
        let mut path = self.0.clone();
        path.push(Step::Index(index));
        Self(path)
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, at: &At, message: impl Into<String>, help: Option<&str>) {
        self.add_within(at, None, message, help);
    }

    fn add_within(&mut self, at: &At, within: Option<Range<usize>>, message: impl Into<String>, help: Option<&str>) {
        self.0.push(Problem { at: at.0.clone(), within, message: message.into(), help: help.map(str::to_owned) });
    }

    fn path(&mut self, at: &At, error: PathError) {
        let help = "a JSONPath (RFC 9535) looks like \"$.order.total\", \"$.items[0].sku\" or \"$['a key']\"";
        self.add_within(at, error.within, error.message, Some(help));
    }

    fn program(&mut self, at: &At, code: &str) -> Option<Program> {
        let help =
            "the manual of jq is at https://jqlang.org/manual; what differs here is in the reference of the job file";
        let add = |error: ProgramError| self.add_within(at, error.within, error.message, Some(help));
        Program::parse(code).map_err(|errors| errors.into_iter().for_each(add)).ok()
    }

    fn template(&mut self, at: &At, text: &str) -> Option<Template> {
        Template::parse(text).map_err(|(within, message)| self.add_within(at, Some(within), message, None)).ok()
    }
}

pub(super) fn compile(job: &Job) -> Result<Rules, Vec<Problem>> {
    let mut problems = Problems::default();
    let destinations = destinations(job, &mut problems);
    let route = |problems: &mut Problems, at: &At, name: &str| match name {
        KEEP => Route::Keep,
        DROP => Route::Drop,
        ORIGIN => Route::Origin,
        name => {
            if !job.destination.contains_key(name) {
                problems.add(
                    at,
                    format!("there is no destination {name:?}"),
                    Some("built in are origin, keep and drop"),
                );
            }
            Route::Named(name.to_owned())
        }
    };
    let mut rules = Vec::with_capacity(job.rule.len());
    for (index, rule) in job.rule.iter().enumerate() {
        let at = At::root("rule").index(index);
        let Some(id) = u16::try_from(index).ok().map(RuleId).filter(|id| *id < RuleId::OUT_OF_SCOPE) else {
            problems.add(&at, format!("a job has at most {} rules", RuleId::OUT_OF_SCOPE.0), None);
            break;
        };
        rules.push(CompiledRule {
            id,
            name: rule.name.clone(),
            when: condition::group(&rule.when, &at.key("when"), &mut problems),
            transforms: transform::all(rule, job, &at.key("transform"), &mut problems),
            to: route(&mut problems, &at.key("to"), &rule.to),
        });
    }
    let unmatched = route(&mut problems, &At::root("unmatched").key("to"), &job.unmatched.to);
    let fallback = job.origin.fallback.as_deref();
    let fallback = fallback.map(|name| route(&mut problems, &At::root("origin").key("fallback"), name));
    let cap = job.retry.as_ref().map(|retry| Cap {
        attribute: retry.attribute.clone(),
        max: retry.max,
        exhausted: route(&mut problems, &At::root("retry").key("exhausted"), &retry.exhausted),
    });
    let redaction = redaction(job, &mut problems);
    if !problems.0.is_empty() {
        return Err(problems.0);
    }
    let needs_body = |rule: &CompiledRule| {
        rule.when.iter().any(Condition::needs_body) || rule.transforms.iter().any(Transform::needs_json)
    };
    let reads_payloads = job.source.extended_client && rules.iter().any(needs_body);
    let payload_buckets = job.source.extended_client_buckets.clone().map(|buckets| buckets.into_iter().collect());
    let job = job.name.clone();
    let ordered = rules;
    Ok(Rules { job, ordered, unmatched, fallback, cap, destinations, redaction, reads_payloads, payload_buckets })
}

fn destinations(job: &Job, problems: &mut Problems) -> std::collections::BTreeMap<String, Destination> {
    let compile = |(name, destination): (&String, &job::Destination)| {
        let at = At::root("destination").key(name);
        let compiled = match destination {
            job::Destination::Sqs(sqs) => {
                let at = at.key("sqs");
                let mut template =
                    |key, text: &Option<String>| text.as_ref().and_then(|text| problems.template(&at.key(key), text));
                Destination::Sqs {
                    group: template("message_group_id", &sqs.message_group_id),
                    deduplication: template("message_deduplication_id", &sqs.message_deduplication_id),
                }
            }
            job::Destination::S3(s3) => Destination::S3 { key: problems.template(&at.key("s3").key("key"), &s3.key)? },
            job::Destination::File(file) => {
                Destination::File { path: problems.template(&at.key("file").key("path"), &file.path)? }
            }
        };
        Some((name.clone(), compiled))
    };
    job.destination.iter().filter_map(compile).collect()
}

fn redaction(job: &Job, problems: &mut Problems) -> Redaction {
    let at = At::root("report").key("redact");
    let mut paths = Vec::new();
    for (index, path) in job.report.redact.iter().enumerate() {
        match Path::parse(path) {
            Ok(path) => paths.push(path),
            Err(error) => problems.path(&at.index(index), error),
        }
    }
    Redaction { paths, attributes: job.report.redact_attributes.iter().cloned().collect() }
}

/// Whether a value of the job file can stand in JSON. TOML has two kinds that cannot: a date or time arrives here as an object
/// with a marker key, and `nan` and `inf` as null.
fn literal(value: &serde_json::Value, at: &At, problems: &mut Problems) -> bool {
    use serde_json::Value;
    match value {
        Value::Null => problems.add(at, "nan and inf are no JSON values", None),
        Value::Object(members) if members.contains_key("$__toml_private_datetime") => {
            problems.add(at, "expected a text, a number or a boolean, found a date or time", Some("put it in quotes"));
        }
        Value::Object(members) => return members.values().all(|member| literal(member, at, problems)),
        Value::Array(elements) => return elements.iter().all(|element| literal(element, at, problems)),
        _ => return true,
    }
    false
}
