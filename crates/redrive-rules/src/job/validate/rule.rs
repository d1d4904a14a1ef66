//! Rules: names that tell them apart, conditions at all, and where they lead.

use std::collections::BTreeMap;

use crate::job::finding::{Finding, Findings, Place};
use crate::job::types::Job;
use crate::job::{condition, text, transform};

use super::{MAX_RULES, Names};

pub(super) fn all(job: &Job, names: &Names<'_>, findings: &mut Findings) {
    let rules = Place::root().key("rule");
    if job.rule.len() > MAX_RULES {
        let message = format!("a job has at most {MAX_RULES} rules; this one has {}", job.rule.len());
        findings.add(Finding::new(&rules, message));
        return;
    }
    let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
    for (index, rule) in job.rule.iter().enumerate() {
        let place = rules.index(index);
        let name = place.key("name");
        findings.check(text::not_empty(&rule.name, "a rule's name"), &name);
        match seen.get(rule.name.as_str()) {
            Some(first) => {
                let message =
                    format!("two rules are called {:?}: plans and reports could not tell them apart", rule.name);
                findings.add(Finding::new(&name, message).also(first.clone(), "the first"));
            }
            None => {
                seen.insert(&rule.name, name);
            }
        }
        let when = place.key("when");
        if rule.when.is_empty() {
            let message = "a rule without conditions would take every message";
            let help = "add a condition, or say it in `[unmatched]`: that is where the rest goes";
            findings.add(Finding::new(&when, message).help(help).needs(when.clone()));
        }
        for (index, condition) in rule.when.iter().enumerate() {
            condition::check(condition, &when.index(index), findings);
        }
        let counter = job.retry.as_ref().map(|retry| retry.attribute.as_str());
        for (index, transform) in rule.transform.iter().enumerate() {
            transform::check(transform, counter, &place.key("transform").index(index), findings);
        }
        names.check(&rule.to, &place.key("to"), findings);
    }
}
