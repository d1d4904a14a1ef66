//! The end of an apply, as people and programs get it.

use super::*;
use crate::error::Error;

#[test]
fn the_end_of_an_apply_as_text() {
    insta::assert_snapshot!(summary_text(&ended(Outcome::Interrupted), "redrive apply plan.json"), @"
    Run 3f2a9c0d1e4b of job orders-dlq: interrupted
      Stopped on request. Nothing is lost: the journal knows where every message is, and the run can be
      continued.

    What happened
      received 9,996 = moved 7,051 + archived 1,980 + dropped 0 + kept 950 + blocked 12 + held 2 +
      failed 1

      rule              outcome                                               messages
      gateway timeouts  went to orders                                           7,003
      gateway timeouts  went to graveyard (retry count exhausted)                1,980
      gateway timeouts  held: the answer to its send never came                      2
      gateway timeouts  refused by orders: the destination refused it                1
      refunds           went to payments                                            48
      refunds           blocked: a transform needs JSON, and the body is not        12
      out of scope      kept: this run sent it, and it came back                     3
      unmatched         kept: no rule matched                                      947
      all               received                                                 9,996

      3,100 SQS requests (0.34 for each message that left the source) in 1 min 35 s, 94 messages a
      second

      In doubt: the answer to a send of 5 messages never came. `redrive report` lists them and says what
      to do.

    Left in the source
      - 965 messages received by this run and left there.
      - 4 messages were in flight with another consumer at the end; this run could not see them.
      - Of the kept, 3 messages came back after this run moved them: the consumer may still be failing.

    How to continue
      The same command continues where the run stopped. Confirmed sends are not repeated.
        redrive apply plan.json
    ");
}

#[test]
fn a_failure_says_what_and_what_to_do() {
    let error = Error::failed("SendMessageBatch on orders: denied").hint("the credentials lack this permission");
    let text = summary_text(&ended(Outcome::Failed(error.clone())), "redrive apply plan.json");
    let lines: Vec<&str> = text.lines().take(6).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    Run 3f2a9c0d1e4b of job orders-dlq: failed
      Stopped by a failure: SendMessageBatch on orders: denied.

      the credentials lack this permission. Nothing is lost: the journal knows where every message is,
      and the same command continues
    ");
    let json: serde_json::Value = serde_json::from_str(&summary_json(&ended(Outcome::Failed(error)))).expect("JSON");
    assert_eq!(json["error"], "SendMessageBatch on orders: denied");
    let hint = json["hint"].as_str().expect("a hint");
    assert!(hint.starts_with("the credentials lack this permission. Nothing is lost"), "{hint}");
}

#[test]
fn the_last_line_of_an_apply_has_what_the_contract_names() {
    let line = summary_json(&ended(Outcome::Finished));
    insta::assert_snapshot!(line, @r#"{"type":"summary","version":1,"run":"3f2a9c0d1e4b","job":"orders-dlq","source":"orders-dlq","outcome":"finished","received":9996,"moved":7051,"archived":1980,"dropped":0,"kept":950,"blocked":12,"held":2,"failed":1,"unfinished":0,"parked":0,"returned":0,"in_doubt":5,"bounced":3,"archive_lost":0,"deleted_for_other_runs":0,"requests":3100,"elapsed_ms":95300,"not_released":0,"still_visible":0,"in_flight_elsewhere":4,"rules":[{"rule":"gateway timeouts","state":"done","to":"orders","exhausted":false,"reason":null,"messages":7003},{"rule":"gateway timeouts","state":"done","to":"graveyard","exhausted":true,"reason":null,"messages":1980},{"rule":"refunds","state":"done","to":"payments","exhausted":false,"reason":null,"messages":48},{"rule":"gateway timeouts","state":"held","to":"orders","exhausted":false,"reason":"answer_lost","messages":2},{"rule":"out of scope","state":"kept","to":null,"exhausted":false,"reason":"bounced","messages":3},{"rule":"unmatched","state":"kept","to":null,"exhausted":false,"reason":"unmatched","messages":947},{"rule":"refunds","state":"blocked","to":null,"exhausted":false,"reason":"not_json","messages":12},{"rule":"gateway timeouts","state":"failed","to":"orders","exhausted":false,"reason":"refused","messages":1}]}"#);
    assert!(line.starts_with(r#"{"type":"summary","version":1,"#) && !line.contains('\n'));
    let json: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    for field in [
        "run",
        "outcome",
        "received",
        "moved",
        "archived",
        "dropped",
        "kept",
        "blocked",
        "held",
        "failed",
        "in_doubt",
        "bounced",
        "requests",
        "elapsed_ms",
        "unfinished",
        "job",
        "source",
    ] {
        assert!(json.get(field).is_some(), "{field}");
    }
    assert!(json.get("error").is_none());
}

#[test]
fn every_stop_says_that_nothing_is_lost_and_how_to_go_on() {
    let words = || "3 > 2".to_owned();
    for outcome in [
        Outcome::Unfinished(words()),
        Outcome::Interrupted,
        Outcome::Drifted(words()),
        Outcome::Guarded(words()),
        Outcome::Failed(Error::failed(words())),
    ] {
        let (drifted, code) = (matches!(outcome, Outcome::Drifted(_)), outcome.code());
        let says_why = !matches!(outcome, Outcome::Interrupted);
        let summary = ended(outcome);
        let said = summary_text(&summary, "redrive apply p.json");
        assert!(said.contains("Nothing is lost"), "{said}");
        // After a drift the same command would only stop again.
        assert_eq!(said.ends_with("\n    redrive apply p.json\n"), !drifted, "{said}");
        assert_eq!(said.contains("\n    redrive apply p.json --allow-drift\n"), drifted, "{said}");
        assert_eq!(said.contains("\n    redrive resolve 3f2a9c0d1e4b --abandon\n"), drifted, "{said}");
        assert_eq!(said.contains("3 > 2"), says_why);
        let line: serde_json::Value = serde_json::from_str(&summary_json(&summary)).expect("JSON");
        assert_eq!(line["outcome"], code);
        assert_eq!(line.get("error").is_some(), says_why);
        let later = text(&stopped(code));
        let command = "\n    redrive apply orders.plan.json --journal 'a b.db'\n";
        assert!(later.contains("Nothing is lost") && later.contains(command) != drifted, "{later}");
        assert!(later.contains("ended    not finished"));
    }
    assert!(!summary_text(&ended(Outcome::Finished), "redrive apply p.json").contains("redrive apply"));
}
