//! What a hostile queue could make of a report: nothing.

use super::super::sample::{hostile, hostile_troubles};
use super::*;
use crate::error::Error;

/// Nothing that drives a terminal, hides or reorders; line ends are the form's own.
fn is_harmless(text: &str) -> bool {
    text.chars().all(|character| {
        character == '\n'
            || !(character.is_control()
                || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    })
}

#[test]
fn nothing_from_outside_drives_a_terminal() {
    let report = hostile();
    let listed = whole(json(&report), &hostile_troubles());
    let (summary_line, summary) = {
        let error = || Error::failed("\u{1b}]0;x\u{7}\r\n\u{202e}").hint("\u{9b}2J");
        let make = || Summary { outcome: Outcome::Failed(error()), figures: hostile().figures };
        (summary_json(&make()), summary_text(&make(), "redrive apply \u{1b}[2J\nrm"))
    };
    for (name, form) in [
        ("text", text(&report)),
        ("markdown", markdown(&report)),
        ("html", html(&report)),
        ("json", listed.clone()),
        ("summary", summary),
        ("summary line", summary_line.clone()),
    ] {
        assert!(is_harmless(&form), "{name}: {form:?}");
    }
    assert!(!listed.trim_end().contains('\n') && !summary_line.contains('\n'));
}

#[test]
fn nothing_from_outside_is_markup_in_markdown() {
    let (plain, hostile) = (markdown(&report()), markdown(&hostile()));
    // Line ends from outside make no lines: what is a heading or a row is ours.
    for start in ["#", "|"] {
        let count = |text: &str| text.lines().filter(|line| line.starts_with(start)).count();
        let expected = if start == "#" { count(&plain) + 1 } else { count(&plain) };
        assert_eq!(count(&hostile), expected, "{start}");
    }
    let (mut fenced, mut unfenced) = (false, String::new());
    for line in hostile.lines() {
        fenced ^= line.starts_with("```");
        unfenced.push_str(if fenced { "" } else { line });
    }
    // Whatever stands outside of code is ours. The sample's names all hold backticks, so all of them are in elements.
    let mut outside = String::new();
    for (position, part) in unfenced.split("<code>").enumerate() {
        outside.push_str(if position == 0 {
            part
        } else {
            part.split_once("</code>").map_or("LEAK", |(_, after)| after)
        });
    }
    for evil in ["<", "LEAK", "@team", "http", "[a]", "alert"] {
        assert!(!outside.contains(evil), "{evil}: {outside}");
    }
    let pipes = |text: &str| {
        text.lines().filter(|line| line.starts_with('|')).map(|line| line.matches('|').count()).collect::<Vec<_>>()
    };
    assert_eq!(pipes(&hostile), pipes(&plain), "no cell is torn");
}

#[test]
fn nothing_from_outside_is_markup_in_a_page() {
    let tags = |page: &str| -> Vec<String> {
        page.split('<').skip(1).filter_map(|part| part.split('>').next()).map(str::to_owned).collect()
    };
    let (plain, hostile) = (tags(&html(&stopped("other"))), tags(&html(&hostile())));
    let kinds = |tags: &[String]| tags.iter().cloned().collect::<std::collections::BTreeSet<_>>();
    assert!(kinds(&hostile).is_subset(&kinds(&plain)), "{:?}", kinds(&hostile).difference(&kinds(&plain)));
}
