//! Changes of messages that are on their way, as they are on disk: those of one commit are one run of bytes. Pure.

use redrive_protocol::protocol::{Key, QueueNo, Row, State};
use redrive_protocol::target::{Reason, RuleId, TargetId};

const MET: u8 = 1;
const ROW: u8 = 2;
const RELEASED: u8 = 3;

/// One change.
#[derive(Debug)]
pub(super) enum Change {
    /// A message was delivered of which nothing was known. Times in milliseconds since 1970.
    Met { id: Key, handle: String, received: i64, until: i64 },
    /// What became of it, whole, and when.
    Row { id: Key, row: Row, at: i64 },
    /// It is not in flight with us any more.
    Released { id: Key },
}

/// The changes of one commit.
#[derive(Debug, Default)]
pub(super) struct Changes(Vec<u8>);

impl Changes {
    /// As they are on disk; empty where there are none.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Forgets them and keeps the room: the next commit's will be about as many.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn met(&mut self, id: &Key, handle: &str, received: i64, until: i64) {
        self.0.push(MET);
        self.bytes(id);
        self.bytes(handle.as_bytes());
        self.number(received);
        self.number(until);
    }

    pub(super) fn row(&mut self, id: &Key, row: &Row, at: i64) {
        let Row { state, rule, target, exhausted, reason, doubts, since, sent_as, receive_count, origin } = row;
        self.0.push(ROW);
        self.bytes(id);
        self.number(at);
        self.0.extend([*state as u8, u8::from(*exhausted), reason.map_or(0, |reason| reason as u8)]);
        self.0.extend(rule.0.to_le_bytes());
        self.0.extend(doubts.to_le_bytes());
        self.optional(target.map(|target| i64::from(target.0)));
        self.optional(*since);
        self.optional(receive_count.map(i64::from));
        self.optional(origin.map(|queue| queue.0));
        self.bytes(sent_as.as_deref().unwrap_or_default());
    }

    pub(super) fn released(&mut self, id: &Key) {
        self.0.push(RELEASED);
        self.bytes(id);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        // What is longer would not have come through SQS.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.0.extend(length.to_le_bytes());
        self.0.extend(&bytes[..length as usize]);
    }

    fn number(&mut self, number: i64) {
        self.0.extend(number.to_le_bytes());
    }

    fn optional(&mut self, number: Option<i64>) {
        self.0.push(u8::from(number.is_some()));
        if let Some(number) = number {
            self.number(number);
        }
    }
}

/// Reads the changes of one commit; ends with `None` where the bytes are not what was written.
pub(super) fn read(bytes: &[u8]) -> impl Iterator<Item = Option<Change>> {
    let mut rest = Bytes(bytes);
    std::iter::from_fn(move || {
        if rest.0.is_empty() {
            return None;
        }
        let change = rest.change();
        if change.is_none() {
            rest.0 = &[];
        }
        Some(change)
    })
}

struct Bytes<'a>(&'a [u8]);

/// It is neither a number nor that there is none.
struct Malformed;

impl Bytes<'_> {
    fn change(&mut self) -> Option<Change> {
        Some(match self.byte()? {
            MET => Change::Met {
                id: self.id()?,
                handle: String::from_utf8(self.bytes()?.to_vec()).ok()?,
                received: self.number()?,
                until: self.number()?,
            },
            ROW => {
                let (id, at) = (self.id()?, self.number()?);
                let (state, exhausted, reason) = (self.byte()?, self.byte()?, self.byte()?);
                let row = Row {
                    state: State::from_number(state)?,
                    exhausted: exhausted != 0,
                    reason: Reason::from_number(reason),
                    rule: RuleId(u16::from_le_bytes(self.array()?)),
                    doubts: u32::from_le_bytes(self.array()?),
                    target: self.optional().ok()?.map(u16::try_from).transpose().ok()?.map(TargetId),
                    since: self.optional().ok()?,
                    receive_count: self.optional().ok()?.map(u32::try_from).transpose().ok()?,
                    origin: self.optional().ok()?.map(QueueNo),
                    sent_as: Some(self.id()?).filter(|id| !id.is_empty()),
                };
                Change::Row { id, row, at }
            }
            RELEASED => Change::Released { id: self.id()? },
            _ => return None,
        })
    }

    fn array<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn bytes(&mut self) -> Option<&[u8]> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn id(&mut self) -> Option<Key> {
        let bytes = self.bytes()?;
        Some(bytes.try_into().map_or_else(|_| Key::Text(bytes.to_vec()), Key::Uuid))
    }

    fn number(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    fn optional(&mut self) -> Result<Option<i64>, Malformed> {
        match self.byte() {
            Some(0) => Ok(None),
            Some(1) => self.number().map(Some).ok_or(Malformed),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use redrive_protocol::message::MessageId;

    fn id() -> impl Strategy<Value = Key> {
        prop_oneof!["[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", ".{1,40}",]
            .prop_map(|text| Key::of(&MessageId::new(text)))
    }

    fn row() -> impl Strategy<Value = Row> {
        let known = (0..State::ALL.len(), any::<u16>(), any::<Option<u16>>(), any::<bool>(), 0..=Reason::ALL.len());
        let noted = (
            any::<u32>(),
            any::<Option<i64>>(),
            proptest::option::of(id()),
            any::<Option<u32>>(),
            any::<Option<i64>>(),
        );
        (known, noted).prop_map(|(known, noted)| Row {
            state: State::ALL[known.0],
            rule: RuleId(known.1),
            target: known.2.map(TargetId),
            exhausted: known.3,
            reason: Reason::ALL.get(known.4).copied(),
            doubts: noted.0,
            since: noted.1,
            sent_as: noted.2,
            receive_count: noted.3,
            origin: noted.4.map(QueueNo),
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_what_was_cut_is_not(
            (id, row, at, handle) in (id(), row(), any::<i64>(), ".{0,400}"),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut changes = Changes::default();
            changes.met(&id, &handle, at, 7);
            changes.row(&id, &row, at);
            changes.released(&id);
            let bytes = changes.as_bytes();
            let expected = [
                Change::Met { id: id.clone(), handle, received: at, until: 7 },
                Change::Row { id: id.clone(), row, at },
                Change::Released { id },
            ];
            let whole: Vec<_> = read(bytes).map(|change| format!("{:?}", change.expect("sound"))).collect();
            prop_assert_eq!(whole, expected.map(|change| format!("{change:?}")));
            let cut = cut.index(bytes.len());
            let left: Vec<_> = read(&bytes[..cut]).collect();
            // A cut between two changes leaves fewer, any other is noticed.
            prop_assert!(left.len() < 3 || left.iter().any(Option::is_none), "{} of {} bytes", cut, bytes.len());
        }
    }
}
