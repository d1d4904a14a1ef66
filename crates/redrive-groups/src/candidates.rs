//! Conditions that may take the messages of a group, made from what some of them have in common. Whether they do, `suggest` asks.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use redrive_protocol::message::Message;
use redrive_rules::job::{Condition, MessageFact};
use redrive_rules::rule::{condition_toml, is_json};
use serde_json::Value;

use crate::describe::Template;
use crate::place::{OwnedPlace, OwnedStep, Subject, quoted};
use crate::record::Named;
use crate::roles::Role;
use crate::secret;

/// A condition that may take a group, and how much there is to read in it.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) condition: Condition,
    pub(crate) cost: usize,
}

/// What may take messages like these.
pub(crate) fn candidates(messages: &[&Message]) -> Vec<Candidate> {
    let named: Vec<Named> = messages.iter().map(|message| Named::of(message)).collect();
    let mut found = Vec::new();
    let mut words: BTreeMap<&OwnedPlace, (Role, BTreeSet<&str>)> = BTreeMap::new();
    let mut texts: BTreeMap<&OwnedPlace, Vec<&str>> = BTreeMap::new();
    let mut places: BTreeMap<&OwnedPlace, usize> = BTreeMap::new();
    for named in &named {
        for (place, role, value) in &named.words {
            words.entry(place).or_insert((*role, BTreeSet::new())).1.insert(value);
        }
        for (place, _, text) in &named.texts {
            texts.entry(place).or_default().push(text);
        }
        for place in named.places.iter().collect::<BTreeSet<_>>() {
            *places.entry(place).or_default() += 1;
        }
    }
    // What is there by the way tells a group apart as well, and may not tomorrow.
    let tells = named
        .iter()
        .any(|named| named.words.iter().any(|(_, role, _)| *role != Role::Event) || !named.texts.is_empty());
    for (place, (role, values)) in words {
        let values: Vec<&str> = values.into_iter().collect();
        let by_the_way = tells && role == Role::Event;
        let cost = match role {
            _ if by_the_way => 60,
            Role::Code if values.iter().all(|value| number(value).is_some()) => 26,
            Role::Code => 11,
            Role::Frame => 14,
            _ => 10,
        };
        of_names(place, &values, cost, &mut found);
    }
    for (place, texts) in texts {
        of_sentences(place, &Template::of(&texts), &mut found);
    }
    for (place, _) in places.into_iter().filter(|(_, count)| *count == messages.len()) {
        of_places(place, if tells { 70 } else { 15 }, &mut found);
    }
    of_bodies(messages, if tells { 70 } else { 18 }, &mut found);
    found
}

impl Candidate {
    /// A rule is read by people and kept in git: nothing secret belongs into one, and nothing that nobody sees.
    pub(crate) fn may_be_written(&self) -> bool {
        let written = condition_toml(&self.condition);
        matches!(secret::hide(&written), Cow::Borrowed(_)) && written.len() < 400 && !written.contains(is_hidden)
    }
}

/// What nobody sees who reads a job, or what turns the direction of writing.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn of_names(place: &OwnedPlace, values: &[&str], cost: usize, found: &mut Vec<Candidate>) {
    if values.len() > 5 || values.iter().any(|value| value.is_empty()) {
        return;
    }
    if let ([value], true) = (values, place.is_in_base64()) {
        found.extend(in_base64(&if place.is_part() { (*value).to_owned() } else { quoted(value) }, cost));
    }
    if place.is_part() {
        if let [value] = values {
            containing(place, value, cost, found);
        }
        return;
    }
    let cost = cost + place.steps.len() / 2;
    let mut add = |more: usize, condition: Condition| {
        found.push(Candidate { condition, cost: cost + more + 2 * (values.len() - 1) });
    };
    match place.subject() {
        Subject::Attribute(name) => {
            add(0, test(Condition { attribute: Some(name), ..Condition::default() }, values, false));
        }
        Subject::Path(path) => {
            let subject = Condition { body: Some(path), ..Condition::default() };
            add(0, test(subject.clone(), values, false));
            if values.iter().all(|value| number(value).is_some()) {
                add(0, test(subject, values, true));
            }
        }
        Subject::Jq(program) => {
            let equal = values.iter().map(|value| format!(". == {}", quoted(value))).collect::<Vec<_>>().join(" or ");
            let code = format!("any({program}; {equal})");
            add(40, Condition { jq: Some(code), ..Condition::default() });
            if let ([value], true) = (values, values[0].len() > 3) {
                containing(place, value, cost, found);
            }
        }
        Subject::Text => {}
    }
}

fn test(mut condition: Condition, values: &[&str], as_numbers: bool) -> Condition {
    let value = |text: &&str| if as_numbers { number(text).unwrap_or_default() } else { Value::from(*text) };
    match values {
        [one] => condition.equals = Some(value(one)),
        several => condition.any_of = Some(several.iter().map(value).collect()),
    }
    condition
}

fn number(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(Value::is_number)
}

