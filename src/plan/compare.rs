//! Two plans side by side: what a reviewer of the second must look at, who has seen the first. Pure; the texts in here come from
//! the plans and are neutralised where they are shown.
//!
//! A figure is said to have changed where its two 95 % intervals do not meet. That happens by chance in about one of two hundred
//! comparisons of a queue that did not change, and in fewer where the intervals are wide.

use redrive_protocol::target::Target;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::document::{Estimate, Hazard, Plan, RuleFigures};
use super::file::fingerprint_differences;

/// What is different in the second of two plans.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The digests of both.
    pub before: String,
    /// See `before`.
    pub after: String,
    /// Lines of the job that went or came, in its order, each with `-` or `+` before it.
    pub job: Vec<String>,
    /// Queues, buckets and files that went, came or are not what they were, in words.
    pub places: Vec<String>,
    /// Figures that changed beyond what chance explains.
    pub figures: Vec<Figure>,
    /// Bounds and other limits that changed.
    pub limits: Vec<Limit>,
    /// Refusals and hazards that are there no more.
    pub hazards_gone: Vec<Hazard>,
    /// Refusals and hazards that are new, or say something else.
    pub hazards_new: Vec<Hazard>,
}

/// A figure of both plans; `None` where one has no such thing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// The rule's name, and where it has several outcomes, which.
    pub of: String,
    /// In the first plan.
    pub before: Option<Estimate>,
    /// In the second.
    pub after: Option<Estimate>,
}

/// A limit of both plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// What it bounds.
    pub of: String,
    /// In the first plan.
    pub before: Option<u64>,
    /// In the second.
    pub after: Option<u64>,
}

impl Comparison {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        let Self { job, places, figures, limits, hazards_gone, hazards_new, .. } = self;
        job.is_empty()
            && places.is_empty()
            && figures.is_empty()
            && limits.is_empty()
            && hazards_gone.is_empty()
            && hazards_new.is_empty()
    }
}

/// Compares two plans.
pub fn compare(before: &Plan, after: &Plan) -> Comparison {
    Comparison {
        before: before.digest.clone(),
        after: after.digest.clone(),
        job: job(&before.job.text, &after.job.text),
        places: places(before, after),
        figures: figures(before, after),
        limits: limits(before, after),
        hazards_gone: hazards(after, before),
        hazards_new: hazards(before, after),
    }
}

fn job(before: &str, after: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    let line = |mark: char, text: &str| format!("{mark} {}", text.trim_end_matches(['\n', '\r']));
    diff.iter_all_changes()
        .filter_map(|change| match change.tag() {
            ChangeTag::Equal => None,
            ChangeTag::Delete => Some(line('-', change.value())),
            ChangeTag::Insert => Some(line('+', change.value())),
        })
        .collect()
}

fn places(before: &Plan, after: &Plan) -> Vec<String> {
    let mut words = Vec::new();
    let source = fingerprint_differences(&before.source, &after.source);
    words.extend(source.into_iter().map(|what| format!("source {}: {what}", after.source.name())));
    let place = |target: &Target| (target.label(), target.location.clone());
    for target in &before.targets {
        match after.targets.iter().find(|other| other.label() == target.label()) {
            None => words.push(format!("{} is no longer a destination", target.label())),
            Some(now) => {
                if let (Some(old), Some(new)) = (&target.queue, &now.queue) {
                    let differences = fingerprint_differences(old, new);
                    words.extend(differences.into_iter().map(|what| format!("destination {}: {what}", now.label())));
                } else if place(target) != place(now) || target.kind != now.kind {
                    words.push(format!("destination {} is another place", now.label()));
                }
            }
        }
    }
    let known = |target: &&Target| before.targets.iter().any(|other| other.label() == target.label());
    let new = after.targets.iter().filter(|target| !known(target));
    words.extend(new.map(|target| format!("{} is a new destination", target.label())));
    words
}

