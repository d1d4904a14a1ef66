//! What guards and people do to a run is in the journal before it is told to whoever listens.

use serde_json::Value;

use super::events::Event;
use super::shared::Shared;
use super::stop::Halt;
use crate::journal::GuardEvent;

/// Notes what a guard or a person did, and tells it.
pub(super) async fn note(shared: &Shared, kind: &str, who: Option<String>, words: String, data: &Value) -> Option<()> {
    let (at, kind, data) = (shared.journal.now(), kind.to_owned(), data.to_string());
    let event = GuardEvent { at, kind, who, words, data };
    shared.journaled(shared.journal.guard(&shared.setting.run, event.clone()).await)?;
    shared.events.send(&Event::Guard(event));
    Some(())
}

/// Halts the run by a guard.
pub(super) async fn halt(shared: &Shared, kind: &str, words: String) {
    note(shared, kind, None, words.clone(), &Value::Null).await;
    shared.halt(Halt::Guard(words));
}
