//! The list and the status as people get them.

use super::super::report::sample::{hostile, report, stopped};
use super::super::text::Screen;
use super::*;

#[test]
fn the_list() {
    let mut unfinished = report();
    unfinished.record.outcome = None;
    unfinished.record.ended = None;
    let runs = [unfinished, report()];
    insta::assert_snapshot!(list(&runs).text(Screen::PLAIN), @"
    run           job         source      started                  outcome     received   left  stayed
    3f2a9c0d1e4b  orders-dlq  orders-dlq  2026-11-20 10:00:00 UTC  unfinished     9,996  9,031     965
    3f2a9c0d1e4b  orders-dlq  orders-dlq  2026-11-20 10:00:00 UTC  finished       9,996  9,031     965
    ");
    assert_eq!(list(&[]).text(Screen::PLAIN), "  No runs in this journal yet.\n");
}

#[test]
fn the_list_for_a_program_is_a_line_each() {
    let lines = json(&[report(), hostile()]);
    assert_eq!(lines.lines().count(), 2);
    for line in lines.lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!((&object["type"], &object["version"]), (&"run".into(), &1.into()));
        assert_eq!(object["received"], 9996);
    }
    assert_eq!(json(&[]), "");
}

#[test]
fn the_status() {
    let run = stopped("drifted");
    insta::assert_snapshot!(status(&run).text(Screen::PLAIN), @"
    Run 3f2a9c0d1e4b of job orders-dlq: drifted
      Stopped because the queue does not hold what was planned. Nothing is lost: the journal knows where
      every message is, and the run can be continued.

      for      INC-4711: gateway timeouts
      source   arn:aws:sqs:eu-west-1:123456789012:orders-dlq
      started  2026-11-20 10:00:00 UTC
      ended    not finished
      took     3,100 SQS requests (0.34 for each message that left the source) in 1 min 35 s, 94
               messages a second

    What happened
      received 9,996 = moved 7,051 + archived 1,980 + dropped 0 + kept 950 + blocked 12 + held 2 +
      failed 1

      rule              outcome                                               messages
      gateway timeouts  moved to orders                                          7,003
      gateway timeouts  archived to graveyard (retry count exhausted)            1,980
      gateway timeouts  held: the answer to its send never came                      2
      gateway timeouts  refused by orders: the destination refused it                1
      refunds           moved to payments                                           48
      refunds           blocked: a transform needs JSON, and the body is not        12
      unmatched         kept: no rule matched                                      947
      out of scope      kept: this run sent it, and it came back                     3
      all               received                                                 9,996

      `redrive report` lists all that is in doubt, blocked or failed, and says what to do.

    In doubt
      The answer to a send of 5 messages never came.

      Held, waiting for your decision: it is unknown whether these arrived at orders. They stay in the
      source. Look for them there, and decide: `redrive resolve` takes `--discard` for those that
      arrived and `--resend` for the others.
      - aaaa-4

      Sent again after the answer was lost: these are certainly at orders, perhaps more than once: each
      lost answer can be one more copy. Nothing is lost. If its consumer is not idempotent, look for
      more copies of each.
      - aaaa-1, there as bbbb-1, 2 answers lost

      Sent again under the same deduplication ID: these are certainly at payments. SQS drops a second
      copy that comes within five minutes; a run that continued later than that may have made one.
      - aaaa-3

      Written again to the same place: these are certainly at graveyard, once. There is nothing to do.
      - aaaa-2

    Left in the source
      - 965 messages received by this run and left there.
      - 4 messages were in flight with another consumer at the end; this run could not see them.
      - Of the kept, 3 messages came back after this run moved them: the consumer may still be failing.

    Met against planned
      rule                             planned   limit  met so far
      gateway timeouts  moved   8,808 to 9,170  10,000       8,983
      refunds           moved        18 to 112  10,000          48
      refunds           stayed         1 to 53    none          12
      unmatched         stayed    775 to 1,127    none         947

    How to continue
      The same command would stop again. Look at what the queue holds first. Then either accept it, and
      continue this run beyond the plan's limits; confirmed sends are not repeated:
        redrive apply orders.plan.json --journal 'a b.db' --allow-drift

      Or give up this run and plan again; what it moved stays moved, and the next run knows it:
        redrive resolve 3f2a9c0d1e4b --abandon
        redrive plan jobs/orders.toml --out FILE

      It was started in /srv/redrive.
    ");
    assert!(status_json(&run).starts_with(r#"{"type":"status","version":1,"run":"3f2a9c0d1e4b""#));
    assert!(!status_json(&run).contains("troubles"));
}

#[test]
fn the_status_on_60_columns() {
    insta::assert_snapshot!(status(&stopped("drifted")).text(Screen { width: 60, ..Screen::PLAIN }));
}

#[test]
fn the_status_on_80_columns() {
    insta::assert_snapshot!(status(&stopped("drifted")).text(Screen { width: 80, ..Screen::PLAIN }));
}

#[test]
fn the_status_on_120_columns() {
    insta::assert_snapshot!(status(&stopped("drifted")).text(Screen { width: 120, ..Screen::PLAIN }));
}

#[test]
fn a_hostile_run_drives_no_terminal() {
    let run = hostile();
    for shown in [
        status(&run).text(Screen::PLAIN),
        status_json(&run),
        list(std::slice::from_ref(&run)).text(Screen::PLAIN),
        json(&[run]),
    ] {
        assert!(!shown.contains(|c: char| c != '\n' && c.is_control()) && !shown.contains('\u{202e}'), "{shown:?}");
    }
}
