//! From records to groups. Pure, and independent of the order of the messages: everything is counted over all of them before
//! anything is decided.
//!
//! What names an error (class, code, function) and the template of its message are a message's *identity*; messages of one
//! identity are a group. A name that few messages share, or a place whose names vary like an identifier, is left out of it. A
//! message in which nothing is about an error has an identity by its envelope, its event, its shape and its origin.

use std::collections::{BTreeMap, HashMap};

use crate::hash::below;
use crate::record::Record;
use crate::roles::Role;
use crate::template::templates;

/// Groups that are told apart, besides the one of all others.
pub(crate) const MOST_GROUPS: usize = 29;

/// Identities that smaller ones are compared with.
const MOST_IDENTITIES: usize = 512;

/// Shapes that others are compared with.
const MOST_SHAPES: usize = 64;

/// What makes up an identity that is about no error. Places have other numbers but by a freak of chance.
pub(crate) const ENVELOPE: u32 = 1;
pub(crate) const ORIGIN: u32 = 2;
pub(crate) const SHAPE: u32 = 3;
pub(crate) const BY_HAND: u32 = 4;

/// Where something was found, and which name or template it is.
pub(crate) type Label = (u32, u32);

/// Messages of one identity.
#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) labels: Vec<Label>,
    /// Positions of its records.
    pub(crate) records: Vec<usize>,
}

/// The groups, the largest first, and the positions of all records that are in none.
pub(crate) fn group(records: &[Record]) -> (Vec<Members>, Vec<usize>) {
    let identities = if records.first().is_some_and(|record| record.by_hand.is_some()) {
        records.iter().map(|record| vec![(BY_HAND, record.by_hand.unwrap_or(0))]).collect()
    } else {
        identities(records)
    };
    let mut groups: BTreeMap<&[Label], Vec<usize>> = BTreeMap::new();
    for (position, identity) in identities.iter().enumerate() {
        groups.entry(identity).or_default().push(position);
    }
    let mut groups: Vec<Members> =
        groups.into_iter().map(|(labels, records)| Members { labels: labels.to_vec(), records }).collect();
    groups
        .sort_by(|one, other| other.records.len().cmp(&one.records.len()).then_with(|| one.labels.cmp(&other.labels)));
    // A few messages of a kind are worth a line where there is room for it, and not among thousands.
    let least = if groups.len() <= MOST_GROUPS / 2 { 1 } else { (records.len() / 500).max(2) };
    let mut others = Vec::new();
    let mut listed = Vec::new();
    for members in groups {
        if members.labels.is_empty() || members.records.len() < least || listed.len() == MOST_GROUPS {
            others.extend(members.records);
        } else {
            listed.push(members);
        }
    }
    others.sort_unstable();
    (listed, others)
}

/// The least number of messages that make a name or a template more than chance.
fn floor(records: usize) -> usize {
    match records {
        0..60 => 1,
        60..700 => 2,
        _ => records * 3 / 1000,
    }
}

fn identities(records: &[Record]) -> Vec<Vec<Label>> {
    let floor = floor(records.len());
    let mut identities: Vec<Vec<Label>> = vec![Vec::new(); records.len()];
    add_names(records, floor, &mut identities);
    add_templates(records, floor, &mut identities);
    add_shapes(records, floor, &mut identities);
    for identity in &mut identities {
        identity.sort_unstable();
        identity.dedup();
    }
    complete(&mut identities);
    identities
}

/// Whether a name of this role is looked at in a message.
fn counts(record: &Record, role: Role) -> bool {
    record.tells != (role == Role::Event)
}

fn add_names(records: &[Record], floor: usize, identities: &mut [Vec<Label>]) {
    let mut values: HashMap<(u32, Role), HashMap<u32, usize>> = HashMap::new();
    for record in records {
        for (place, role, value) in record.words.iter().filter(|(_, role, _)| counts(record, *role)) {
            *values.entry((*place, *role)).or_default().entry(*value).or_default() += 1;
        }
    }
    values.retain(|(_, role), values| {
        let all: usize = values.values().sum();
        let frequent = values.values().filter(|count| **count >= floor);
        let (kinds, frequent) = frequent.fold((0, 0), |(kinds, sum), count| (kinds + 1, sum + count));
        match role {
            Role::Type | Role::Frame => frequent * 2 >= all,
            Role::Code => frequent * 5 >= all * 4 && kinds <= 60,
            _ => frequent * 10 >= all * 9 && kinds <= 40,
        }
    });
    for (record, identity) in records.iter().zip(identities) {
        for (place, role, value) in record.words.iter().filter(|(_, role, _)| counts(record, *role)) {
            if values.get(&(*place, *role)).is_some_and(|values| values[value] >= floor) {
                identity.push((*place, *value));
            }
        }
    }
}

