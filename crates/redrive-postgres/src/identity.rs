//! What helps to find messages, if the job asks for it: noted before they are sent, since after a kill nobody knows it any more,
//! and kept only of those that are in doubt or once were.

use redrive_protocol::message::MessageId;
use redrive_protocol::protocol::{Key, RunNo, State};
use tokio_postgres::types::Type;

use super::Result;
use super::link::{Link, Parameter};

pub(super) fn note(link: &Link, run: RunNo, identities: &[(MessageId, String)]) -> Result<()> {
    // The last word about each: one statement takes no message twice.
    let mut keys: Vec<(Key, &str)> = Vec::new();
    for (id, text) in identities {
        let key = Key::of(id);
        keys.retain(|(known, _)| *known != key);
        keys.push((key, text));
    }
    let ids: Vec<&[u8]> = keys.iter().map(|(key, _)| key.bytes()).collect();
    let texts: Vec<&str> = keys.iter().map(|(_, text)| *text).collect();
    let parameters: [Parameter<'_>; 3] = [(&run.0, Type::INT8), (&ids, Type::BYTEA_ARRAY), (&texts, Type::TEXT_ARRAY)];
    let sql = "INSERT INTO identity (run, id, text) SELECT $1::int8, * FROM unnest($2::bytea[], $3::text[])
        ON CONFLICT (run, id) DO UPDATE SET text = excluded.text";
    link.run(sql, &parameters).map(drop)
}

/// Forgets those of messages that are neither on their way nor were ever in doubt.
pub(super) fn forget(link: &Link, run: RunNo) -> Result<()> {
    let open: Vec<i16> = State::ALL.into_iter().filter(|state| state.is_open()).map(|state| state as i16).collect();
    let sql = "DELETE FROM identity WHERE run = $1 AND NOT EXISTS (SELECT 1 FROM message
        WHERE message.run = identity.run AND message.id = identity.id AND (doubts > 0 OR state = ANY ($2)))";
    link.run(sql, &[(&run.0, Type::INT8), (&open, Type::INT2_ARRAY)]).map(drop)
}
