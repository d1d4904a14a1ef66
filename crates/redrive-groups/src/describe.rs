//! What a group is, in words: what its messages have in common, a name for that, and what differs between them. Made from
//! messages that were kept; what looks like a secret is hidden.

use std::collections::{BTreeMap, BTreeSet};

use redrive_protocol::message::Message;
use redrive_rules::rule::{Finder, Node, REDACTED, parse_json};

use crate::group::{BY_HAND, Label, Members, ORIGIN, SHAPE};
use crate::hash::below;
use crate::mask::{self, WILD};
use crate::place::{OwnedPlace, OwnedStep, Place, Step, Subject};
use crate::record::{Named, word};
use crate::roles::Role;
use crate::{bounded, secret};

/// Messages that are looked at to see what varies in a group, and fewer of them to see what it has in common.
pub(crate) const MOST_DESCRIBED: usize = 300;
const LOOKED_AT: usize = 40;

/// What is shown of each.
const MOST_SHOWN: usize = 6;
const MOST_VALUES: usize = 3;
const MOST_DISTINCT: usize = 50;
const LONGEST_VALUE: usize = 160;
const LONGEST_NAME: usize = 64;

/// What all messages of a group have at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Where: a path, or an attribute.
    pub place: String,
    /// What.
    pub value: String,
    role: Option<Role>,
    /// The place as identities have it.
    pub(crate) at: u32,
}

impl Fact {
    /// Whether the caller has it hidden.
    pub fn is_redacted(&self) -> bool {
        self.value == REDACTED
    }

    /// How it ranks among others: what stands at the top says what the rest is about.
    pub(crate) fn rank(&self) -> Rank {
        (self.role.is_none(), self.role, self.place.matches('.').count())
    }
}

/// What ranks lower comes first.
pub(crate) type Rank = (bool, Option<Role>, usize);

/// Behind all facts.
pub(crate) const LAST: Rank = (true, None, usize::MAX);

/// What differs between the messages of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variation {
    /// Where: a path, or an attribute.
    pub place: String,
    /// How many values were seen, up to some dozens.
    pub distinct: usize,
    /// The most frequent ones, and how many messages have each.
    pub values: Vec<(String, u64)>,
    /// How many messages were looked at.
    pub messages: u64,
}

/// What the messages of a group have in common.
pub(crate) fn facts(members: &Members, kept: &[&Message], by: Option<&Finder>) -> Vec<Fact> {
    let named: Vec<Named> = kept.iter().take(LOOKED_AT).map(|message| Named::of(message)).collect();
    let mut facts: Vec<Fact> = members.labels.iter().filter_map(|label| fact(*label, kept, &named, by)).collect();
    facts.sort_by_cached_key(|fact| (fact.rank(), fact.place.clone()));
    facts.dedup_by(|next, before| next.value == before.value && next.value != REDACTED);
    facts
}

fn fact((place, label): Label, kept: &[&Message], named: &[Named], by: Option<&Finder>) -> Option<Fact> {
    match place {
        BY_HAND => {
            let value = by.zip(kept.first()).and_then(|(by, message)| by.find(message));
            let value = value.map_or_else(|| "nothing there".to_owned(), |value| shown(&value));
            return Some(Fact { place: by?.written().to_owned(), value, role: None, at: place });
        }
        ORIGIN => {
            let arn = kept.first()?.system.dead_letter_queue_source_arn().unwrap_or("none");
            let origin = "DeadLetterQueueSourceArn".to_owned();
            return Some(Fact { place: origin, value: arn.to_owned(), role: None, at: place });
        }
        SHAPE => {
            let Some(Node::Object(members)) = parse_json(kept.first()?.meant()?) else { return None };
            let keys: Vec<&str> = members.iter().take(8).map(|(key, _)| &**key).collect();
            return Some(Fact { place: "members".to_owned(), value: shown(&keys.join(", ")), role: None, at: place });
        }
        _ => {}
    }
    // What is hidden says neither which class of error it is nor which sentence.
    let mut texts = named.iter().flat_map(|named| &named.texts);
    let is_here = |at: &OwnedPlace| at.hash == place || below(at.hash, 0) == place;
    if let Some((at, role, _)) = texts.find(|(at, _, text)| is_here(at) && text == REDACTED) {
        return Some(Fact { place: at.shown(), value: REDACTED.to_owned(), role: Some(*role), at: place });
    }
    let name =
        named.iter().flat_map(|named| &named.words).find(|(at, _, value)| at.hash == place && word(value) == label);
    if let Some((at, role, value)) = name {
        return Some(Fact { place: at.shown(), value: shown(value), role: Some(*role), at: place });
    }
    let at_place = |named: &Named| named.texts.iter().find(|(at, ..)| below(at.hash, 0) == place).cloned();
    let texts: Vec<_> = named.iter().filter_map(at_place).collect();
    let (at, role, _) = texts.first()?;
    let texts: Vec<&str> = texts.iter().map(|(_, _, text)| text.as_str()).collect();
    let template = Template::of(&texts);
    Some(Fact { place: at.shown(), value: shown(&template.shown()), role: Some(*role), at: place })
}