fn add_templates(records: &[Record], floor: usize, identities: &mut [Vec<Label>]) {
    let mut at: BTreeMap<u32, Vec<(usize, &[u32])>> = BTreeMap::new();
    for (position, record) in records.iter().enumerate() {
        for (place, words) in &record.texts {
            at.entry(*place).or_default().push((position, words));
        }
    }
    for (place, sentences) in at {
        let words: Vec<&[u32]> = sentences.iter().map(|(_, words)| *words).collect();
        for ((position, _), template) in sentences.iter().zip(templates(&words, floor)) {
            if let Some(template) = template {
                identities[*position].push((below(place, 0), template));
            }
        }
    }
}

/// What there is to tell messages apart that are about no error.
fn add_shapes(records: &[Record], floor: usize, identities: &mut [Vec<Label>]) {
    let silent: Vec<usize> = (0..records.len()).filter(|position| !records[*position].tells).collect();
    let mut support: HashMap<u32, usize> = HashMap::new();
    let mut origins: HashMap<u32, usize> = HashMap::new();
    for position in &silent {
        let record = &records[*position];
        *origins.entry(record.origin).or_default() += 1;
        for place in &record.shape {
            *support.entry(*place).or_default() += 1;
        }
    }
    let shape = |record: &Record| -> Vec<u32> {
        record.shape.iter().filter(|place| support[place] >= floor).copied().collect()
    };
    let mut shapes: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
    for position in &silent {
        *shapes.entry(shape(&records[*position])).or_default() += 1;
    }
    let mut by_count: Vec<(&Vec<u32>, usize)> = shapes.iter().map(|(shape, count)| (shape, *count)).collect();
    by_count.sort_by(|(shape, count), (other, others)| others.cmp(count).then_with(|| shape.cmp(other)));
    let mut leaders: Vec<&Vec<u32>> = Vec::new();
    let mut number: HashMap<&Vec<u32>, usize> = HashMap::new();
    for (shape, _) in by_count {
        let fit = leaders.iter().position(|leader| alike(leader, shape));
        if fit.is_none() && leaders.len() < MOST_SHAPES {
            leaders.push(shape);
        }
        number.insert(shape, fit.unwrap_or(leaders.len() - 1));
    }
    for position in &silent {
        let record = &records[*position];
        let identity = &mut identities[*position];
        identity.push((ENVELOPE, u32::from(record.envelopes)));
        identity.push((SHAPE, u32::try_from(number[&shape(record)]).unwrap_or(u32::MAX)));
    }
    // Only if nothing else tells them apart: each group lists its sources in any case.
    let are_alike = silent.windows(2).all(|pair| identities[pair[0]] == identities[pair[1]]);
    for position in silent.iter().filter(|_| are_alike) {
        if origins[&records[*position].origin] >= floor {
            identities[*position].push((ORIGIN, records[*position].origin));
        }
    }
}

/// Whether two shapes have more than half of their places in common.
fn alike(one: &[u32], other: &[u32]) -> bool {
    let common = one.iter().filter(|place| other.binary_search(place).is_ok()).count();
    let all = one.len() + other.len() - common;
    common * 2 > all || all == 0
}

/// A message that lacks something that others of its kind have (an optional code, a template too rare to be one) joins them,
/// if all that have what it has are of one kind.
fn complete(identities: &mut [Vec<Label>]) {
    let mut counts: BTreeMap<&[Label], usize> = BTreeMap::new();
    for identity in identities.iter() {
        *counts.entry(identity).or_default() += 1;
    }
    let mut known: Vec<(&[Label], usize)> = counts.into_iter().collect();
    known.sort_by(|(one, count), (other, others)| others.cmp(count).then_with(|| one.cmp(other)));
    let all: Vec<&[Label]> = known.iter().map(|(identity, _)| *identity).collect();
    let mut becomes: BTreeMap<Vec<Label>, Vec<Label>> = BTreeMap::new();
    for identity in all.iter().filter(|identity| !identity.is_empty()) {
        let holds =
            |other: &&&[Label]| other.len() > identity.len() && identity.iter().all(|label| other.contains(label));
        let larger: Vec<&&[Label]> = all.iter().take(MOST_IDENTITIES).filter(holds).collect();
        let Some(largest) = larger.iter().max_by_key(|other| other.len()) else { continue };
        if larger.iter().all(|other| other.iter().all(|label| largest.contains(label))) {
            becomes.insert(identity.to_vec(), largest.to_vec());
        }
    }
    for identity in identities {
        if let Some(larger) = becomes.get(identity) {
            identity.clone_from(larger);
        }
    }
}
