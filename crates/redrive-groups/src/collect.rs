//! Taking messages in, and what comes out when all are there.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use jiff::Timestamp;
use redrive_protocol::message::{Message, MessageId};
use redrive_rules::rule::Finder;

use crate::describe::{Fact, LAST, MOST_DESCRIBED, Rank, Variation, facts, name, varies};
use crate::drawn::Drawn;
use crate::envelope::Envelope;
use crate::group::{ENVELOPE, Members, group};
use crate::hash::{hash, wide};
use crate::record::Record;
use crate::secret::veiled;
use crate::split::{Split, splits};
use crate::suggest::{Suggestion, suggest};

/// Messages that are grouped; of more, as many are drawn.
pub const MOST_RECORDS: usize = 131_072;

/// Bytes of messages that are kept whole, for examples and to try rules on.
pub const ROOM_FOR_BODIES: usize = 40 << 20;

/// What a message weighs in memory beside its body and attributes.
const OVERHEAD: usize = 1024;

/// Queues that messages came from, by name.
const MOST_SOURCES: usize = 1000;

/// Takes messages in.
pub struct Collector {
    by: Option<Finder>,
    redact: Vec<String>,
    looked: u64,
    bytes: u64,
    records: Drawn<Record>,
    kept: Drawn<Message>,
    sources: BTreeMap<u32, String>,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("looked", &self.looked).finish_non_exhaustive()
    }
}

impl Default for Collector {
    fn default() -> Self {
        Self::new(None, Vec::new())
    }
}

impl Collector {
    /// Groups by what went wrong, or by hand: by what this finds in each message. What is at these paths of bodies, and in
    /// attributes of these names, is in no name of a group, in no rule and in nothing else that is said of it.
    pub fn new(by: Option<Finder>, redact: Vec<String>) -> Self {
        Self {
            by,
            redact,
            looked: 0,
            bytes: 0,
            records: Drawn::new(MOST_RECORDS),
            kept: Drawn::new(ROOM_FOR_BODIES),
            sources: BTreeMap::new(),
        }
    }

    /// Takes a message in, and the number of the receive that brought it.
    pub fn take(&mut self, message: Message, receive: u64) {
        self.looked += 1;
        let size = message.size();
        self.bytes += size as u64;
        let draw = wide(message.id.as_str());
        self.records.offer(draw, 1, || Record::of(&message, receive, self.by.as_ref()));
        if let Some(arn) = message.system.dead_letter_queue_source_arn() {
            self.sources.entry(hash(arn)).or_insert_with(|| arn.to_owned());
            while self.sources.len() > MOST_SOURCES {
                self.sources.pop_last();
            }
        }
        self.kept.offer(draw, size + message.shown().len().saturating_sub(message.body.len()) + OVERHEAD, || message);
    }

    /// The groups, now that all messages are in. Ages in rules count from `now`.
    pub fn finish(self, now: Timestamp) -> Finding {
        let records: Vec<Record> = self.records.into_sorted().into_iter().map(|(_, record)| record).collect();
        let (members, others) = group(&records);
        let mut of_record: Vec<Option<usize>> = vec![None; records.len()];
        for (number, members) in members.iter().enumerate() {
            for position in &members.records {
                of_record[*position] = Some(number);
            }
        }
        let by_draw: HashMap<u64, Option<usize>> =
            records.iter().zip(&of_record).map(|(record, group)| (record.draw, *group)).collect();
        let kept: Vec<(Message, Option<usize>)> = self
            .kept
            .into_sorted()
            .into_iter()
            .filter_map(|(draw, message)| Some((message, *by_draw.get(&draw)?)))
            .collect();
        let mut groups: Vec<Group> = Vec::with_capacity(members.len());
        for (number, members) in members.iter().enumerate() {
            let of_group: Vec<&Message> =
                kept.iter().filter(|(_, group)| *group == Some(number)).map(|(message, _)| message).collect();
            groups.push(assemble(members, &records, &of_group, &self.sources, self.by.as_ref(), &self.redact));
        }
        for (group, rule) in groups.iter_mut().zip(suggest(&kept, &members, self.by.as_ref(), &self.redact, now)) {
            group.rule = rule;
        }
        let rest = Members { labels: Vec::new(), records: others };
        let of_rest: Vec<&Message> =
            kept.iter().filter(|(_, group)| group.is_none()).map(|(message, _)| message).collect();
        let others = (!rest.records.is_empty()).then(|| {
            let rest = assemble(&rest, &records, &of_rest, &self.sources, None, &self.redact);
            Group { name: "other".to_owned(), facts: Vec::new(), ..rest }
        });
        let splits = order_facts(&mut groups, &members);
        distinct(&mut groups);
        let sightings = records
            .iter()
            .zip(&of_record)
            .map(|(record, group)| Sighting { receive: record.receive, sent: record.sent.unwrap_or(0), group: *group })
            .collect();
        let kept = kept.len() as u64;
        Finding { looked: self.looked, bytes: self.bytes, kept, groups, splits, others, sightings, by_draw }
    }
}

/// What was found.
#[derive(Debug)]
pub struct Finding {
    /// Messages that were taken in.
    pub looked: u64,
    /// Their bytes, as SQS counts them.
    pub bytes: u64,
    /// Messages that rules were tried on.
    pub kept: u64,
    /// The groups, the largest first.
    pub groups: Vec<Group>,
    /// What tells them apart, the split that explains most first.
    pub splits: Vec<Split>,
    /// All that are in none.
    pub others: Option<Group>,
    /// Each grouped message: what tells whether a sample is of one piece.
    pub sightings: Vec<Sighting>,
    by_draw: HashMap<u64, Option<usize>>,
}

