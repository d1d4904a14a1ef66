//! The rule that takes a group and nothing else, in the job's own language. `candidates` are made from what the group's messages
//! have in common; here they are asked by the job's own engine of the messages that were kept; the shortest that takes the group stands.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use redrive_protocol::message::Message;
use redrive_rules::job::Condition;
use redrive_rules::rule::{Finder, Selection, condition_toml};
use serde_json::Value;

use crate::candidates::{Candidate, candidates};
use crate::group::Members;
use crate::secret::veiled;

/// Messages of a group that conditions are made from, and messages that they are chosen on.
const LOOKED_AT: usize = 24;
const TRIED_ON: usize = 3000;

/// The same for programs, which take longer.
const PROGRAMS_TRIED_ON: usize = 800;

/// Conditions of a rule.
const MOST_CONDITIONS: usize = 4;

/// A rule is found when it is this exact; below that, programs are tried as well.
const GOOD: f64 = 0.985;

/// A rule that takes more than a tenth of others, or leaves as much of the group, is not shown.
const SHOWN: f64 = 0.9;

/// A rule for a group.
#[derive(Debug, Clone)]
pub struct Suggestion {
    /// Its conditions.
    pub when: Vec<Condition>,
    /// Messages that it was tried on.
    pub tried: u64,
    /// How many it took.
    pub taken: u64,
    /// How many of these are of the group.
    pub right: u64,
    /// How many of the group there were.
    pub wanted: u64,
}

impl Suggestion {
    /// The share of what it takes that is of the group.
    pub fn precision(&self) -> f64 {
        share(self.right, self.taken)
    }