/// Text without secrets, and not too long.
fn shown(text: &str) -> String {
    let hidden = secret::hide(text);
    let cut = bounded(&hidden, LONGEST_VALUE);
    if cut.len() < hidden.len() { format!("{cut}…") } else { cut.to_owned() }
}

/// What sentences have in common.
#[derive(Debug, Default)]
pub(crate) struct Template {
    /// The parts that are the same in all, in order, as they are written in the first.
    pub(crate) parts: Vec<String>,
    /// Whether the first part is the start of all.
    pub(crate) from_start: bool,
    /// Whether something comes behind the last part.
    open: bool,
}

impl Template {
    /// Of these sentences; those that have another number of words than the first are left out.
    pub(crate) fn of(texts: &[&str]) -> Self {
        let Some(first) = texts.first() else { return Self::default() };
        let words = mask::words(first);
        let mut same: Vec<bool> = words.iter().map(|word| word.hash != WILD).collect();
        for text in &texts[1..] {
            let others = mask::words(text);
            if others.len() == words.len() {
                for ((same, word), other) in same.iter_mut().zip(&words).zip(&others) {
                    *same &= word.hash == other.hash;
                }
            }
        }
        let mut template =
            Self { from_start: same.first() == Some(&true) && words[0].at.start == 0, ..Self::default() };
        let mut at = 0;
        while at < words.len() {
            let end = at + same[at..].iter().take_while(|same| **same).count();
            if end > at {
                template.parts.push(first[words[at].at.start..words[end - 1].at.end].to_owned());
            }
            at = end.max(at + 1);
        }
        template.open = same.last() == Some(&false);
        template
    }

    /// For people.
    fn shown(&self) -> String {
        if self.parts.is_empty() {
            return "varies".to_owned();
        }
        let start = if self.from_start { "" } else { "… " };
        format!("{start}{}{}", self.parts.join(" … "), if self.open { " …" } else { "" })
    }
}

/// A name for a group of these facts.
pub(crate) fn name(facts: &[Fact], kept: &[&Message]) -> String {
    let of = |role: Role| facts.iter().find(|fact| fact.role == Some(role)).map(|fact| fact.value.as_str());
    let class =
        of(Role::Type).map(|class| if class.contains('/') { class } else { class.rsplit('.').next().unwrap_or(class) });
    let says = of(Role::Message).or(of(Role::Plain)).filter(|text| *text != "varies");
    let name = match (class.or(of(Role::Code)), says) {
        (Some(class), Some(says)) if says.starts_with(class) => says.to_owned(),
        (Some(class), Some(says)) => {
            // The class is said once.
            let says =
                says.split_once(": ").filter(|(before, _)| before.ends_with(class)).map_or(says, |(_, says)| says);
            format!("{class}: {says}")
        }
        (Some(class), None) => class.to_owned(),
        (None, Some(says)) => says.to_owned(),
        (None, None) => match of(Role::Event).or(of(Role::Plain)).or(facts.first().map(|fact| fact.value.as_str())) {
            Some("varies") => "texts without a common form".to_owned(),
            Some(other) => other.to_owned(),
            None if kept.first().is_some_and(|message| parse_json(&message.body).is_none()) => "not JSON".to_owned(),
            None => "without an error".to_owned(),
        },
    };
    // It goes into job files: nothing in it is hidden, or turns the direction of writing.
    let is_seen =
        |letter: &char| letter.is_alphanumeric() || letter.is_ascii_graphic() || matches!(letter, ' ' | '…' | '–');
    let name: String =
        name.chars().map(|letter| if letter.is_whitespace() { ' ' } else { letter }).filter(is_seen).collect();
    let name: String = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = bounded(&name, LONGEST_NAME);
    if cut.len() < name.len() { format!("{}…", cut.trim_end()) } else { name }
}