/// What the plan says of each rule and outcome, by names that mean the same in both plans.
fn named(plan: &Plan) -> Vec<(String, Estimate)> {
    let rule = |rule: &RuleFigures| {
        let own = (rule.name.clone(), rule.estimate);
        let outcomes =
            rule.outcomes.iter().map(|of| (format!("{}, {}", rule.name, plan.words_of(of.outcome)), of.estimate));
        std::iter::once(own).chain(outcomes.collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    plan.rules.iter().flat_map(rule).collect()
}

fn figures(before: &Plan, after: &Plan) -> Vec<Figure> {
    let differ = |one: Estimate, other: Estimate| one.high < other.low || other.high < one.low;
    let none = |plan: &Plan| plan.estimate_of(0);
    paired(&named(before), &named(after))
        .into_iter()
        .filter(|(_, old, new)| differ(old.unwrap_or_else(|| none(before)), new.unwrap_or_else(|| none(after))))
        .map(|(of, before, after)| Figure { of, before, after })
        .collect()
}

fn limits(before: &Plan, after: &Plan) -> Vec<Limit> {
    let bounds = |plan: &Plan| -> Vec<(String, u64)> {
        let leave = plan
            .rules
            .iter()
            .filter_map(|rule| rule.bound.map(|bound| (format!("messages that may leave by {}", rule.name), bound)));
        let pinned =
            plan.pins.as_ref().map(|pins| ("messages that the plan is pinned to".to_owned(), pins.len() as u64));
        let stay = plan.rules.iter().filter_map(|rule| {
            rule.bound_staying.map(|bound| (format!("messages that may stay by {}", rule.name), bound))
        });
        leave.chain(stay).chain(pinned).collect()
    };
    paired(&bounds(before), &bounds(after))
        .into_iter()
        .filter(|(_, before, after)| before != after)
        .map(|(of, before, after)| Limit { of, before, after })
        .collect()
}

/// Values of two lists by name, in the order of the second; then those that only the first has.
fn paired<T: Copy>(before: &[(String, T)], after: &[(String, T)]) -> Vec<(String, Option<T>, Option<T>)> {
    let value =
        |list: &[(String, T)], name: &str| list.iter().find(|(other, _)| other == name).map(|(_, value)| *value);
    let gone: Vec<_> = before.iter().filter(|(name, _)| value(after, name).is_none()).cloned().collect();
    let both = after.iter().map(|(name, new)| (name.clone(), value(before, name), Some(*new)));
    let mut paired: Vec<_> = both.collect();
    paired.extend(gone.into_iter().map(|(name, old)| (name, Some(old), None)));
    paired
}

/// Refusals and hazards of the second that the first does not have. Their numbers may differ: only what they are about counts.
fn hazards(one: &Plan, other: &Plan) -> Vec<Hazard> {
    let all = |plan: &Plan| plan.refusals.iter().chain(&plan.hazards).cloned().collect::<Vec<_>>();
    let known: Vec<Hazard> = all(one);
    all(other).into_iter().filter(|hazard| known.iter().all(|known| known.code != hazard.code)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::code::HazardCode;
    use super::super::fake::{at, plan};
    use super::super::stats::{Size, estimate};
    use super::*;

    #[test]
    fn a_plan_is_like_itself_and_like_another_sample_of_the_same_queue() {
        let before = plan().seal();
        assert!(compare(&before, &before).is_empty());
        let mut after = plan();
        after.created = at("2026-11-22T07:00:00Z");
        let size = Size::new(1000, 40_000);
        after.rules[0].estimate = estimate(617, size);
        after.rules[0].outcomes[0].estimate = estimate(560, size);
        assert!(compare(&before, &after.seal()).is_empty());
    }

    #[test]
    fn what_changed_is_said_and_no_more() {
        let before = plan().seal();
        let mut after = plan();
        after.job.text = "version = 1\nname = \"orders\"\n".to_owned();
        after.source.created = Some(at("2026-11-01T00:00:00Z"));
        after.targets[0].location = Some("s3://elsewhere".to_owned());
        after.rules[0].bound = after.rules[0].bound.map(|bound| bound + 1);
        let size = Size::new(1000, 40_000);
        after.rules[1].estimate = estimate(700, size);
        after.rules[0].outcomes.pop();
        after.hazards = vec![Hazard::new(HazardCode::Dropped, "About 5 are dropped.")];
        let found = compare(&before, &after.seal());
        assert_eq!(found.job, ["- name = \"orders-dlq\"", "+ name = \"orders\""]);
        assert_eq!(found.places.len(), 2, "{:?}", found.places);
        assert!(found.places[0].starts_with("source orders-dlq: it was deleted and created anew"));
        assert_eq!(found.places[1], "destination graveyard is another place");
        let figures: Vec<&str> = found.figures.iter().map(|figure| figure.of.as_str()).collect();
        assert_eq!(figures, ["unmatched", "gateway timeouts, blocked: it would have more than ten message attributes"]);
        assert_eq!(
            (found.limits.len(), found.limits[0].of.as_str()),
            (1, "messages that may leave by gateway timeouts")
        );
        let codes = |hazards: &[Hazard]| hazards.iter().map(|hazard| hazard.code.as_str()).collect::<Vec<_>>();
        assert_eq!(
            (codes(&found.hazards_gone), codes(&found.hazards_new)),
            (vec!["counts_approximate"], vec!["dropped"])
        );
    }
}
