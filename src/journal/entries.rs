//! The two indexes of messages at rest: of each ID its first eight bytes, and the number of its row. Part of the table; no logic.
//!
//! Those of messages that came to rest together, by the thousand, are in a segment: spread over buckets, each bucket's in one row
//! of `entries`. With a row for each of them the journal took a third more instructions. Those of messages that came to rest by themselves
//! are loose, each in a row of a table.

use foldhash::HashMap;
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::prefix::{mixed, number, prefix};
use redrive_protocol::protocol::Key;

/// Into how many rows the entries of what came to rest together are spread: so many that one is soon read through, and takes
/// less than a quarter of a page, which is all that the tree itself keeps of a row.
const BUCKETS: usize = 128;

/// Bytes of an entry: of an ID, and of a row's distance from the first.
const ENTRY: usize = 8 + 4;

/// One of the indexes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Index {
    /// By the IDs of messages.
    Ids,
    /// By the IDs that sends returned.
    SentAs,
}

impl Index {
    pub(super) const ALL: [Self; 2] = [Self::Ids, Self::SentAs];

    /// The table of its loose entries.
    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Ids => "by_id",
            Self::SentAs => "by_sent_as",
        }
    }

    /// The column of `rested` that it is of.
    pub(super) const fn of(self) -> &'static str {
        match self {
            Self::Ids => "id",
            Self::SentAs => "sent_as",
        }
    }

    /// Its column in `entries`, as in `segment`.
    pub(super) const fn column(self) -> &'static str {
        match self {
            Self::Ids => "ids",
            Self::SentAs => "sent_as",
        }
    }
}

/// The first bytes of IDs, each with the number of a row.
pub(super) type Entries<'a> = [(&'a [u8], i64)];

/// Adds the entries of messages that came to rest together to a segment.
pub(super) fn add(
    connection: &Connection,
    segment: i64,
    ids: &Entries<'_>,
    sent_as: &Entries<'_>,
) -> rusqlite::Result<()> {
    let Some(first) = ids.iter().map(|(_, seq)| *seq).min() else { return Ok(()) };
    let (ids, sent_as) = (spread(ids, first)?, spread(sent_as, first)?);
    let mut insert = connection
        .prepare_cached("INSERT INTO entries (segment, bucket, first, ids, sent_as) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (bucket, (ids, sent_as)) in ids.iter().zip(&sent_as).enumerate() {
        if !(ids.is_empty() && sent_as.is_empty()) {
            insert.execute(params![segment, bucket, first, ids, sent_as])?;
        }
    }
    Ok(())
}

/// The entries of each bucket, as they are on disk.
fn spread(entries: &Entries<'_>, first: i64) -> rusqlite::Result<Vec<Vec<u8>>> {
    let mut buckets = vec![Vec::new(); BUCKETS];
    for (prefix, seq) in entries {
        let (prefix, distance) = (number(prefix), seq - first);
        let distance = u32::try_from(distance).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, distance))?;
        let bucket = &mut buckets[bucket(prefix)];
        bucket.extend(prefix.to_le_bytes());
        bucket.extend(distance.to_le_bytes());
    }
    Ok(buckets)
}

/// The entries of a row that begins with its `first` and one of its indexes.
fn together<'a>(row: &'a Row<'_>) -> rusqlite::Result<impl Iterator<Item = (u64, i64)> + 'a> {
    let (first, (entries, cut)): (i64, _) = (row.get(0)?, row.get_ref(1)?.as_blob()?.as_chunks::<ENTRY>());
    if !cut.is_empty() {
        return Err(rusqlite::Error::FromSqlConversionFailure(1, Type::Blob, "an entry was cut".into()));
    }
    Ok(entries.iter().filter_map(move |entry| {
        let (prefix, distance) = entry.split_first_chunk()?;
        let distance = u32::from_le_bytes(distance.try_into().ok()?);
        Some((u64::from_le_bytes(*prefix), first.saturating_add(distance.into())))
    }))
}

/// All entries of an index that are found where they are looked for, each with its segment, or `None` where it is loose.
pub(super) fn all(connection: &Connection, index: Index) -> rusqlite::Result<HashMap<(u64, i64), Option<i64>>> {
    let mut all = HashMap::default();
    let mut loose = connection.prepare(&format!("SELECT prefix, seq FROM {}", index.table()))?;
    let mut rows = loose.query([])?;
    while let Some(row) = rows.next()? {
        all.insert((number(row.get_ref(0)?.as_blob()?), row.get(1)?), None);
    }
    let mut together =
        connection.prepare(&format!("SELECT first, {}, segment, bucket FROM entries", index.column()))?;
    let mut rows = together.query([])?;
    while let Some(row) = rows.next()? {
        let (segment, of): (_, usize) = (row.get(2)?, row.get(3)?);
        let here = self::together(row)?.filter(|(prefix, _)| bucket(*prefix) == of);
        all.extend(here.map(|entry| (entry, Some(segment))));
    }
    Ok(all)
}

fn bucket(prefix: u64) -> usize {
    usize::try_from(mixed(prefix) >> 32).unwrap_or_default() % BUCKETS
}

/// Adds an entry to those that are in no segment.
pub(super) fn add_loose(connection: &Connection, index: Index, prefix: &[u8], seq: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!("INSERT OR IGNORE INTO {} (prefix, seq) VALUES (?1, ?2)", index.table()))?
        .execute(params![prefix, seq])
        .map(drop)
}

/// Where to look for an ID.
#[derive(Debug)]
pub(super) struct Candidates {
    /// Among the loose entries.
    pub(super) loose: bool,
    /// In the segments with these numbers.
    pub(super) segments: Vec<i64>,
}

impl Candidates {
    /// Everywhere.
    pub(super) fn all(connection: &Connection) -> rusqlite::Result<Self> {
        let mut segments = connection.prepare_cached("SELECT number FROM segment")?;
        let segments = segments.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(Self { loose: true, segments })
    }

    /// Whether an entry of this segment, or a loose one, is found there.
    pub(super) fn have(&self, segment: Option<i64>) -> bool {
        segment.map_or(self.loose, |segment| self.segments.contains(&segment))
    }

    /// The numbers of the rows whose IDs begin like this one.
    pub(super) fn rows(&self, connection: &Connection, index: Index, id: &Key) -> rusqlite::Result<Vec<i64>> {
        let mut found = Vec::new();
        if self.loose {
            let loose = format!("SELECT seq FROM {} WHERE prefix = ?1", index.table());
            let mut loose = connection.prepare_cached(&loose)?;
            let mut rows = loose.query([prefix(id)])?;
            while let Some(row) = rows.next()? {
                found.push(row.get(0)?);
            }
        }
        if self.segments.is_empty() {
            return Ok(found);
        }
        let sought = number(prefix(id));
        let of_bucket = format!("SELECT first, {} FROM entries WHERE segment = ?1 AND bucket = ?2", index.column());
        let mut of_bucket = connection.prepare_cached(&of_bucket)?;
        for segment in &self.segments {
            let mut rows = of_bucket.query(params![segment, bucket(sought)])?;
            while let Some(row) = rows.next()? {
                let such = together(row)?.filter_map(|(prefix, seq)| (prefix == sought).then_some(seq));
                found.extend(such);
            }
        }
        Ok(found)
    }
}
