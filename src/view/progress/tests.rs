//! What is told, and how often.

use std::time::Duration;

use super::super::report::sample;
use super::pace::expected;
use super::*;
use crate::apply::Events;
use redrive_protocol::protocol::Tally;
use redrive_protocol::target::RuleId;

fn resumed() -> Event {
    Event::Resumed { interrupted: true, in_doubt: 1, to_delete: 1200, to_release: 0 }
}

fn waiting() -> Event {
    Event::WaitingForOrphans { messages: 12, until: sample::at("2026-11-20T10:05:00Z") }
}

#[test]
fn only_what_leaves_the_source_is_expected_to() {
    let plan = sample::plan();
    assert_eq!(
        expected(&plan),
        [(RuleId(0), "gateway timeouts", 9000), (RuleId(1), "refunds", 50)],
        "kept and blocked ones stay"
    );
}

#[test]
fn lines_come_now_and_then() {
    let mut words = lines::Words::new(&sample::plan());
    let start = Instant::now();
    let progress = sample::progress(sample::tally());
    assert_eq!(words.line(&sample::progress(Tally::default()), start), None, "nothing has happened yet");
    let mut said = Vec::new();
    for tenth in 0..250 {
        said.extend(words.line(&progress, start + Duration::from_millis(tenth * 100)));
    }
    assert_eq!(said.len(), 3);
    insta::assert_snapshot!(said[0], @"9,031 of about 9,050 have left the source; kept 950, blocked 12, in doubt 5, failed 1");
    insta::assert_snapshot!(words.line(&resumed(), start).expect("a line"), @"Continuing an earlier session, which was interrupted: 1 message in doubt, 1,200 messages safely delivered and still to be deleted");
    insta::assert_snapshot!(words.line(&waiting(), start).expect("a line"), @"Waiting for 12 messages that the interrupted session may still have in flight, until 2026-11-20 10:05:00 UTC at the latest");
    assert_eq!(words.line(&waiting(), start + Duration::from_secs(1)), None, "not again and again");
}

#[test]
fn json_lines_come_once_a_second_at_most() {
    let mut json = lines::Json::new(sample::plan());
    let start = Instant::now();
    let mut said = Vec::new();
    for tenth in 0..30 {
        said.extend(json.line(&sample::progress(sample::tally()), start + Duration::from_millis(tenth * 100)));
    }
    assert_eq!(said.len(), 3);
    let object: serde_json::Value = serde_json::from_str(&said[2]).expect("JSON");
    assert_eq!((&object["type"], &object["outcome"]), (&"progress".into(), &"running".into()));
    assert_eq!((&object["moved"], &object["kept"], &object["requests"]), (&7051.into(), &950.into(), &3100.into()));
    insta::assert_snapshot!(object["pace"], @r#"{"expected":9050,"messages_per_second":0,"seconds_left":null}"#);
    insta::assert_snapshot!(json.line(&resumed(), start).expect("a line"), @r#"{"type":"resumed","version":1,"run":"3f2a9c0d1e4b","interrupted":true,"in_doubt":1,"to_delete":1200,"to_release":0}"#);
    insta::assert_snapshot!(json.line(&waiting(), start).expect("a line"), @r#"{"type":"waiting","version":1,"run":"3f2a9c0d1e4b","messages":12,"until":"2026-11-20T10:05:00Z"}"#);
}

#[tokio::test]
async fn showing_ends_when_the_last_sender_is_gone() {
    let mut events = Events::default();
    let listener = events.listen();
    let plan = sample::plan();
    let shown = tokio::spawn(async move { show(Mode::Lines, &plan, listener).await });
    drop(events);
    tokio::time::timeout(Duration::from_secs(10), shown).await.expect("it ends").expect("without a panic");
}
