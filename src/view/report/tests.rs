//! Reports as people get them.

mod agree;
mod hostile;
mod summary;

use super::super::text::Screen;
use super::sample::{gathered, report, stopped, trouble, troubles, whole};
use super::*;
use crate::apply::{Figures, Outcome, Summary, Totals};
use crate::journal::Process;
use redrive_protocol::protocol::State;

fn ended(outcome: Outcome) -> Summary {
    Summary { outcome, figures: report().figures }
}

fn text(report: &Report) -> String {
    document(report).text(Screen::PLAIN)
}

fn markdown(report: &Report) -> String {
    document(report).markdown()
}

fn html(report: &Report) -> String {
    document(report).html()
}

fn summary_text(ended: &Summary, how_to_resume: &str) -> String {
    let words: Vec<String> = how_to_resume.split(' ').map(str::to_owned).collect();
    summary(ended, &words).text(Screen::PLAIN)
}

#[test]
fn a_report_on_60_columns() {
    insta::assert_snapshot!(document(&report()).text(Screen { width: 60, ..Screen::PLAIN }));
}

#[test]
fn a_report_on_80_columns() {
    insta::assert_snapshot!(document(&report()).text(Screen { width: 80, ..Screen::PLAIN }));
}

#[test]
fn a_report_on_120_columns() {
    insta::assert_snapshot!(document(&report()).text(Screen { width: 120, ..Screen::PLAIN }));
}

