//! A plan as text, JSON and Markdown, also with text that would like to be more than text.

use super::super::text::Style;
use super::*;
use crate::plan::fake::{at, plan};
use crate::plan::{Approver, Hazard, Shown};

fn plain(plan: &Plan) -> String {
    text(plan, Some("plan.json"), &approvers(), Style::PLAIN)
}

fn approvers() -> Vec<Approver> {
    let approver = |by: &str, comment: Option<&str>, key: Option<&str>, signed| Approver {
        by: by.to_owned(),
        comment: comment.map(str::to_owned),
        at: at("2026-11-22T07:00:00Z"),
        key: key.map(str::to_owned),
        signed,
    };
    vec![
        approver("alice@example.com", Some("looks right"), Some("SHA256:4kW1"), true),
        approver("bob", None, None, false),
    ]
}

fn hostile_approvers() -> Vec<Approver> {
    let evil = "\u{1b}[2J\n# x|";
    let approver = approvers().remove(0);
    vec![Approver { by: evil.to_owned(), comment: Some(evil.to_owned()), key: Some(evil.to_owned()), ..approver }]
}

#[test]
fn a_terminal_shows_it_at_a_glance() {
    insta::assert_snapshot!(plain(&plan().seal()), @r#"
    Plan 9a457b3eabc1 for job orders-dlq
      INC-4711: gateway timeouts
      jobs/orders-dlq.toml, planned 2026-11-22 06:00:00 UTC by carol with redrive 0.1.0, can be applied
      until 2026-11-23 06:00:00 UTC

    From
      orders-dlq, about 40,000 messages, 12 in flight
        arn:aws:sqs:eu-west-1:000000000000:orders-dlq
        standard queue, no redrive policy, no KMS key, keeps messages 14d
        sampled ones sent 2026-11-19 06:11:02 UTC to 2026-11-22 05:58:40 UTC; the oldest expires
        2026-12-03 06:11:02 UTC
          1m to 10m         12 █
          10m to 1h          0
          1h to 6h         260 ███████████████
          6h to 1d         728 ████████████████████████████████████████
        only messages sent before 2026-11-22 06:00:00 UTC

    To
      graveyard
        s3://redrive-archive
      origin orders
        arn:aws:sqs:eu-west-1:000000000000:orders
        standard queue, redrives to orders-dlq after 3 receives, no KMS key, keeps messages 14d

    What would happen (1,000 of about 40,000 messages looked at; totals with their 95 % interval)
                                                   sampled       total          95 % interval      bytes
      gateway timeouts                                 600      24,000       22,771 to 25,206
        to origin orders                               540      21,600       20,357 to 22,833    13.2 MB
        cap reached, to graveyard                       50       2,000         1,500 to 2,607     1.2 MB
        blocked: it would have more than ten message attributes
                                                        10         400             195 to 728   360.0 kB
        at most 26,889 may leave by it, and 1,044 stay
      unmatched                                        400      16,000       14,794 to 17,229
        stays: no rule matched                         400      16,000       14,794 to 17,229     9.6 MB
        at most 18,960 may stay by it

      moved                                            540      21,600       20,357 to 22,833
      archived                                          50       2,000         1,500 to 2,607
      kept                                             400      16,000       14,794 to 17,229
      blocked                                           10         400             195 to 728

    Cost of applying it
      about 10,163 SQS requests and 2,000 S3 requests, $0.0140 at list price, 1m 58s at the job's rate

    What to know (1 hazard)
      counts_approximate
        The counts are approximate.

    Examples
      gateway timeouts, to origin orders: 0b6ad0a4-2a5d-4c5b-9c7e-6a8c4f1d2e3f, sent 2026-11-19 06:11:02
        UTC
        @ 3 lines the same
              "total": 1.10
            },
        -   "debug": true
        +   "replayed_by": "INC-4711"
          }
        + attribute retryCount (Number) = 1
          attribute tenant (String) = eu-1

    Approvals
      who                when                     signature              what they said
      alice@example.com  2026-11-22 07:00:00 UTC  verified, SHA256:4kW1  looks right
      bob                2026-11-22 07:00:00 UTC  none                   -

    Apply it: redrive apply plan.json
    "#);
}

