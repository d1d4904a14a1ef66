//! What a plan says of a sample that is not the whole queue.

use super::*;

/// More than can be in flight stay, and a parking queue takes them.
pub(super) fn parks(world: &mut World, change: fn(&mut QueueAttributes)) {
    let mut parking = attributes("parking");
    change(&mut parking);
    world.targets.push(target("unmatched.park", TargetKind::Park, Some(parking)));
    let unmatched = Outcome::Kept(Reason::Unmatched);
    world.rules.push(rule(RuleId::UNMATCHED, &[(unmatched, exact(130_000))]));
}
use crate::plan::Unevenness;

/// The texts of the hazards with this code.
fn said(world: &World, code: &str) -> Vec<String> {
    hazards(&world.facts())
        .into_iter()
        .filter(|hazard| hazard.code.as_str() == code)
        .map(|hazard| hazard.text)
        .collect()
}

#[test]
fn a_sample_that_does_not_speak_for_the_queue_says_why_and_what_to_do() {
    for (why, words) in [
        (Unevenness::ByReceipt, "in order of receipt differ more than chance explains"),
        (Unevenness::ByAge, "parts of it in order of age"),
        (Unevenness::OneKind, "What the other 900 messages are, nobody knows"),
    ] {
        let mut world = World::new();
        world.sample.basis = Basis::Uneven(why);
        world.sample.population = 1_000;
        let text = said(&world, "sample_uneven").concat();
        assert!(text.contains(words) && text.contains("--sample all"), "{text}");
        // More than can be in flight at once cannot be looked at whole.
        world.sample.population = 200_000;
        let text = said(&world, "sample_uneven").concat();
        assert!(text.contains("max_messages caps a run") && !text.contains("--sample"), "{text}");
    }
    let mut world = World::new();
    world.sample.basis = Basis::Uneven(Unevenness::GroupHeads);
    assert_eq!(said(&world, "sample_uneven"), [""; 0], "a FIFO queue has a hazard of its own");
}

#[test]
fn which_ages_were_seen_is_said_of_a_sample_only() {
    let mut world = World::new();
    world.sample.oldest = Some(at("2026-11-21T06:00:00Z"));
    world.sample.newest = Some(at("2026-11-21T12:00:00Z"));
    assert_eq!(said(&world, "ages_seen"), [""; 0]);
    world.sample.basis = Basis::Even { effective: 100 };
    let text = said(&world, "ages_seen").concat();
    assert!(text.contains("within 6h, which is 25 % of the 1d from its oldest message to this plan"), "{text}");
    assert!(text.contains("nobody knows which share"), "{text}");
}

#[test]
fn sampling_is_refused_where_it_could_move_messages() {
    assert_eq!(sampling_refusal(&attributes("orders-dlq")), None);
    let source = QueueAttributes { redrive_policy: redrives_to("orders-dlq"), ..attributes("orders") };
    let refusal = sampling_refusal(&source).expect("it has a redrive policy");
    assert_eq!(refusal.code.as_str(), "sampling_moves_messages");
    assert!(refusal.text.contains("received 3 times moves to orders-dlq"), "{}", refusal.text);
}
