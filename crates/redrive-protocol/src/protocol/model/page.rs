//! The figures and the counterexamples in `docs/design/model.md`, written and held fresh from what was explored.

use std::fmt::Write as _;

use super::acts::Step;
use super::explore::{Explored, Finding, explore};
use super::setup::{BROKEN, Setup};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/design/model.md");
const BEGIN: &str = "<!-- Generated from here on: run `REDRIVE_WRITE_DOCS=1 cargo test -p redrive-protocol model` to write it anew. -->\n";

impl Finding<Step> {
    /// What is wrong, and how it comes to it.
    pub(super) fn words(&self) -> String {
        let mut words = format!("{}\n", self.what);
        for (number, step) in self.trace.iter().enumerate() {
            let _ = writeln!(words, "{:>3}. {step}", number + 1);
        }
        for step in &self.again {
            let _ = writeln!(words, "  again and again: {step}");
        }
        words
    }
}

fn page() -> (String, String) {
    let page = std::fs::read_to_string(PAGE).expect("the page");
    let (prose, generated) = page.split_once(BEGIN).expect("the mark where the generated part begins");
    (prose.to_owned(), generated.to_owned())
}

/// The page's figures of a model are those that were explored.
pub(super) fn assert_figures(name: &str, explored: &Explored<Setup>) {
    let row = format!("| {name} | {} | {} | {} |\n", explored.count(), explored.transitions, explored.ends);
    assert!(page().0.contains(&row), "docs/design/model.md should say:\n{row}");
}

/// Without any of the safeguards there is a counterexample, and the page shows it.
pub(super) fn assert_counterexamples() {
    let mut text = String::new();
    for (setup, safeguard) in BROKEN {
        assert!(explore(setup).finding.is_none(), "with the safeguard nothing is wrong: {safeguard}");
        let finding = explore(&Setup { off: Some(*safeguard), ..*setup }).finding;
        let finding = finding.unwrap_or_else(|| panic!("nothing is wrong without this: {safeguard}"));
        let _ = writeln!(text, "\n### Without: {safeguard}\n\n```text\n{}```", finding.words());
    }
    let (prose, generated) = page();
    if std::env::var_os("REDRIVE_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, format!("{prose}{BEGIN}{text}")).expect("written");
        return;
    }
    assert!(generated == text, "docs/design/model.md is stale: run this test with REDRIVE_WRITE_DOCS=1");
}