impl Finding {
    /// The position of the group that a message is in; `None` if it is among the others or was not grouped.
    pub fn group_of(&self, id: &MessageId) -> Option<usize> {
        self.by_draw.get(&wide(id.as_str())).copied().flatten()
    }

    /// Messages that were grouped; fewer than were taken in where there were more than [`MOST_RECORDS`].
    pub fn grouped(&self) -> u64 {
        self.sightings.len() as u64
    }
}

/// A message of the sample.
#[derive(Debug, Clone, Copy)]
pub struct Sighting {
    /// The receive that brought it.
    pub receive: u64,
    /// When it was sent, in milliseconds.
    pub sent: i64,
    /// The group it is in.
    pub group: Option<usize>,
}

/// Messages that failed in the same way.
#[derive(Debug)]
pub struct Group {
    /// A name for it, of at most some dozen letters; no two groups have the same.
    pub name: String,
    /// What its messages have in common, in the order of the splits.
    pub facts: Vec<Fact>,
    /// How many there are.
    pub messages: u64,
    /// When they were sent, in milliseconds, the oldest first.
    pub sent: Vec<i64>,
    /// How often they were received.
    pub receives: Spread,
    /// Their sizes in bytes.
    pub sizes: Spread,
    /// The queues they came from, and how many; `None` for messages that name none, and for queues beyond the first thousand.
    pub sources: Vec<(Option<String>, u64)>,
    /// What is around most of them.
    pub envelopes: Vec<Envelope>,
    /// One of them, whole.
    pub example: Option<Message>,
    /// What differs between them.
    pub varies: Vec<Variation>,
    /// The rule that takes them.
    pub rule: Option<Suggestion>,
}

/// The least, the middle and the greatest of some numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// The least.
    pub least: u32,
    /// The one in the middle.
    pub middle: u32,
    /// The greatest.
    pub most: u32,
}

impl Spread {
    fn of(numbers: impl Iterator<Item = u32>) -> Self {
        let mut numbers: Vec<u32> = numbers.collect();
        numbers.sort_unstable();
        let at = |position: usize| numbers.get(position).copied().unwrap_or(0);
        Self { least: at(0), middle: at(numbers.len() / 2), most: at(numbers.len().saturating_sub(1)) }
    }
}

fn assemble(
    members: &Members,
    records: &[Record],
    kept: &[&Message],
    sources: &BTreeMap<u32, String>,
    by: Option<&Finder>,
    redact: &[String],
) -> Group {
    let of_group = || members.records.iter().map(|position| &records[*position]);
    let mut sent: Vec<i64> = of_group().filter_map(|record| record.sent).collect();
    sent.sort_unstable();
    let mut from: BTreeMap<Option<&String>, u64> = BTreeMap::new();
    let mut envelopes: BTreeMap<Envelope, usize> = BTreeMap::new();
    for record in of_group() {
        *from.entry(sources.get(&record.origin)).or_default() += 1;
        for envelope in Envelope::ALL.into_iter().filter(|envelope| record.envelopes & envelope.bit() != 0) {
            *envelopes.entry(envelope).or_default() += 1;
        }
    }
    let mut sources: Vec<(Option<String>, u64)> = from.into_iter().map(|(arn, count)| (arn.cloned(), count)).collect();
    sources.sort_by(|(arn, count), (other, others)| others.cmp(count).then_with(|| arn.cmp(other)));
    envelopes.retain(|_, count| *count * 2 >= members.records.len());
    let example = kept.first().map(|message| (*message).clone());
    let kept: Vec<Cow<'_, Message>> = kept.iter().take(MOST_DESCRIBED).map(|message| veiled(message, redact)).collect();
    let kept: Vec<&Message> = kept.iter().map(AsRef::as_ref).collect();
    let facts = facts(members, &kept, by);
    Group {
        name: name(&facts, &kept),
        messages: members.records.len() as u64,
        sent,
        receives: Spread::of(of_group().map(|record| record.receives)),
        sizes: Spread::of(of_group().map(|record| record.size)),
        sources,
        envelopes: envelopes.into_keys().collect(),
        example,
        varies: varies(&kept, &facts),
        rule: None,
        facts,
    }
}

/// Puts what each group has in common in the order of what tells the groups apart, and gives that order.
fn order_facts(groups: &mut [Group], members: &[Members]) -> Vec<Split> {
    let mut places: HashMap<u32, String> = HashMap::from([(ENVELOPE, "form".to_owned())]);
    let mut ranks: HashMap<String, Rank> = HashMap::from([("form".to_owned(), LAST)]);
    for fact in groups.iter().flat_map(|group| &group.facts) {
        places.insert(fact.at, fact.place.clone());
        let rank = ranks.entry(fact.place.clone()).or_insert_with(|| fact.rank());
        *rank = fact.rank().min(*rank);
    }
    let found = splits(members, |place| places.get(&place).map(|name| (ranks.get(name), name.as_str())));
    let position = |fact: &Fact| found.iter().position(|((_, name), _)| *name == fact.place).unwrap_or(found.len());
    for group in groups {
        group.facts.sort_by_key(position);
    }
    found.into_iter().map(|((_, name), explains)| Split { place: name.to_owned(), explains }).collect()
}

/// Groups of one name get numbers.
fn distinct(groups: &mut [Group]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for group in groups {
        let times = seen.entry(group.name.clone()).or_default();
        *times += 1;
        if *times > 1 {
            group.name = format!("{} ({times})", group.name);
        }
    }
}
