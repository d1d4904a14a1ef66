//! The states of a message and the one function that moves it between them. Apply, resume and recovery all go through
//! [`next`]; a change it does not know is an error, never a guess.

use std::fmt;

/// Where a message of a run stands. The numbers are those on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// The intent is on disk; it may be on its way.
    Sending = 1,
    /// Its destination acknowledged it, or the job drops it; it is still to be deleted from the source.
    Sent = 2,
    /// Its destination has it and it is deleted from the source.
    Done = 3,
    /// It was on its way and the answer never came.
    InDoubt = 4,
    /// It was in doubt and is on its way again.
    Resending = 5,
    /// It was in doubt, and waits in the source for somebody to decide.
    Held = 6,
    /// It stays in the source.
    Kept = 7,
    /// It should move and cannot be sent whole; it stays in the source.
    Blocked = 8,
    /// Its destination would not have it, and it stays in the source; or it was not finished, and is gone from there; or it was
    /// archived and deleted, and its archive does not hold it any more.
    Failed = 9,
    /// It was to be sent, was surely not, and goes back to be judged again.
    Returned = 10,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Sending,
        Self::Sent,
        Self::Done,
        Self::InDoubt,
        Self::Resending,
        Self::Held,
        Self::Kept,
        Self::Blocked,
        Self::Failed,
        Self::Returned,
    ];

    /// The state with this number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u8 == number)
    }

    /// Whether a message in this state is still on its way.
    pub fn is_unfinished(self) -> bool {
        matches!(self, Self::Sending | Self::Resending | Self::Sent | Self::InDoubt | Self::Returned)
    }

    /// Whether a message in this state is on its way, or waits for somebody to decide: few at any time.
    pub fn is_open(self) -> bool {
        self.is_unfinished() || self == Self::Held
    }

    /// The stable code in the JSON formats.
    pub fn code(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Done => "done",
            Self::InDoubt => "in_doubt",
            Self::Resending => "resending",
            Self::Held => "held",
            Self::Kept => "kept",
            Self::Blocked => "blocked",
            Self::Failed => "failed",
            Self::Returned => "returned",
        }
    }
}

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// It is about to be sent.
    Intend,
    /// The destination acknowledged it.
    Acknowledge,
    /// The destination refused it for good, or what arrived is not what was sent.
    Refuse,
    /// The answer never came.
    LoseAnswer,
    /// It was surely not sent, and will not be now.
    Withdraw,
    /// Nobody can say whether it arrived, and the job says to hold such messages.
    Hold,
    /// It is to stay.
    Keep,
    /// It should move and cannot.
    Block,
    /// The job deletes it.
    Drop,
    /// The source confirmed its deletion.
    Delete,
    /// It is elsewhere, and was delivered again: it is still to be deleted, whatever earlier deletes said.
    Reappear,
    /// The queue it should be in is dry, and it was not met there, or not again.
    Vanish,
    /// What had acknowledged it does not have it any more.
    Lose,
    /// Its line was found in its archive, where a send of it may have written it, or where it was missing before.
    Find,
    /// Somebody looked, and decides that it is sent again.
    Resend,
    /// Somebody looked, and decides that it has arrived.
    Discard,
    /// Somebody decides that it stays in the source and the run leaves it alone.
    Release,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Intend,
        Self::Acknowledge,
        Self::Refuse,
        Self::LoseAnswer,
        Self::Withdraw,
        Self::Hold,
        Self::Keep,
        Self::Block,
        Self::Drop,
        Self::Delete,
        Self::Reappear,
        Self::Vanish,
        Self::Lose,
        Self::Find,
        Self::Resend,
        Self::Discard,
        Self::Release,
    ];
}

/// An event that cannot happen to a message in this state: a mistake in the program, never in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Illegal {
    /// The state; `None` before the first event.
    pub state: Option<State>,
    /// The event.
    pub event: Event,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} cannot happen to a message that is {}", self.event, self.state.map_or("new", State::code))
    }
}

