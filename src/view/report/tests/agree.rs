//! What an apply says at its end, a report made later and a status say the same of a run: field by field, in every form.

use serde_json::Value;

use super::*;
use crate::apply::PinnedFigures;
use crate::error::Error;
use crate::view::runs::{status, status_json};

/// A report in which every figure has a value of its own, and the summary of the same run.
fn both() -> (Summary, Report) {
    let mut report = report();
    let figures = &mut report.figures;
    let mut next = 1_000;
    let mut unlike = || {
        next += 137;
        next
    };
    for figure in [
        &mut figures.moved,
        &mut figures.archived,
        &mut figures.dropped,
        &mut figures.kept,
        &mut figures.blocked,
        &mut figures.held,
        &mut figures.archive_lost,
        &mut figures.failed,
        &mut figures.unfinished,
        &mut figures.parked,
        &mut figures.returned,
        &mut figures.in_doubt,
        &mut figures.bounced,
        &mut figures.deleted_for_other_runs,
        &mut figures.requests,
        &mut figures.not_released,
        &mut figures.still_visible,
        &mut figures.in_flight_elsewhere,
    ] {
        *figure = unlike();
    }
    let (planned, gone, changed, others) = (unlike(), unlike(), unlike(), unlike());
    figures.pinned = Some(PinnedFigures { planned, gone, changed, others });
    figures.received = [figures.moved, figures.archived, figures.dropped, figures.kept, figures.blocked, figures.held]
        .iter()
        .sum::<u64>()
        + figures.failed
        + figures.unfinished
        + figures.parked;
    assert!(figures.add_up());
    let outcome = Outcome::Failed(Error::failed("SendMessageBatch: denied").hint("ask for the permission"));
    report.record.outcome = Some(outcome.code().to_owned());
    report.record.cause = outcome.cause();
    report.record.ended = None;
    (Summary { outcome, figures: report.figures.clone() }, report)
}

#[test]
fn every_field_of_a_summary_is_the_same_in_the_report_and_the_status() {
    let (summary, report) = both();
    let read = |line: String| serde_json::from_str::<Value>(&line).expect("JSON");
    let [summary, report, status] =
        [summary_json(&summary), whole(json(&report), &troubles()), status_json(&report)].map(read);
    let fields = summary.as_object().expect("an object");
    for (name, value) in fields.iter().filter(|(name, _)| *name != "type") {
        assert!(!value.is_null() && *value != 0, "{name} has a value");
        assert_eq!((&report[name], &status[name]), (value, value), "{name}");
    }
    assert!(fields.contains_key("error") && fields.contains_key("hint"), "{summary}");
}

#[test]
fn every_figure_is_in_every_account_for_people() {
    let (summary, report) = both();
    let accounts = [
        ("summary", summary_text(&summary, "redrive apply p.json")),
        ("status", status(&report).text(Screen::PLAIN)),
        ("report", text(&report)),
        ("Markdown", markdown(&report)),
        ("page", html(&report)),
    ];
    let figures = serde_json::to_value(&report.figures).expect("JSON");
    let numbers = figures.as_object().expect("an object").iter().chain(figures["pinned"].as_object().expect("pinned"));
    let numbers = numbers.filter_map(|(name, value)| Some((name, value.as_u64()?)));
    for (name, number) in numbers.filter(|(name, _)| *name != "elapsed_ms") {
        let shown = units::grouped(number);
        for (form, said) in &accounts {
            assert!(said.contains(shown.as_str()), "{name} {} in the {form}: {said}", shown.as_str());
        }
    }
    for (form, said) in &accounts {
        let plain = said.replace('\n', " ").split_whitespace().collect::<Vec<_>>().join(" ");
        for words in ["1 min 35 s", "SendMessageBatch: denied", "ask for the permission", "Nothing is lost"] {
            assert!(plain.contains(words), "{words} in the {form}: {said}");
        }
    }
}

#[test]
fn a_run_under_way_names_its_process_and_one_on_an_embedded_sandbox_no_command() {
    let mut report = report();
    report.record.outcome = None;
    report.record.ended = None;
    report.record.process = Some(Process { pid: 4711, is_alive: true, elsewhere: None });
    let said = text(&report);
    assert!(
        said.contains("running") && said.contains("process 4711 is at work") && said.contains("kill -INT 4711"),
        "{said}"
    );
    assert!(!said.contains("redrive apply"), "{said}");
    let elsewhere = Some(("runner-7".to_owned(), report.record.started));
    report.record.process = Some(Process { pid: 4711, is_alive: true, elsewhere });
    let said = text(&report);
    assert!(said.contains("process 4711 on runner-7 is at work on it, and was last heard of at 2026"), "{said}");
    assert!(said.contains("redrive control 3f2a9c0d1e4b stop") && !said.contains("kill"), "{said}");
    report.record.process = Some(Process { pid: 4711, is_alive: false, elsewhere: None });
    report.record.sandbox = true;
    let said = text(&report);
    assert!(said.contains("nothing to continue") && !said.contains("redrive apply"), "{said}");
}