    /// The share of the group that it takes.
    pub fn recall(&self) -> f64 {
        share(self.right, self.wanted)
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most as many as messages are kept")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Which of some messages a condition takes.
type Taken = Vec<bool>;

/// A rule for each group, if one was found. `kept` has each message with its group.
pub(crate) fn suggest(
    kept: &[(Message, Option<usize>)],
    groups: &[Members],
    by: Option<&Finder>,
    redact: &[String],
    now: Timestamp,
) -> Vec<Option<Suggestion>> {
    let of_group =
        |number: usize| kept.iter().filter(move |(_, group)| *group == Some(number)).map(|(message, _)| message);
    let candidates: Vec<Vec<Candidate>> = (0..groups.len())
        .map(|number| {
            let messages: Vec<Cow<'_, Message>> =
                of_group(number).take(LOOKED_AT).map(|message| veiled(message, redact)).collect();
            match (by, messages.first()) {
                (Some(by), Some(message)) => vec![by_hand(by, message)],
                _ => candidates(&messages.iter().map(AsRef::as_ref).collect::<Vec<_>>()),
            }
            .into_iter()
            .filter(Candidate::may_be_written)
            .collect()
        })
        .collect();
    let sample = &kept[..kept.len().min(TRIED_ON)];
    let mut rules: Vec<Vec<Condition>> = vec![Vec::new(); groups.len()];
    for programs in [false, true] {
        let sample = if programs { &sample[..sample.len().min(PROGRAMS_TRIED_ON)] } else { sample };
        let open: Vec<usize> = (0..groups.len())
            .filter(|number| by.is_none() || !programs || rules[*number].is_empty())
            .filter(|number| !programs || score(&rules[*number], *number, sample, now) < GOOD)
            .collect();
        let is_tried = |candidate: &&Candidate| programs || by.is_some() || candidate.condition.jq.is_none();
        let asked: BTreeMap<String, &Candidate> = open
            .iter()
            .flat_map(|number| candidates[*number].iter().filter(is_tried))
            .map(|candidate| (condition_toml(&candidate.condition), candidate))
            .collect();
        let taken = ask(&asked, sample, now);
        for number in open {
            let wanted: Vec<bool> = sample.iter().map(|(_, group)| *group == Some(number)).collect();
            let of_group = candidates[number]
                .iter()
                .filter(is_tried)
                .filter_map(|candidate| Some((candidate, taken.get(&condition_toml(&candidate.condition))?)));
            if let Some(found) = choose(&of_group.collect::<Vec<_>>(), &wanted) {
                rules[number] = found;
            }
        }
    }
    let compiled = Selection::compile(&rules);
    let Ok(selection) = compiled else { return vec![None; groups.len()] };
    let mut suggestions: Vec<Suggestion> = rules
        .into_iter()
        .map(|when| Suggestion { when, tried: kept.len() as u64, taken: 0, right: 0, wanted: 0 })
        .collect();
    for (message, group) in kept {
        for (number, (suggestion, takes)) in suggestions.iter_mut().zip(selection.takes(message, now)).enumerate() {
            let is_of_group = *group == Some(number);
            suggestion.wanted += u64::from(is_of_group);
            suggestion.taken += u64::from(takes);
            suggestion.right += u64::from(takes && is_of_group);
        }
    }
    let is_shown = |found: &Suggestion| !found.when.is_empty() && found.precision() >= SHOWN && found.recall() >= SHOWN;
    suggestions.into_iter().map(|suggestion| Some(suggestion).filter(is_shown)).collect()
}

/// What takes the messages with the value that this one has at the place by which the caller groups.
fn by_hand(by: &Finder, message: &Message) -> Candidate {
    Candidate { condition: by.condition(by.find(message).as_deref()), cost: 1 }
}

/// How well a rule found so far does.
fn score(rule: &[Condition], number: usize, sample: &[(Message, Option<usize>)], now: Timestamp) -> f64 {
    let Ok(selection) = Selection::compile(&[rule.to_vec()]) else { return 0.0 };
    if rule.is_empty() {
        return 0.0;
    }
    let taken: Taken = sample.iter().map(|(message, _)| selection.takes(message, now)[0]).collect();
    let wanted: Vec<bool> = sample.iter().map(|(_, group)| *group == Some(number)).collect();
    f1(&taken, &wanted)
}

/// What each condition takes. One that does not compile takes nothing part in this.
fn ask(
    asked: &BTreeMap<String, &Candidate>,
    sample: &[(Message, Option<usize>)],
    now: Timestamp,
) -> BTreeMap<String, Taken> {
    let asked: Vec<(&String, &Candidate)> = asked
        .iter()
        .filter(|(_, candidate)| Selection::compile(&[vec![candidate.condition.clone()]]).is_ok())
        .map(|(written, candidate)| (written, *candidate))
        .collect();
    let lists: Vec<Vec<Condition>> = asked.iter().map(|(_, candidate)| vec![candidate.condition.clone()]).collect();
    let Ok(selection) = Selection::compile(&lists) else { return BTreeMap::new() };
    let mut taken: Vec<Taken> = vec![Vec::with_capacity(sample.len()); asked.len()];
    for (message, _) in sample {
        for (taken, takes) in taken.iter_mut().zip(selection.takes(message, now)) {
            taken.push(takes);
        }
    }
    asked.into_iter().map(|(written, _)| written.clone()).zip(taken).collect()
}

/// The fewest and shortest conditions that together take what is wanted.
fn choose(candidates: &[(&Candidate, &Taken)], wanted: &[bool]) -> Option<Vec<Condition>> {
    let mut taken = vec![true; wanted.len()];
    let mut chosen: Vec<(&Candidate, &Taken)> = Vec::new();
    let mut best = 0.0;
    while chosen.len() < MOST_CONDITIONS && best < 1.0 {
        let with = |candidate: &(&Candidate, &Taken)| {
            let both: Taken = taken.iter().zip(candidate.1).map(|(before, now)| *before && *now).collect();
            f1(&both, wanted)
        };
        // Hundredths: what is better by less is not worth more words.
        let rank = |(candidate, f1): &(&(&Candidate, &Taken), f64)| (whole(*f1), std::cmp::Reverse(candidate.0.cost));
        let scored = candidates.iter().map(|candidate| (candidate, with(candidate)));
        let next = scored.max_by_key(rank)?;
        if next.1 < best + if chosen.is_empty() { f64::MIN_POSITIVE } else { 0.003 } {
            break;
        }
        best = next.1;
        taken.iter_mut().zip(next.0.1).for_each(|(before, now)| *before &= *now);
        chosen.push(*next.0);
    }
    chosen.sort_by_key(|(candidate, _)| candidate.cost);
    (!chosen.is_empty()).then(|| chosen.into_iter().map(|(candidate, _)| candidate.condition.clone()).collect())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1")]
fn whole(f1: f64) -> u32 {
    (f1 * 200.0) as u32
}

/// The harmonic mean of precision and recall.
fn f1(taken: &[bool], wanted: &[bool]) -> f64 {
    let count = |taken: &mut dyn Iterator<Item = bool>| taken.filter(|is| *is).count() as u64;
    let right = count(&mut taken.iter().zip(wanted).map(|(taken, wanted)| *taken && *wanted));
    let all = count(&mut taken.iter().copied()) + count(&mut wanted.iter().copied());
    share(2 * right, all)
}

/// A rule as a job has it.
pub fn rule_toml(name: &str, when: &[Condition], to: &str) -> String {
    let name = Value::from(name);
    match when {
        [one] => format!("[[rule]]\nname = {name}\nwhen = [{}]\nto = \"{to}\"\n", condition_toml(one)),
        several => {
            let lines: Vec<String> =
                several.iter().map(|condition| format!("  {},\n", condition_toml(condition))).collect();
            format!("[[rule]]\nname = {name}\nwhen = [\n{}]\nto = \"{to}\"\n", lines.concat())
        }
    }
}
