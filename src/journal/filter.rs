//! Which segments of the journal's indexes may know an ID: a Bloom filter for each, so that of a new message, as nearly all are,
//! no segment has to be asked. A filter may name one that does not know the ID, and never misses one that does.
//!
//! Filters are on disk; how an ID becomes bits is part of the journal's format.

use std::fmt;

use rusqlite::Connection;
use rusqlite::types::Type;

use super::entries::{Candidates, Index};
use super::prefix::{mixed, number, prefix};
use redrive_protocol::protocol::Key;

/// A segment that knows so many messages takes no more. The fewer segments there are, the faster is a look.
pub(super) const FULL: usize = 8_192;

/// Bits of a filter: sixteen for each ID of a full segment.
const BITS: usize = 16 * FULL;

/// How many of them an ID sets: so one in a thousand is taken for a known one.
const PROBES: u64 = 6;

/// How many segments are asked at once: as many as a word has bits.
const GROUP: usize = 64;

/// The filter of one segment, as it is on disk.
#[derive(Debug)]
pub(super) struct Filter(Vec<u8>);

impl Filter {
    pub(super) fn new() -> Self {
        Self(vec![0; BITS / 8])
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn add(&mut self, prefix: &[u8]) {
        for bit in places(prefix) {
            self.0[bit / 8] |= 1 << (bit % 8);
        }
    }

    fn may_have(&self, prefix: &[u8]) -> bool {
        places(prefix).all(|bit| self.0[bit / 8] & (1 << (bit % 8)) != 0)
    }
}

/// What came to rest by itself: its filters are in memory only.
struct Loose {
    /// Entries of both indexes. Of too many for a filter each ID may be one.
    entries: usize,
    filters: [Filter; 2],
}

/// The segment that what comes to rest next is added to.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) number: i64,
    pub(super) run: i64,
    /// How many messages it knows.
    pub(super) messages: usize,
    pub(super) ids: Filter,
    pub(super) sent_as: Filter,
}

/// The bits of an ID.
fn places(prefix: &[u8]) -> impl Iterator<Item = usize> {
    let mixed = mixed(number(prefix));
    let (start, step) = (mixed & 0xffff_ffff, (mixed >> 32) | 1);
    (0..PROBES).map(move |probe| usize::try_from((start + probe * step) % BITS as u64).unwrap_or_default())
}

/// Segments with their filters side by side.
struct Group {
    numbers: Vec<i64>,
    /// For each bit of a filter a word for each index, in it a bit for each segment. They are one piece of memory, since the
    /// system rounds each that is so large up to pages of two megabytes.
    words: Vec<[u64; 2]>,
}

impl Group {
    fn new() -> Self {
        Self { numbers: Vec::new(), words: vec![[0; 2]; BITS] }
    }

    fn add(&mut self, segment: usize, index: Index, filter: &[u8]) {
        for (words, byte) in self.words.chunks_exact_mut(8).zip(filter) {
            let mut left = *byte;
            while left != 0 {
                words[left.trailing_zeros() as usize][index as usize] |= 1 << segment;
                left &= left - 1;
            }
        }
    }

    /// A bit for each segment that may know an ID.
    fn with(&self, index: Index, mut places: impl Iterator<Item = usize>) -> u64 {
        let narrow = |left, place: usize| Some(left & self.words[place][index as usize]).filter(|left| *left != 0);
        places.try_fold(u64::MAX, narrow).unwrap_or_default()
    }
}

/// All segments that have anything in them.
pub(super) struct Segments {
    groups: Vec<Group>,
    loose: Loose,
    /// The newest, where it is of this session and takes more.
    pub(super) open: Option<Open>,
}

impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Segments")
    }
}