#[test]
fn a_report_as_markdown() {
    insta::assert_snapshot!(markdown(&report()), @"
    ## Run `3f2a9c0d1e4b` of job `orders-dlq`: `finished`

    **Done, but 15 messages need attention (12 blocked, 2 held, 1 failed); they were left in the source. Every other message is where the plan wanted it.**

    - for: `INC-4711: gateway timeouts`
    - source: `arn:aws:sqs:eu-west-1:123456789012:orders-dlq`
    - started: 2026-11-20 10:00:00 UTC
    - ended: 2026-11-20 10:01:35 UTC
    - took: 3,100 SQS requests (0.34 for each message that left the source) in 1 min 35 s, 94 messages a second
    - plan: made 2026-11-20 09:58:00 UTC from `jobs/orders.toml`
    - digest: `sha256:3f2a9c0d1e4b3f2a9c0d1e4b3f2a9c0d1e4b3f2a9c0d1e4b3f2a9c0d1e4b`
    - job: SHA-256 `abababababababababababababababababababababababababababababababab`

    ### What happened

    received 9,996 = moved 7,051 + archived 1,980 + dropped 0 + kept 950 + blocked 12 + held 2 + failed 1

    | rule | outcome | messages |
    | --- | --- | ---: |
    | `gateway timeouts` | moved to `orders` | 7,003 |
    | `gateway timeouts` | archived to `graveyard` (retry count exhausted) | 1,980 |
    | `gateway timeouts` | held: the answer to its send never came | 2 |
    | `gateway timeouts` | refused by `orders`: the destination refused it | 1 |
    | `refunds` | moved to `payments` | 48 |
    | `refunds` | blocked: a transform needs JSON, and the body is not | 12 |
    | `unmatched` | kept: no rule matched | 947 |
    | `out of scope` | kept: this run sent it, and it came back | 3 |
    | all | received | 9,996 |

    ```text
      moved     7,051 ████████████████████████████████████████
      archived  1,980 ████████████
      kept        950 ██████
      blocked      12 █
      held          2 █
      failed        1 █
    ```

    ### Planned and actual

    | rule | planned to leave | left | planned to stay | stayed |
    | --- | ---: | ---: | ---: | ---: |
    | `gateway timeouts` | 9,000 | 8,983 | 0 | 3 |
    | `refunds` | 50 | 48 | 10 | 12 |
    | `unmatched` | 0 | 0 | 940 | 947 |
    | `out of scope` | 0 | 0 | 0 | 3 |

    ### Timeline

    ```text
      left the source: 9,031 messages, at most 164 a second
        ▁▃▆▇▇▆▆▂▇▆┊█
      came into doubt: 5 messages
        ·······█··┊·
      throttled: 18 requests
        ·······█··┊·
    ```

    From 2026-11-20 10:00:00 UTC to 2026-11-20 11:06:48 UTC, in slices of 8 seconds.

    ### Approvals

    | who | when | signature | comment |
    | --- | --- | --- | --- |
    | `alice@example.com` | 2026-11-22 07:00:00 UTC | not verified | `looks right` |

    ### In doubt

    The answer to a send of 5 messages never came.

    Held, waiting for your decision: it is unknown whether these arrived at `orders`. They stay in the source. Look for them there, and decide: `redrive resolve` takes `--discard` for those that arrived and `--resend` for the others.

    - `aaaa-4`

    Sent again after the answer was lost: these are certainly at `orders`, perhaps more than once: each lost answer can be one more copy. Nothing is lost. If its consumer is not idempotent, look for more copies of each.

    - `aaaa-1`, there as `bbbb-1`, 2 answers lost

    Sent again under the same deduplication ID: these are certainly at `payments`. SQS drops a second copy that comes within five minutes; a run that continued later than that may have made one.

    - `aaaa-3`

    Written again to the same place: these are certainly at `graveyard`, once. There is nothing to do.

    - `aaaa-2`

    ### Failed

    1 message refused by the destination and left in the source. Fix the cause it names, then plan again.

    the destination refused it, at `orders`:

    - `aaaa-5`: `InvalidMessageContents: no`

    ### Blocked

    12 messages could not be sent in full and were left in the source. Fix the job or the messages, then plan again.

    | reason | messages |
    | --- | ---: |
    | a transform needs JSON, and the body is not | 12 |

    a transform needs JSON, and the body is not:

    - `cccc-0`: `$.order.total`
    - `cccc-1`: `$.order.total`
    - `cccc-2`: `$.order.total`
    - `cccc-3`: `$.order.total`
    - `cccc-4`: `$.order.total`
    - `cccc-5`: `$.order.total`
    - `cccc-6`: `$.order.total`
    - `cccc-7`: `$.order.total`
    - `cccc-8`: `$.order.total`
    - `cccc-9`: `$.order.total`
    - and 2 more

    Long lists are shortened here. This lists every message, the most urgent first:

    ```sh
    redrive report 3f2a9c0d1e4b --format json
    ```

    ### Left in the source

    - 965 messages received by this run and left there.
    - 4 messages were in flight with another consumer at the end; this run could not see them.
    - Of the kept, 3 messages came back after this run moved them: the consumer may still be failing.
    ");
}

#[test]
fn a_report_as_json() {
    let mut pretty: serde_json::Value = serde_json::from_str(&whole(json(&report()), &troubles())).expect("JSON");
    let troubles = pretty["troubles"].as_array_mut().expect("troubles");
    assert_eq!(troubles.len(), 17, "all that are there");
    troubles.drain(1..);
    pretty["rules"].as_array_mut().expect("rules").drain(1..);
    pretty["timeline"]["slices"].as_array_mut().expect("slices").drain(1..);
    insta::assert_snapshot!(serde_json::to_string_pretty(&pretty).expect("JSON"), @r#"
    {
      "type": "report",
      "version": 1,
      "run": "3f2a9c0d1e4b",
      "job": "orders-dlq",
      "source": "orders-dlq",
      "outcome": "finished",
      "started": "2026-11-20T10:00:00Z",
      "ended": "2026-11-20T10:01:35Z",
      "command": [
        "redrive",
        "apply",
        "orders.plan.json",
        "--journal",
        "a b.db"
      ],
      "directory": "/srv/redrive",
      "sandbox": false,
      "plan": {
        "digest": "sha256:3f2a9c0d1e4b3f2a9c0d1e4b3f2a9c0d1e4b3f2a9c0d1e4b3f2a9c0d1e4b",
        "created": "2026-11-20T09:58:00Z",
        "tool_version": "0.1.0",
        "job_file": "jobs/orders.toml",
        "job_sha256": "abababababababababababababababababababababababababababababababab",
        "description": "INC-4711: gateway timeouts",
        "author": null,
        "approvals": [
          {
            "by": "alice@example.com",
            "comment": "looks right",
            "at": "2026-11-22T07:00:00Z",
            "key": null,
            "signed": true
          }
        ]
      },
      "received": 9996,
      "moved": 7051,
      "archived": 1980,
      "dropped": 0,
      "kept": 950,
      "blocked": 12,
      "held": 2,
      "failed": 1,
      "unfinished": 0,
      "parked": 0,
      "returned": 0,
      "in_doubt": 5,
      "bounced": 3,
      "archive_lost": 0,
      "deleted_for_other_runs": 0,
      "requests": 3100,
      "elapsed_ms": 95300,
      "not_released": 0,
      "still_visible": 0,
      "in_flight_elsewhere": 4,
      "rules": [
        {
          "rule": "gateway timeouts",
          "state": "done",
          "to": "orders",
          "exhausted": false,
          "reason": null,
          "messages": 7003
        }
      ],
      "timeline": {
        "seconds": 8,
        "slices": [
          {
            "start": "2026-11-20T10:00:00Z",
            "left": 80,
            "in_doubt": 0,
            "throttled": 0
          }
        ]
      },
      "troubles": [
        {
          "message_id": "aaaa-1",
          "state": "done",
          "rule": "gateway timeouts",
          "to": "orders",
          "reason": null,
          "doubts": 2,
          "sent_as": "bbbb-1",
          "note": null,
          "at": "2026-11-20T10:00:30Z"
        }
      ]
    }
    "#);
}

#[test]
fn a_page_stands_alone_and_runs_nothing() {
    let page = html(&report());
    for needed in [
        "<!doctype html>",
        r#"content="default-src 'none'; style-src 'unsafe-inline'""#,
        "prefers-color-scheme: dark",
        "<title>Run 3f2a9c0d1e4b of job orders-dlq: finished</title>",
        r#"<td class="number">7,003</td>"#,
        "<li><bdi>cccc-11</bdi>: <bdi>$.order.total</bdi></li>",
    ] {
        assert!(page.contains(needed), "{needed}");
    }
    for foreign in ["<script", "<img", "<link", "href", "src=", "url(", "@import", "onerror="] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn a_run_that_was_killed_is_unfinished() {
    let mut report = report();
    report.record.outcome = None;
    report.record.ended = None;
    report.record.process = Some(Process { pid: 4711, is_alive: false, elsewhere: None });
    let said = text(&report);
    assert!(
        said.starts_with("Run 3f2a9c0d1e4b of job orders-dlq: unfinished\n  Not finished: its process (4711)"),
        "{said}"
    );
    let listed = whole(json(&report), &[]);
    assert!(listed.contains(r#""outcome":"unfinished""#) && !listed.contains(r#""ended""#), "{listed}");
}

#[test]
fn figures_that_do_not_add_up_are_shouted() {
    let mut report = report();
    assert!(!text(&report).contains("ADD UP"));
    report.figures.moved += 1;
    assert!(text(&report).contains("THESE FIGURES DO NOT ADD UP"));
}

#[test]
fn the_table_and_the_sum_agree() {
    let report = report();
    assert!(report.figures.add_up());
    assert_eq!(report.figures.rules.iter().map(|row| row.messages).sum::<u64>(), report.figures.received);
}

#[test]
fn an_empty_run_divides_by_nothing() {
    let mut report = report();
    let nothing = redrive_protocol::protocol::Tally::default();
    report.figures = Figures::new(&report.plan, &nothing, Totals::default());
    report.troubles = Troubles::default();
    let said = text(&report);
    assert!(said.contains("received 0 = moved 0") && said.contains("Done. Every message"), "{said}");
    assert!(!said.contains("In doubt") && !said.contains("Blocked") && !said.contains("How to continue"));
}

#[test]
fn however_many_messages_there_are_few_are_kept_and_all_are_counted() {
    let mut report = report();
    let one = trouble("aaaa", State::Held, None, 1);
    let many: Vec<_> = std::iter::repeat_n(one, 5_000).chain(troubles()).collect();
    report.troubles = gathered(&report.plan, &many, MANY);
    assert_eq!(report.troubles.doubts(), 5_004);
    for said in [text(&report), markdown(&report)] {
        assert_eq!(said.matches("aaaa").count(), 10 + 5, "{said}");
        assert!(said.contains("- and 4,990 more"), "{said}");
        assert!(said.contains("redrive report 3f2a9c0d1e4b --format json"), "{said}");
    }
    assert!(html(&report).contains("and 4,000 more"));
    let to_decide = crate::view::resolve::doubts(&report).text(Screen::PLAIN);
    assert!(to_decide.contains("redrive resolve 3f2a9c0d1e4b --format json"), "{to_decide}");
    let listed: serde_json::Value = serde_json::from_str(&whole(json(&report), &many)).expect("JSON");
    assert_eq!(listed["troubles"].as_array().expect("a list").len(), many.len());
}