fn of_sentences(place: &OwnedPlace, template: &Template, found: &mut Vec<Candidate>) {
    let mut parts: Vec<&String> = template.parts.iter().filter(|part| part.len() >= 4).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    for part in parts.into_iter().take(3) {
        containing(place, part, 16, found);
        if place.is_in_base64() {
            found.extend(in_base64(part, 16));
        }
    }
    if let (true, Some(first)) =
        (template.from_start && !place.is_part(), template.parts.first().filter(|part| part.len() >= 8))
    {
        let subject = match place.subject() {
            Subject::Attribute(name) => Condition { attribute: Some(name), ..Condition::default() },
            Subject::Path(path) => Condition { body: Some(path), ..Condition::default() },
            Subject::Jq(_) | Subject::Text => return,
        };
        found.push(Candidate { condition: Condition { prefix: Some(first.clone()), ..subject }, cost: 18 });
    }
}

/// Text at a place, or in what the place is a part of.
fn containing(place: &OwnedPlace, part: &str, cost: usize, found: &mut Vec<Candidate>) {
    let contains = Some(part.to_owned());
    let steps = &place.steps
        [..place.steps.iter().position(|step| matches!(step, OwnedStep::Json)).unwrap_or(place.steps.len())];
    let outer = OwnedPlace { steps: steps.to_vec(), hash: 0 };
    // Within text that is JSON, quotes and backslashes are written otherwise.
    let is_plain = steps.len() == place.steps.len() || !part.contains(['"', '\\', '\n']);
    let cost = cost + part.len() / 20;
    match outer.subject() {
        Subject::Attribute(name) => {
            found.push(Candidate {
                condition: Condition { attribute: Some(name), contains, ..Condition::default() },
                cost: cost + 4,
            });
        }
        Subject::Path(path) if is_plain && path != "$" => {
            found.push(Candidate {
                condition: Condition { body: Some(path), contains, ..Condition::default() },
                cost: cost + 4,
            });
        }
        Subject::Text if is_plain => {
            let message = Some(MessageFact::Text);
            found
                .push(Candidate { condition: Condition { message, contains, ..Condition::default() }, cost: cost + 8 });
        }
        _ => {}
    }
    if let Subject::Jq(program) = place.subject() {
        let code = format!("any({program} | strings; contains({}))", quoted(part));
        found.push(Candidate { condition: Condition { jq: Some(code), ..Condition::default() }, cost: cost + 40 });
    }
}

/// A piece of JSON in a body that is Base64: as Base64 writes it, which depends on where among three bytes it begins. `None` if it
/// is short, or may be written with escapes.
fn in_base64(piece: &str, cost: usize) -> Option<Candidate> {
    let inner = piece.trim_matches('"');
    if piece.len() < 6 || !inner.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\/".contains(&byte)) {
        return None;
    }
    let form = |before: usize| {
        let bytes = [&[0_u8; 2][..before], piece.as_bytes()].concat();
        let written = BASE64_STANDARD_NO_PAD.encode(&bytes);
        // A letter is six bits; only those that are of the piece alone are the same wherever it stands.
        let own = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
        regex::escape(&written[own])
    };
    let regex = Some(format!("{}|{}|{}", form(0), form(1), form(2)));
    let condition = Condition { message: Some(MessageFact::Text), regex, ..Condition::default() };
    Some(Candidate { condition, cost: cost + 20 })
}

fn of_places(place: &OwnedPlace, cost: usize, found: &mut Vec<Candidate>) {
    let exists = Some(true);
    let depth = place.steps.len();
    match place.subject() {
        Subject::Attribute(name) => {
            found.push(Candidate {
                condition: Condition { attribute: Some(name), exists, ..Condition::default() },
                cost,
            });
        }
        Subject::Path(path) => {
            found.push(Candidate {
                condition: Condition { body: Some(path), exists, ..Condition::default() },
                cost: cost + depth,
            });
        }
        Subject::Jq(_) | Subject::Text => {}
    }
}

/// What can be said of bodies as a whole.
fn of_bodies(messages: &[&Message], cost: usize, found: &mut Vec<Candidate>) {
    let Some(first) = messages.first() else { return };
    let origins: BTreeSet<_> = messages.iter().map(|message| message.system.dead_letter_queue_source_arn()).collect();
    if let (1, Some(arn)) = (origins.len(), origins.first().copied().flatten()) {
        let system = Some("DeadLetterQueueSourceArn".to_owned());
        let equals = Some(Value::from(arn));
        found.push(Candidate { condition: Condition { system, equals, ..Condition::default() }, cost: cost + 2 });
    }
    let common = messages.iter().fold(first.body.as_str(), |common, message| {
        let same = common.bytes().zip(message.body.bytes()).take_while(|(one, other)| one == other).count();
        &common[..common.floor_char_boundary(same)]
    });
    let common = crate::bounded(common.lines().next().unwrap_or_default(), 80);
    if common.len() >= 8 && messages.len() > 1 {
        let (message, prefix) = (Some(MessageFact::Text), Some(common.to_owned()));
        found.push(Candidate { condition: Condition { message, prefix, ..Condition::default() }, cost: 40 });
    }
    let is_one = is_json(&first.body);
    for start in
        ["{", "["].into_iter().filter(|start| !is_one && messages.iter().all(|message| message.body.starts_with(start)))
    {
        let (message, prefix) = (Some(MessageFact::Text), Some(start.to_owned()));
        found.push(Candidate { condition: Condition { message, prefix, ..Condition::default() }, cost: 20 });
    }
    let message = Some(MessageFact::IsJson);
    let equals = Some(Value::from(is_one));
    let cost = if is_one { cost } else { 18 };
    found.push(Candidate { condition: Condition { message, equals, ..Condition::default() }, cost });
}