#[test]
fn a_pull_request_shows_hazards_first_and_examples_folded() {
    insta::assert_snapshot!(markdown(&plan().seal(), Some("plan.json"), &approvers()), @r#"
    ## Redrive plan 9a457b3eabc1 for job orders-dlq

    INC-4711: gateway timeouts

    ### What to know

    - **counts_approximate**: The counts are approximate.

    ### Approvals

    | who | when | signature | what they said |
    | --- | --- | --- | --- |
    | `alice@example.com` | 2026-11-22 07:00:00 UTC | verified, `SHA256:4kW1` | `looks right` |
    | `bob` | 2026-11-22 07:00:00 UTC | none | - |

    ### What would happen

    1,000 of about 40,000 messages looked at; totals with their 95 % interval.

    | rule | outcome | sampled | total | 95 % interval | bytes |
    | --- | --- | ---: | ---: | ---: | ---: |
    | **in all** | moved | 540 | 21,600 | 20,357 to 22,833 |  |
    | **in all** | archived | 50 | 2,000 | 1,500 to 2,607 |  |
    | **in all** | kept | 400 | 16,000 | 14,794 to 17,229 |  |
    | **in all** | blocked | 10 | 400 | 195 to 728 |  |
    | **gateway timeouts** | at most 26,889 may leave by it, and 1,044 stay | 600 | 24,000 | 22,771 to 25,206 |  |
    |  | to origin orders | 540 | 21,600 | 20,357 to 22,833 | 13.2 MB |
    |  | cap reached, to graveyard | 50 | 2,000 | 1,500 to 2,607 | 1.2 MB |
    |  | blocked: it would have more than ten message attributes | 10 | 400 | 195 to 728 | 360.0 kB |
    | **unmatched** | at most 18,960 may stay by it | 400 | 16,000 | 14,794 to 17,229 |  |
    |  | stays: no rule matched | 400 | 16,000 | 14,794 to 17,229 | 9.6 MB |

    ### Queues

    | | what | where | properties |
    | --- | --- | --- | --- |
    | from | orders-dlq | arn:aws:sqs:eu-west-1:000000000000:orders-dlq | about 40,000 messages, 12 in flight; standard queue, no redrive policy, no KMS key, keeps messages 14d; only messages sent before 2026-11-22 06:00:00 UTC; sampled ones sent 2026-11-19 06:11:02 UTC to 2026-11-22 05:58:40 UTC; the oldest expires 2026-12-03 06:11:02 UTC |
    | to | graveyard | s3&#58;//redrive-archive | archive |
    | to | origin orders | arn:aws:sqs:eu-west-1:000000000000:orders | standard queue, redrives to orders-dlq after 3 receives, no KMS key, keeps messages 14d |

    Ages of the sampled messages:

    ```text
    1m to 10m         12 █
    10m to 1h          0
    1h to 6h         260 ███████████████
    6h to 1d         728 ████████████████████████████████████████
    ```

    Applying it costs about 10,163 SQS requests and 2,000 S3 requests, $0.0140 at list price, 1m 58s at the job's rate.

    ### Examples

    <details><summary>gateway timeouts, to origin orders: 0b6ad0a4-2a5d-4c5b-9c7e-6a8c4f1d2e3f</summary>

    ```diff
    @ 3 lines the same
          "total": 1.10
        },
    -   "debug": true
    +   "replayed_by": "INC-4711"
      }
    + attribute retryCount (Number) = 1
      attribute tenant (String) = eu-1
    ```

    </details>


    Apply it:

    ```sh
    redrive apply plan.json
    ```

    <sub>jobs/orders-dlq.toml, SHA-256 4e7d08d715e7; planned 2026-11-22 06:00:00 UTC by carol with redrive 0.1.0, can be applied until 2026-11-23 06:00:00 UTC</sub>
    "#);
}

#[test]
fn lines_fit_the_terminal() {
    for line in plain(&plan().seal()).lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn the_json_is_the_document() {
    let plan = plan().seal();
    let text = json(&plan).expect("plain data");
    assert_eq!(serde_json::from_str::<Plan>(&text).expect("a plan"), plan);
}

#[test]
fn a_refused_plan_says_so_first_and_gives_no_command() {
    let mut plan = plan();
    plan.refusals = vec![Hazard { code: "too_many_stay".to_owned(), text: "Too many stay.".to_owned() }];
    let plan = plan.seal();
    let text = plain(&plan);
    let (refused, from) = (text.find("REFUSED").expect("said"), text.find("\nFrom\n").expect("said"));
    assert!(refused < from && !text.contains("redrive apply"));
    let markdown = markdown(&plan, Some("plan.json"), &[]);
    assert!(markdown.find("### Refused").expect("said") < markdown.find("### What to know").expect("said"));
    assert!(!markdown.contains("redrive apply"));
}

#[test]
fn a_plan_that_is_not_saved_says_how_to_save_it() {
    assert!(text(&plan().seal(), None, &[], Style::PLAIN).ends_with("can be reviewed and applied.\n"));
    assert_eq!(quoted("a b's.json"), r"'a b'\''s.json'");
    assert_eq!(quoted("-x"), "'./-x'");
}

#[test]
fn colour_changes_nothing_but_colour() {
    let plan = plan().seal();
    let coloured = text(&plan, Some("plan.json"), &approvers(), Style { colour: true });
    let mut stripped = String::new();
    let mut rest = coloured.as_str();
    while let Some(start) = rest.find('\u{1b}') {
        stripped.push_str(&rest[..start]);
        rest = &rest[start..];
        rest = &rest[rest.find('m').expect("an escape ends") + 1..];
    }
    stripped.push_str(rest);
    assert_eq!(stripped, plain(&plan));
}

/// A plan in which every text is hostile.
fn hostile() -> Plan {
    let evil = "\u{1b}[2J\u{202e}</summary><script>@team\n# x\n| `````";
    let mut plan = plan();
    plan.digest = evil.to_owned();
    plan.tool_version = evil.to_owned();
    plan.job.name = evil.to_owned();
    plan.job.description = Some(evil.to_owned());
    plan.job.file = evil.to_owned();
    plan.job.sha256 = evil.to_owned();
    plan.source.arn = evil.to_owned();
    plan.source.kms_key = Some(evil.to_owned());
    for target in &mut plan.targets {
        target.destination = evil.to_owned();
        target.location = target.location.as_ref().map(|_| evil.to_owned());
        if let Some(queue) = &mut target.queue {
            queue.arn = evil.to_owned();
            queue.redrive_policy.as_mut().expect("it has one").dead_letter_target_arn = evil.to_owned();
        }
    }
    for rule in &mut plan.rules {
        rule.name = evil.to_owned();
    }
    plan.hazards = vec![Hazard { code: evil.to_owned(), text: evil.to_owned() }];
    plan.refusals.clone_from(&plan.hazards);
    for example in &mut plan.examples {
        let shown = Shown { body: evil.to_owned(), attributes: vec![evil.to_owned()] };
        example.message_id = evil.to_owned();
        example.detail = Some(evil.to_owned());
        example.before = shown.clone();
        example.after = Some(Shown { body: format!("{evil}{evil}"), ..shown });
    }
    plan
}

#[test]
fn nothing_in_a_plan_drives_a_terminal() {
    let text = text(&hostile(), Some("\u{1b}]0;x\u{7}"), &hostile_approvers(), Style::PLAIN);
    assert!(!text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text}");
    // A line end in a name makes no line of its own; in a body it does, and the line is marked as the example's.
    assert!(!text.lines().any(|line| line.starts_with('#')));
}

#[test]
fn nothing_in_a_plan_drives_a_page() {
    let page = markdown(&hostile(), None, &[]);
    assert!(!page.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{page}");
    let (mut fence, mut summaries) = (None, 0);
    // The ages are numbers, and stand in a fence of their own.
    let (head, rest) = page.split_once("```text\n").expect("the ages");
    let rest = rest.split_once("```\n").expect("their end").1;
    for line in head.lines().chain(rest.lines()) {
        match &fence {
            Some(end) if line == *end => fence = None,
            Some(_) => assert!(line.starts_with(['-', '+', ' ', '@']), "{line}"),
            None if line.starts_with("```") => fence = Some(line.trim_end_matches(char::is_alphabetic).to_owned()),
            None => {
                summaries += line.matches("</summary>").count();
                assert!(!line.contains("<script") && !line.contains("@team") && !line.contains('`'), "{line}");
                assert!(!line.starts_with("# "), "{line}");
            }
        }
    }
    assert_eq!((fence, summaries), (None, 1));
}

#[test]
fn long_examples_are_cut() {
    let mut plan = plan();
    let body: Vec<String> = (0..200).map(|number| format!("\"{number}{}\"", "x".repeat(300))).collect();
    plan.examples[0].after = None;
    plan.examples[0].before.body = format!("[{}]", body.join(","));
    let text = plain(&plan);
    assert!(text.contains("lines more") && text.contains("characters more]"));
    assert!(text.lines().count() < 120);
}

#[test]
fn a_comment_is_never_longer_than_a_page_takes() {
    let mut plan = plan();
    plan.job.description = Some("<`|é".repeat(50_000));
    plan.rules = (0..3000).map(|number| RuleFigures { rule: RuleId(number), ..plan.rules[0].clone() }).collect();
    plan.examples = vec![plan.examples[0].clone(); 500];
    let page = markdown(&plan, Some(&"f".repeat(10_000)), &[]);
    assert!((50_000..65_536).contains(&page.len()), "{}", page.len());
    assert!(page.contains(" rules more: they do not fit into a comment.\n\n### Queues\n"));
    assert!(page.contains("\n500 examples more: they do not fit into a comment.\n"));
    assert!(page.ends_with("</sub>\n"));
    let mut hostile = hostile();
    hostile.job.name = "\u{1b}".repeat(100_000);
    hostile.hazards = vec![hostile.hazards[0].clone(); 5000];
    hostile.targets = vec![hostile.targets[0].clone(); 5000];
    assert!(markdown(&hostile, None, &vec![approvers()[0].clone(); 5000]).len() < 65_536);
}