/// The state after an event; `None` is a message of which nothing is known yet.
pub fn next(state: Option<State>, event: Event) -> Result<State, Illegal> {
    use {Event as E, State as S};
    let at_rest = matches!(state, None | Some(S::Kept | S::Blocked | S::Failed | S::Returned));
    let doubtful = matches!(state, Some(S::InDoubt | S::Held));
    let on_its_way = matches!(state, Some(S::Sending | S::Resending));
    Ok(match event {
        // What a message that rests in the source, or is in doubt, can be judged to become.
        E::Intend if at_rest => S::Sending,
        E::Intend if doubtful => S::Resending,
        E::Keep if at_rest || doubtful => S::Kept,
        E::Block if at_rest || doubtful => S::Blocked,
        E::Drop if at_rest || doubtful => S::Sent,
        E::Hold if doubtful => S::Held,
        // What can become of one that is on its way.
        E::Acknowledge if on_its_way => S::Sent,
        E::Refuse if on_its_way => S::Failed,
        E::LoseAnswer if on_its_way => S::InDoubt,
        E::Withdraw if state == Some(S::Sending) => S::Returned,
        // A second attempt that did not happen does not settle the doubt about the first.
        E::Withdraw if state == Some(S::Resending) => S::InDoubt,
        E::Delete if matches!(state, Some(S::Sent | S::Done)) => S::Done,
        // On a standard queue a message can reappear after a good delete.
        E::Reappear if state == Some(S::Done) => S::Sent,
        // Of nothing known: it was parked, and is not in the parking queue.
        E::Vanish if matches!(state, None | Some(S::InDoubt | S::Returned)) => S::Failed,
        // That it is gone is all that was wanted.
        E::Vanish if state == Some(S::Sent) => S::Done,
        // Its archive is damaged: whether it arrives there after all, the next session finds out.
        E::Lose if state == Some(S::Sent) => S::InDoubt,
        E::Find if state == Some(S::InDoubt) => S::Sent,
        // It was deleted, so nothing can bring it back but the archive itself.
        E::Lose if state == Some(S::Done) => S::Failed,
        E::Find if state == Some(S::Failed) => S::Done,
        // What a person decides about a doubt.
        E::Resend if doubtful => S::InDoubt,
        E::Discard if doubtful => S::Sent,
        E::Release if doubtful => S::Kept,
        _ => return Err(Illegal { state, event }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table, by hand: for each state, what each event leads to; everything absent is illegal.
    fn table(state: Option<State>) -> &'static [(Event, State)] {
        use {Event as E, State as S};
        match state {
            Some(S::Kept | S::Blocked) => {
                &[(E::Intend, S::Sending), (E::Keep, S::Kept), (E::Block, S::Blocked), (E::Drop, S::Sent)]
            }
            Some(S::Failed) => &[
                (E::Intend, S::Sending),
                (E::Keep, S::Kept),
                (E::Block, S::Blocked),
                (E::Drop, S::Sent),
                (E::Find, S::Done),
            ],
            None | Some(S::Returned) => &[
                (E::Intend, S::Sending),
                (E::Keep, S::Kept),
                (E::Block, S::Blocked),
                (E::Drop, S::Sent),
                (E::Vanish, S::Failed),
            ],
            Some(S::InDoubt) => &[
                (E::Intend, S::Resending),
                (E::Keep, S::Kept),
                (E::Block, S::Blocked),
                (E::Drop, S::Sent),
                (E::Hold, S::Held),
                (E::Vanish, S::Failed),
                (E::Find, S::Sent),
                (E::Resend, S::InDoubt),
                (E::Discard, S::Sent),
                (E::Release, S::Kept),
            ],
            Some(S::Held) => &[
                (E::Intend, S::Resending),
                (E::Keep, S::Kept),
                (E::Block, S::Blocked),
                (E::Drop, S::Sent),
                (E::Hold, S::Held),
                (E::Resend, S::InDoubt),
                (E::Discard, S::Sent),
                (E::Release, S::Kept),
            ],
            Some(S::Sending) => &[
                (E::Acknowledge, S::Sent),
                (E::Refuse, S::Failed),
                (E::LoseAnswer, S::InDoubt),
                (E::Withdraw, S::Returned),
            ],
            Some(S::Resending) => &[
                (E::Acknowledge, S::Sent),
                (E::Refuse, S::Failed),
                (E::LoseAnswer, S::InDoubt),
                (E::Withdraw, S::InDoubt),
            ],
            Some(S::Sent) => &[(E::Delete, S::Done), (E::Vanish, S::Done), (E::Lose, S::InDoubt)],
            Some(S::Done) => &[(E::Delete, S::Done), (E::Reappear, S::Sent), (E::Lose, S::Failed)],
        }
    }

    #[test]
    fn every_state_and_event_leads_where_the_table_says() {
        for state in [None].into_iter().chain(State::ALL.map(Some)) {
            for event in Event::ALL {
                let expected = table(state).iter().find(|row| row.0 == event).map(|row| row.1);
                assert_eq!(next(state, event).ok(), expected, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn only_an_acknowledgement_or_a_decision_leads_to_a_delete() {
        for state in [None].into_iter().chain(State::ALL.map(Some)) {
            for event in Event::ALL {
                if next(state, event) == Ok(State::Sent) {
                    // The job decides to drop it; or a person, of what is in doubt, that it has arrived.
                    let doubtful = matches!(state, Some(State::InDoubt | State::Held));
                    let decided = event == Event::Drop || (event == Event::Discard && doubtful);
                    // Or its line is there for all to see.
                    let found = event == Event::Find && state == Some(State::InDoubt);
                    // Or it was so before.
                    let known = event == Event::Reappear && state == Some(State::Done);
                    assert!(event == Event::Acknowledge || decided || found || known, "{state:?} {event:?}");
                }
            }
        }
    }

    #[test]
    fn a_doubt_is_never_forgotten_by_a_withdrawn_second_attempt() {
        let mut state = None;
        for event in [Event::Intend, Event::LoseAnswer, Event::Intend, Event::Withdraw] {
            state = next(state, event).ok();
        }
        assert_eq!(state, Some(State::InDoubt));
    }

    #[test]
    fn numbers_on_disk_lead_back_to_the_states() {
        for state in State::ALL {
            assert_eq!(State::from_number(state as u8), Some(state));
        }
        assert_eq!(State::from_number(0), None);
    }
}
