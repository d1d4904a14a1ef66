//! An inspection at any width, and with no more than fits into a comment.

use std::collections::BTreeMap;

use redrive_groups::Collector;
use redrive_protocol::message::Attribute;

use super::super::document::MAX_COMMENT;
use super::super::text::{Screen, Style};
use super::*;

fn inspection(kinds: usize, messages: usize, filler: &str) -> Inspection {
    let mut collector = Collector::default();
    let now: Timestamp = "2026-11-20T12:00:00Z".parse().expect("a time");
    for n in 0..messages {
        let class = format!("Kind{}Error", char::from(b'A' + u8::try_from(n % kinds).expect("a letter")));
        let body = format!(
            r#"{{"n":{n},"text":"{filler}","error":{{"type":"{class}","message":"it failed at {n} for reasons that take some words to tell"}}}}"#
        );
        let origin = format!("arn:aws:sqs:eu-west-1:123456789012:q{}", n % 8);
        let sent = (now.as_millisecond() - i64::try_from(n).expect("small") * 400_000).to_string();
        collector.take(
            Message {
                id: MessageId::new(format!("{n}")),
                body,
                attributes: BTreeMap::from([("tenant".to_owned(), Attribute::string(["eu", "us"][n % 2]))]),
                system: SystemAttributes(BTreeMap::from([
                    ("SentTimestamp".to_owned(), sent),
                    ("DeadLetterQueueSourceArn".to_owned(), origin),
                ])),
                payload: None,
            },
            0,
        );
    }
    let finding = collector.finish(now);
    let sample = Sample::of_file(finding.grouped(), finding.looked);
    Inspection { source: Source::File("archive.jsonl".to_owned()), now, sample, finding, redact: Vec::new() }
}

#[test]
fn text_keeps_to_its_width_but_for_what_is_there_to_be_copied() {
    let inspection = inspection(3, 60, "x");
    let document = document(&inspection, false);
    for width in [40, 60, 80, 120, 200] {
        let text = document.text(Screen { width, style: Style::PLAIN });
        // Examples are laid out as JSON, and rules are there to be copied.
        for line in text.lines().filter(|line| !line.contains(" = ") && !line.contains("\": ")) {
            assert!(line.chars().count() <= width, "{width}: {line}\n{text}");
        }
        assert_eq!(text.matches("[[rule]]").count(), 3, "{text}");
        assert_eq!(text.matches("3 other queues: ").count(), 3, "{text}");
    }
}

#[test]
fn markdown_fits_into_a_comment_and_a_page_holds_everything() {
    let inspection = inspection(25, 500, &"long ".repeat(4000));
    let markdown = document(&inspection, false).markdown();
    assert!(markdown.len() <= MAX_COMMENT, "{} bytes", markdown.len());
    let page = document(&inspection, true).html();
    assert_eq!(page.matches("<section>").count(), 25);
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(page.matches("<svg").count() >= 25, "ages are plotted");
}
