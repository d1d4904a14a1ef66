//! What speaks against a plan comes first, the worst before the rest; and what is not there is said.

use super::*;

#[test]
fn a_refused_plan_says_so_first_and_gives_no_command() {
    let mut plan = plan();
    plan.refusals = vec![Hazard::new(HazardCode::TooManyStay, "Too many stay.")];
    plan.hazards = vec![Hazard::new(HazardCode::Dropped, "About 5 are dropped.")];
    let plan = plan.seal();
    let text = plain(&plan);
    let (refused, from) = (text.find("REFUSED").expect("said"), text.find("\nFrom\n").expect("said"));
    assert!(refused < from && !text.contains("redrive apply"));
    let markdown = markdown(&plan, Some("plan.json"), &[]);
    assert!(markdown.find("### REFUSED").expect("said") < markdown.find("### Risks to review").expect("said"));
    assert!(!markdown.contains("redrive apply"));
}

#[test]
fn dangers_come_first_and_notes_are_folded_unless_all_is_asked_for() {
    let mut plan = plan();
    let codes = [HazardCode::SentAnew, HazardCode::Dropped, HazardCode::IdleRule, HazardCode::Expiring];
    plan.hazards = codes.map(|code| Hazard::new(code, "Words.")).into();
    assert!(headline(&plan).ends_with("; 2 dangers, 1 caution."), "{}", headline(&plan));
    let text = plain(&plan);
    let place = |words: &str| text.find(words);
    assert!(place("danger: expiring") < place("caution: idle_rule") && place("danger: dropped").is_some(), "{text}");
    assert!(text.contains("1 note (shown with --full)") && !text.contains("sent_anew"), "{text}");
    let full = document(&plan, None, &[], Detail { full: true, examples: None }).text(Screen::PLAIN);
    assert!(full.contains("note: sent_anew") && !full.contains("--full"), "{full}");
}

#[test]
fn a_plan_that_is_not_saved_says_how_to_save_it() {
    let text = document(&plan().seal(), None, &[], Detail::default()).text(Screen::PLAIN);
    assert!(text.ends_with("`redrive plan --out FILE` saves one to review and apply.\n"), "{text}");
}

#[test]
fn a_job_that_moves_nothing_says_so_where_its_places_would_be() {
    let mut plan = plan();
    plan.targets.clear();
    assert!(plain(&plan).contains("To\n  Nowhere: every message stays.\n"), "{}", plain(&plan));
}