/// What differs between these messages: the places where few values stand come first.
pub(crate) fn varies(kept: &[&Message], facts: &[Fact]) -> Vec<Variation> {
    let mut found: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for message in kept {
        // What stands in several elements of one message is one value of it.
        let mut of_message: BTreeSet<(String, String)> = BTreeSet::new();
        let mut note = |place: &Place<'_>, value: &str| {
            of_message.insert((place.owned().shown(), bounded(value, LONGEST_VALUE).to_owned()));
        };
        for (name, attribute) in &message.attributes {
            note(&Place::attribute(name), attribute.text().unwrap_or("binary"));
        }
        if let Some(root) = message.meant().and_then(parse_json) {
            scalars(&Place::body(), &root, 0, &mut note);
        }
        for (place, value) in of_message {
            let values = found.entry(place).or_default();
            if values.len() < MOST_DISTINCT || values.contains_key(&value) {
                *values.entry(value).or_default() += 1;
            }
        }
    }
    let mut varying: Vec<Variation> = found
        .into_iter()
        .filter(|(place, values)| {
            let all: u64 = values.values().sum();
            // Neither what is always the same, nor what is never the same, nor what is seldom there.
            values.len() > 1
                && values.len() * 3 < kept.len().max(7)
                && all * 2 >= kept.len() as u64
                && !facts.iter().any(|fact| fact.place == *place)
        })
        .map(|(place, values)| {
            let distinct = values.len();
            let mut values: Vec<(String, u64)> =
                values.into_iter().map(|(value, count)| (shown(&value), count)).collect();
            values.sort_by(|(value, count), (other, others)| others.cmp(count).then_with(|| value.cmp(other)));
            values.truncate(MOST_VALUES);
            Variation { place, distinct, values, messages: kept.len() as u64 }
        })
        .collect();
    varying.sort_by(|one, other| (one.distinct, &one.place).cmp(&(other.distinct, &other.place)));
    varying.truncate(MOST_SHOWN);
    varying
}

/// Texts, numbers and words of JSON in a body, down to a few levels.
fn scalars(place: &Place<'_>, value: &Node<'_>, depth: usize, note: &mut impl FnMut(&Place<'_>, &str)) {
    match value {
        Node::Object(members) if depth < 5 => {
            for (key, member) in members.iter().take(60) {
                scalars(&place.then(Step::Key(key)), member, depth + 1, note);
            }
        }
        Node::Text(text) if text.starts_with('{') && depth < 4 => {
            if let Some(root) = parse_json(text) {
                scalars(&place.then(Step::Json), &root, depth + 1, note);
            }
        }
        Node::Text(text) => note(place, text),
        Node::Number(number) => note(place, number),
        Node::Bool(truth) => note(place, if *truth { "true" } else { "false" }),
        Node::Array(elements) if depth < 5 => {
            for element in elements.iter().take(3) {
                scalars(&place.then(Step::Element), element, depth + 1, note);
            }
        }
        Node::Object(_) | Node::Array(_) | Node::Null => {}
    }
}

/// Places where something looks like a secret: paths into the body, and names of attributes.
pub fn secret_places(message: &Message) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut paths, mut attributes) = (BTreeSet::new(), BTreeSet::new());
    let is_secret = |name: &str, value: &str| {
        let pair = format!("{name}: {}", bounded(value, 4096));
        matches!(secret::hide(&pair), std::borrow::Cow::Owned(_))
    };
    for (name, attribute) in &message.attributes {
        if attribute.text().is_some_and(|value| is_secret(name, value)) {
            attributes.insert(name.clone());
        }
    }
    if let Some(root) = message.meant().and_then(parse_json) {
        scalars(&Place::body(), &root, 0, &mut |place, value| {
            let place = place.owned();
            let name = match place.steps.last() {
                Some(OwnedStep::Key(name)) => name.as_str(),
                _ => "",
            };
            if let (true, Subject::Path(path)) = (is_secret(name, value), place.subject()) {
                paths.insert(path);
            }
        });
    }
    (paths, attributes)
}
