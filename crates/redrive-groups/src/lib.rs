//! Groups of messages by what went wrong with them, without being told how: for `redrive inspect` and `redrive init`.
//!
//! Messages are handed in one by one ([`Collector::take`]). [`look`] takes off known envelopes and finds what is said about an
//! error, with `roles` for names of members and `stack` for stack traces; of that `record` keeps hashes. When all are in,
//! `template` finds sentences that are one sentence with other names in it (`mask` has masked numbers and IDs before), and
//! `group` makes groups, and `split` says what tells them apart. `suggest` finds the rule that takes a group, tried with the job's own engine; `describe` says what a
//! group is and what varies in it; `secret` hides what nobody should see.
//!
//! Pure: no clock, no network, no file. Bounded: at most [`MOST_RECORDS`] messages are remembered, and as many bodies as
//! [`ROOM_FOR_BODIES`] holds; which ones is drawn by a hash of the message ID. The same messages give the same groups in
//! whatever order they come.

mod candidates;
mod collect;
mod describe;
mod drawn;
mod envelope;
mod group;
mod hash;
mod look;
mod mask;
mod place;
mod record;
mod roles;
mod secret;
mod split;
mod stack;
mod suggest;
mod template;

pub use self::collect::{Collector, Finding, Group, MOST_RECORDS, ROOM_FOR_BODIES, Sighting, Spread};
pub use self::describe::{Fact, Variation, secret_places};
pub use self::envelope::Envelope;
pub use self::look::opened;
pub use self::roles::names_an_error;
pub use self::secret::hide;
pub use self::split::Split;
pub use self::suggest::{Suggestion, rule_toml};

/// The text up to so many bytes, or a few less where a character would be cut.
fn bounded(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// The last so many bytes of a text, or a few less.
fn bounded_end(text: &str, most: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(most))..]
}
