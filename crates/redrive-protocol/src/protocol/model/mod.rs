//! The protocol as a model, explored to the end within small bounds: a source, a destination, the journal, the process at
//! work, and what goes wrong with them. `docs/design/model.md` says what it holds and what it leaves out.
//!
//! What the journal answers is the program's own: the worlds hold a [`Protocol`](super::Protocol) over the store in memory, and what is
//! decided about a doubt is its [`Doubt`](super::Doubt). Each safeguard can be taken away, by a store that conceals something or by a
//! driver that does not do its part, and then the model has to find what goes wrong without it.

mod acts;
mod driver;
mod explore;
mod page;
mod sabotage;
mod session;
mod setup;
mod steps;
mod world;

use std::time::Instant;

use explore::explore;
use setup::{Destination, GROUP, HOLD, NONE, PARKED, PLAIN, Setup, TO_FIFO, Verdict};
use world::Faults;

/// Tells what was done, where a test is asked to.
#[expect(clippy::print_stderr, reason = "a test's own words")]
fn tell(words: &str) {
    eprintln!("{words}");
}

/// Explores a model to the end, in which nothing may be wrong.
fn holds(name: &'static str, setup: Setup) {
    let begun = Instant::now();
    let explored = explore(&setup);
    if let Some(finding) = &explored.finding {
        panic!("{name}: {}", finding.words());
    }
    tell(&format!("{name}: {} states in {:.1} s", explored.count(), begun.elapsed().as_secs_f32()));
    page::assert_figures(name, &explored);
}

// A test each, so that they run beside each other.

#[test]
fn a_message_and_two_runs() {
    let faults = Faults { stops: 2, lost: 1, deliveries: 1, ..NONE };
    holds("one message, two runs", Setup { runs: 2, faults, ..PLAIN });
}

#[test]
fn a_message_that_is_held_where_in_doubt() {
    let faults = Faults { stops: 2, lost: 1, failures: 1, deliveries: 1, ..NONE };
    holds("one message, two runs, held where in doubt", Setup { runs: 2, faults, ..HOLD });
}

#[test]
fn a_message_and_many_faults() {
    let faults = Faults { stops: 2, lost: 2, failures: 1, deliveries: 1, ..NONE };
    holds("one message, one run, more faults", Setup { faults, ..PLAIN });
}

#[test]
fn a_message_and_a_process_that_sleeps() {
    let faults = Faults { stops: 1, lost: 1, sleeps: 1, taken: 1, ..NONE };
    holds("one message, two runs that sleep, and somebody who takes it", Setup { runs: 2, faults, ..PLAIN });
}

#[test]
fn two_messages_of_a_group_and_a_process_that_sleeps() {
    let faults = Faults { stops: 1, lost: 1, sleeps: 1, taken: 1, ..NONE };
    holds("two messages of one group, a run that sleeps, and somebody who takes them", Setup { faults, ..GROUP });
}

#[test]
fn a_message_that_is_dropped() {
    let faults = Faults { stops: 2, lost: 1, deliveries: 1, ..NONE };
    holds("one message that is dropped, two runs", Setup { verdicts: &[Verdict::Drop], runs: 2, faults, ..PLAIN });
}

#[test]
fn a_message_that_goes_by_itself() {
    let faults = Faults { stops: 2, lost: 1, failures: 1, deliveries: 1, gone: 1, ..NONE };
    holds("one message that may go from the source by itself", Setup { faults, ..PLAIN });
}

#[test]
fn a_message_to_a_fifo_queue() {
    let faults = Faults { stops: 2, lost: 1, failures: 1, deliveries: 1, windows: 1, ..NONE };
    holds("one message to a FIFO queue, held after its window", Setup { faults, ..TO_FIFO });
}

#[test]
fn a_message_to_an_archive() {
    let faults = Faults { stops: 2, lost: 1, deliveries: 1, ..NONE };
    let setup = Setup { runs: 2, destination: Destination::Archive, faults, ..HOLD };
    holds("one message to an archive, two runs, held where in doubt", setup);
}

#[test]
fn two_messages_one_of_which_stays() {
    let faults = Faults { stops: 1, lost: 1, deliveries: 1, ..NONE };
    let setup = Setup { verdicts: &[Verdict::Send, Verdict::Keep], faults, ..PLAIN };
    holds("two messages, one is sent and one is kept", setup);
}

#[test]
fn two_messages_that_are_sent() {
    let faults = Faults { stops: 2, lost: 1, ..NONE };
    holds("two messages that are sent", Setup { verdicts: &[Verdict::Send; 2], faults, ..PLAIN });
}

#[test]
fn two_messages_of_a_group() {
    let faults = Faults { stops: 2, lost: 1, failures: 1, ..NONE };
    holds("two messages of one group of a FIFO source", Setup { faults, ..GROUP });
}

#[test]
fn a_group_whose_first_message_comes_back_while_the_second_is_held() {
    let faults = Faults { stops: 1, lost: 1, failures: 1, deliveries: 1, ..NONE };
    holds("two messages of one group, deliveries anew", Setup { faults, ..GROUP });
}

#[test]
fn a_message_about_which_somebody_decides() {
    let faults = Faults { stops: 1, lost: 1, deliveries: 1, decisions: 1, ..NONE };
    holds("one message, two runs, and somebody who decides", Setup { runs: 2, faults, ..HOLD });
}

#[test]
fn a_message_that_is_parked() {
    let faults = Faults { stops: 1, lost: 1, ..NONE };
    holds("one message that is parked and brought back", Setup { faults, ..PARKED });
}

#[test]
fn a_message_that_is_parked_by_processes_that_are_killed() {
    let faults = Faults { stops: 2, ..NONE };
    holds("one message that is parked and brought back, two stops", Setup { faults, ..PARKED });
}

#[test]
fn a_message_that_is_parked_and_delivered_anew() {
    let faults = Faults { stops: 1, deliveries: 1, ..NONE };
    holds("one message that is parked and brought back, deliveries anew", Setup { faults, ..PARKED });
}

#[test]
fn a_message_that_is_parked_and_held_where_in_doubt() {
    let faults = Faults { lost: 1, deliveries: 1, ..NONE };
    holds("one message that is parked, held where in doubt", Setup { resend: false, faults, ..PARKED });
}

#[test]
fn two_messages_one_of_which_is_parked() {
    let faults = Faults { stops: 1, lost: 1, ..NONE };
    holds(
        "two messages, one is sent and one is parked",
        Setup { verdicts: &[Verdict::Send, Verdict::Park], faults, ..PLAIN },
    );
}

#[test]
fn without_any_one_safeguard_something_goes_wrong() {
    page::assert_counterexamples();
}