impl Segments {
    pub(super) fn new() -> Self {
        let loose = Loose { entries: 0, filters: [Filter::new(), Filter::new()] };
        Self { groups: Vec::new(), loose, open: None }
    }

    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut segments = Self::new();
        for index in Index::ALL {
            let loose = format!("SELECT prefix FROM {} LIMIT {}", index.table(), FULL + 1);
            let mut loose = connection.prepare(&loose)?;
            let mut rows = loose.query([])?;
            while let Some(row) = rows.next()? {
                segments.add_loose(index, row.get_ref(0)?.as_blob()?);
            }
        }
        let mut statement = connection.prepare("SELECT number, ids, sent_as FROM segment")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let filter = |column| {
                let bytes = row.get_ref(column)?.as_blob()?;
                let cut = || rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, "a filter was cut".into());
                if bytes.len() == BITS / 8 { Ok(bytes) } else { Err(cut()) }
            };
            segments.add(row.get(0)?, filter(1)?, filter(2)?);
        }
        Ok(segments)
    }

    /// Adds one with its filters, or to the filters of the one that was added last.
    pub(super) fn add(&mut self, number: i64, ids: &[u8], sent_as: &[u8]) {
        let is_new = self.groups.last().is_none_or(|group| group.numbers.last() != Some(&number));
        if is_new && self.groups.last().is_none_or(|group| group.numbers.len() == GROUP) {
            self.groups.push(Group::new());
        }
        if let Some(group) = self.groups.last_mut() {
            if is_new {
                group.numbers.push(number);
            }
            let segment = group.numbers.len() - 1;
            group.add(segment, Index::Ids, ids);
            group.add(segment, Index::SentAs, sent_as);
        }
    }

    /// Adds an entry that is in no segment.
    pub(super) fn add_loose(&mut self, index: Index, prefix: &[u8]) {
        self.loose.entries += 1;
        self.loose.filters[index as usize].add(prefix);
    }

    /// Those that may know this ID.
    pub(super) fn with(&self, index: Index, id: &Key) -> Candidates {
        let loose = self.loose.entries > FULL || self.loose.filters[index as usize].may_have(prefix(id));
        let mut found = Vec::new();
        for group in &self.groups {
            let segments = group.with(index, places(prefix(id)));
            let may_know = |segment: &usize| segments & (1 << segment) != 0;
            if segments != 0 {
                found.extend((0..group.numbers.len()).filter(may_know).map(|segment| group.numbers[segment]));
            }
        }
        Candidates { loose, segments: found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redrive_protocol::message::MessageId;

    /// Texts are as short as one byte, and begin alike.
    fn id(number: usize) -> Key {
        let text = if number.is_multiple_of(3) {
            format!("m{number}")
        } else {
            format!("{number:08x}-0000-4000-8000-{number:012x}")
        };
        Key::of(&MessageId::new(text))
    }

    #[test]
    fn every_segment_that_knows_an_id_is_named_and_few_that_do_not() {
        const SEGMENTS: usize = 2 * GROUP + 3;
        const IDS: usize = 300;
        let number_of = |segment: usize| i64::try_from(segment).expect("small") + 1;
        let mut segments = Segments::new();
        for segment in 0..SEGMENTS {
            let ids: Vec<Key> = (0..IDS).map(|number| id(segment * IDS + number)).collect();
            let sent_as: Vec<Key> = (0..IDS).map(|number| id((SEGMENTS + segment) * IDS + number)).collect();
            // By and by.
            for (id, sent_as) in ids.iter().zip(&sent_as) {
                let (mut ids, mut all_sent_as) = (Filter::new(), Filter::new());
                ids.add(prefix(id));
                all_sent_as.add(prefix(sent_as));
                segments.add(number_of(segment), ids.bytes(), all_sent_as.bytes());
            }
        }
        let mut by_chance = 0;
        for number in 0..SEGMENTS * IDS {
            let (knows, sent) = (number_of(number / IDS), id(SEGMENTS * IDS + number));
            for (index, id) in [(Index::Ids, id(number)), (Index::SentAs, sent)] {
                let found = segments.with(index, &id);
                assert!(found.segments.contains(&knows) && !found.loose, "{number}: {found:?}");
                by_chance += found.segments.len() - 1;
            }
        }
        assert!(by_chance < SEGMENTS * IDS / 100, "{by_chance}");
        let (loose, other) = (id(2 * SEGMENTS * IDS + 1), id(2 * SEGMENTS * IDS + 2));
        assert!(!segments.with(Index::SentAs, &loose).loose);
        segments.add_loose(Index::SentAs, prefix(&loose));
        assert!(segments.with(Index::SentAs, &loose).loose && !segments.with(Index::Ids, &loose).loose);
        (0..FULL).for_each(|_| segments.add_loose(Index::Ids, prefix(&loose)));
        assert!(segments.with(Index::Ids, &other).loose, "of too many each may be one");
    }
}
