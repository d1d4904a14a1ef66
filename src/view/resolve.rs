//! What is in doubt in a run, and what was decided about it, as documents and JSON. Pure.

use serde::Serialize;

use super::document::{Block, Document, heading, ours, plain};
use super::report;
use super::run::Report;
use super::units;
use super::wire::{self, Listing};
use redrive_protocol::protocol::Resolution;

/// What somebody can decide about, for a person; the report's troubles are the messages.
pub fn doubts(report: &Report) -> Document {
    let number = report.troubles.doubts();
    let title = ours("Run ").theirs(&report.figures.run).ours(" of job ").theirs(&report.figures.job).ours(": ");
    let mut blocks = vec![Block::Title(title.plain(units::messages(number)).ours(" in doubt or held"))];
    if number > 0 {
        blocks.extend(report::doubts(report));
        blocks.extend(report::all_of_them(report, "resolve"));
        blocks.extend([
            heading("How to decide"),
            Block::Paragraph(
                ours("Look for each at its destination. Then name the IDs, or ")
                    .code("--all")
                    .ours(", and one of these:"),
            ),
            Block::List(vec![
                ours("")
                    .code("--discard")
                    .ours(": it has arrived. The next apply deletes it from the source and does not send it."),
                ours("").code("--resend").ours(
                    ": it has not arrived, or arriving twice is fine. The next apply evaluates it again and sends it.",
                ),
                ours("").code("--release").ours(": it stays in the source, and this run leaves it alone."),
            ]),
            Block::Command(format!("redrive resolve {} --discard MESSAGE…", report.figures.run)),
        ]);
    }
    Document::new(blocks)
}

/// The same for a program: one line, one object of type `doubts`, which lists every message.
pub fn json(report: &Report) -> Listing<'_> {
    Listing::of("doubts", report)
}

/// What was decided, for a person. The report is that of the run as it is now.
pub fn decided(report: &Report, resolution: Resolution, number: u64) -> Document {
    let messages = plain(units::messages(number));
    let said = match resolution {
        Resolution::Resend => messages.ours(" to be evaluated and sent again by the next apply."),
        Resolution::Discard => messages.ours(" to be deleted from the source by the next apply, and not to be sent."),
        Resolution::Release => messages.ours(" left in the source; this run does nothing more with them."),
        Resolution::Abandon if report.record.ended.is_none() => ours(
            "The run is abandoned. Confirmed sends are not repeated. The next apply only brings back the parked messages; \
             after that, a new plan of the job can continue.",
        ),
        Resolution::Abandon => {
            ours("The run is abandoned. Confirmed sends are not repeated: a new plan of the job can continue.")
        }
    };
    let mut blocks = vec![Block::Paragraph(said)];
    if report.record.ended.is_none() {
        blocks.extend(report::go_on(report));
    }
    Document::new(blocks)
}

#[derive(Debug, Serialize)]
struct Decided<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    run: &'a str,
    decision: &'static str,
    messages: u64,
    outcome: &'a str,
}

/// The same for a program: one line, one object of type `resolved`.
pub fn decided_json(report: &Report, resolution: Resolution, number: u64) -> String {
    wire::line(&Decided {
        kind: "resolved",
        version: wire::VERSION,
        run: &report.figures.run,
        decision: resolution.code(),
        messages: number,
        outcome: report.outcome(),
    })
}
