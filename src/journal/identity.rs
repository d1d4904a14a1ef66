//! What helps to find messages, if the job asks for it: noted before they are sent, since after a kill nobody knows it any more,
//! and kept only of those that are in doubt or once were.

use rusqlite::params;

use super::table::Table;
use crate::error::Result;
use redrive_protocol::message::MessageId;
use redrive_protocol::protocol::{Key, RunNo, State};

impl Table {
    pub(super) fn note_identities(&self, run: RunNo, identities: &[(MessageId, String)]) -> Result<()> {
        self.direct(|c| {
            let mut statement =
                c.prepare_cached("INSERT OR REPLACE INTO identity (run, id, text) VALUES (?1, ?2, ?3)")?;
            identities
                .iter()
                .try_for_each(|(id, text)| statement.execute(params![run.0, Key::of(id).bytes(), text]).map(drop))
        })
    }

    pub(super) fn forget_needless_identities(&self, run: RunNo) -> Result<()> {
        let open = State::ALL.into_iter().filter(|state| state.is_open());
        let open = open.map(|state| (state as u8).to_string()).collect::<Vec<_>>().join(", ");
        self.sql(|c| {
            c.execute(
                &format!(
                    "DELETE FROM identity WHERE run = ?1
                     AND id NOT IN (SELECT id FROM rested WHERE run = ?1 AND doubts > 0)
                     AND id NOT IN (SELECT id FROM rested WHERE run = ?1 AND state IN ({open}))"
                ),
                [run.0],
            )
        })
        .map(drop)
    }
}
