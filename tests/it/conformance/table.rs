//! The suite as a page for readers: every check, what it expects, and who deviates. Generated, and kept fresh by a test.

use std::fmt::Write as _;
use std::path::Path;

use super::{DEVIATIONS, Server, all};

/// What was found by hand, by suites that are run outside this repository.
const RECORDED: &str = include_str!("recorded.md");

fn page() -> String {
    let mut page = String::from(
        "<!-- Generated from tests/it/conformance: run `REDRIVE_WRITE_DOCS=1 cargo test conformance::table` to write it anew. -->\n\n\
         # Conformance\n\n\
         What the sandbox and three servers that others wrote do where AWS's documentation says what SQS does. Each check\n\
         runs through the official SDK, unchanged on every server, in each test run. A deviation that is not in this table\n\
         fails the run, and so does one that has gone. The versions are pinned in `tests/judges/`; of local-aws-sqs only\n\
         message move tasks are checked. What was recorded at AWS, and what of it does not hold here, is\n\
         [below](#against-answers-recorded-at-aws).\n\n",
    );
    let names: Vec<&str> = Server::ALL.iter().map(|server| server.name()).collect();
    let _ = writeln!(page, "| check | expected | {} |", names.join(" | "));
    let _ = writeln!(page, "|---|---|{}", ":-:|".repeat(names.len()));
    for check in all() {
        let marks = Server::ALL.map(|server| {
            let is_checked = server.checks().iter().any(|other| other.name == check.name);
            let deviates = DEVIATIONS.iter().any(|(of, name, _)| *of == server && *name == check.name);
            match (is_checked, deviates) {
                (false, _) => "",
                (true, false) => "yes",
                (true, true) => "no",
            }
        });
        let words = check.name.replace('_', " ");
        let _ = writeln!(page, "| {words} | [{}]({}) | {} |", check.expects, check.doc(), marks.join(" | "));
    }
    let counts = Server::ALL.map(|server| {
        let checks = server.checks().len();
        let deviations = DEVIATIONS.iter().filter(|(of, ..)| *of == server).count();
        format!("{} of {checks}", checks - deviations)
    });
    let _ = writeln!(page, "| **in all** | | {} |", counts.join(" | "));
    for server in Server::ALL {
        let mut own = DEVIATIONS.iter().filter(|(of, ..)| *of == server).peekable();
        if own.peek().is_none() {
            continue;
        }
        let _ = writeln!(page, "\n## How {} deviates\n", server.name());
        for (_, name, how) in own {
            let _ = writeln!(page, "- {}: {how}", name.replace('_', " "));
        }
    }
    page.push('\n');
    page.push_str(RECORDED);
    page
}

#[test]
fn the_page_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/design/conformance.md");
    if std::env::var_os("REDRIVE_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("write");
        std::fs::write(&path, page()).expect("write");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page(), "docs/design/conformance.md is stale: run this test with REDRIVE_WRITE_DOCS=1");
}
