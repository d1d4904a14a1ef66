//! A plan as text, JSON and Markdown, also with text that would like to be more than text.

use super::super::document::MAX_COMMENT;
use super::super::text::{Screen, Style};
use super::*;
use crate::plan::fake::{at, plan};
use crate::plan::{Approver, Hazard, HazardCode, Shown};

mod risks;

fn plain(plan: &Plan) -> String {
    document(plan, Some("plan.json"), &approvers(), Detail::default()).text(Screen::PLAIN)
}

fn at_width(width: usize) -> String {
    document(&plan().seal(), Some("plan.json"), &approvers(), Detail::default()).text(Screen { width, ..Screen::PLAIN })
}

fn markdown(plan: &Plan, file: Option<&str>, approvers: &[Approver]) -> String {
    document(plan, file, approvers, Detail::default()).markdown()
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
fn a_terminal_of_80_columns_shows_it_at_a_glance() {
    insta::assert_snapshot!(at_width(80), @r#"
    Plan c8b1a6cacf1d for job orders-dlq
      Estimate: moves 21,600, archives 2,000, leaves 16,400; no risks found.

      INC-4711: gateway timeouts

      1 note (shown with --full)

    What would happen
      Estimated from 1,000 of about 40,000 messages; totals with their 95 %
      interval.

      rule and outcome                   sampled   total     95 % interval     bytes
      gateway timeouts                       600  24,000  22,771 to 25,206
        to origin orders                     540  21,600  20,357 to 22,833   13.2 MB
        cap reached, to graveyard             50   2,000    1,500 to 2,607    1.2 MB
        blocked: it would have more           10     400        195 to 728  360.0 kB
        than ten message attributes
        limit: moves at most 26,889, leaves at most 1,044
      unmatched                              400  16,000  14,794 to 17,229
        stays: no rule matched               400  16,000  14,794 to 17,229    9.6 MB
        limit: leaves at most 18,960
      all rules: moved                       540  21,600  20,357 to 22,833
      all rules: archived                     50   2,000    1,500 to 2,607
      all rules: kept                        400  16,000  14,794 to 17,229
      all rules: blocked                      10     400        195 to 728

    Cost of applying it
      About 10,163 SQS requests and 2,000 S3 requests, $0.0140 at list price, 1m 58s
      at the job's rate.

    From
      queue       orders-dlq, about 40,000 messages, 12 in flight
      ARN         arn:aws:sqs:eu-west-1:000000000000:orders-dlq
      properties  standard queue, no redrive policy, no KMS key, keeps messages 14d
      scope       only messages sent before 2026-11-22 06:00:00 UTC
      ages        sampled messages were sent 2026-11-19 06:11:02 UTC to 2026-11-22
                  05:58:40 UTC; the oldest expires 2026-12-03 06:11:02 UTC

      Ages of the sampled messages:

      1m to 10m   12 █
      10m to 1h    0
      1h to 6h   260 ███████████████
      6h to 1d   728 ████████████████████████████████████████

    To
      graveyard      s3://redrive-archive
      origin orders  arn:aws:sqs:eu-west-1:000000000000:orders: standard queue,
                     redrives to orders-dlq after 3 receives, no KMS key, keeps
                     messages 14d

    Called as
      source  eu-west-1, account 000000000000,
              arn:aws:sts::000000000000:assumed-role/ops/carol, with profile ops

    Examples
      gateway timeouts, to origin orders: 0b6ad0a4-2a5d-4c5b-9c7e-6a8c4f1d2e3f, sent
        2026-11-19 06:11:02 UTC
        asked  { body = "$.error.type", equals = "Timeout" }: found "Timeout"
        error  $.error.type: Timeout
        @ 3 lines the same
              "total": 1.10
            },
        -   "debug": true
        +   "replayed_by": "INC-4711"
          }
        + attribute retryCount (Number) = 1
          attribute tenant (String) = eu-1

    Approvals
      who                when                     signature              comment
      alice@example.com  2026-11-22 07:00:00 UTC  verified, SHA256:4kW1  looks right
      bob                2026-11-22 07:00:00 UTC  none                   -

    About this plan
      job      jobs/orders-dlq.toml, SHA-256 4e7d08d715e7
      made     2026-11-22 06:00:00 UTC by carol with redrive 0.1.0
      expires  2026-11-23 06:00:00 UTC

    Next step
      Apply it:
        redrive apply plan.json
    "#);
}

#[test]
fn a_terminal_of_60_columns_shows_all_of_it() {
    insta::assert_snapshot!(at_width(60));
}

#[test]
fn a_terminal_of_120_columns_shows_it_at_a_glance() {
    insta::assert_snapshot!(at_width(120));
}

#[test]
fn a_pull_request_shows_hazards_first_and_examples_folded() {
    insta::assert_snapshot!(markdown(&plan().seal(), Some("plan.json"), &approvers()), @r#"
    ## Plan `c8b1a6cacf1d` for job `orders-dlq`

    **Estimate: moves 21,600, archives 2,000, leaves 16,400; no risks found.**

    INC-4711: gateway timeouts

    <details><summary>1 note</summary>

    - **note: counts_approximate**: The counts are approximate.

    </details>


    ### What would happen

    Estimated from 1,000 of about 40,000 messages; totals with their 95 % interval.

    | rule and outcome | sampled | total | 95 % interval | bytes |
    | --- | ---: | ---: | ---: | ---: |
    | `gateway timeouts` | 600 | 24,000 | 22,771 to 25,206 |  |
    | – to origin orders | 540 | 21,600 | 20,357 to 22,833 | 13.2 MB |
    | – cap reached, to graveyard | 50 | 2,000 | 1,500 to 2,607 | 1.2 MB |
    | – blocked: it would have more than ten message attributes | 10 | 400 | 195 to 728 | 360.0 kB |
    | *limit: moves at most 26,889, leaves at most 1,044* |  |  |  |  |
    | `unmatched` | 400 | 16,000 | 14,794 to 17,229 |  |
    | – stays: no rule matched | 400 | 16,000 | 14,794 to 17,229 | 9.6 MB |
    | *limit: leaves at most 18,960* |  |  |  |  |
    | all rules: moved | 540 | 21,600 | 20,357 to 22,833 |  |
    | all rules: archived | 50 | 2,000 | 1,500 to 2,607 |  |
    | all rules: kept | 400 | 16,000 | 14,794 to 17,229 |  |
    | all rules: blocked | 10 | 400 | 195 to 728 |  |

    ### Cost of applying it

    About 10,163 SQS requests and 2,000 S3 requests, &#36;0.0140 at list price, 1m 58s at the job's rate.

    ### From

    - queue: `orders-dlq`, about 40,000 messages, 12 in flight
    - ARN: `arn:aws:sqs:eu-west-1:000000000000:orders-dlq`
    - properties: standard queue, no redrive policy, no KMS key, keeps messages 14d
    - scope: only messages sent before 2026-11-22 06:00:00 UTC
    - ages: sampled messages were sent 2026-11-19 06:11:02 UTC to 2026-11-22 05:58:40 UTC; the oldest expires 2026-12-03 06:11:02 UTC

    Ages of the sampled messages:

    ```text
      1m to 10m   12 █
      10m to 1h    0
      1h to 6h   260 ███████████████
      6h to 1d   728 ████████████████████████████████████████
    ```

    ### To

    - graveyard: `s3://redrive-archive`
    - origin orders: `arn:aws:sqs:eu-west-1:000000000000:orders`: standard queue, redrives to orders-dlq after 3 receives, no KMS key, keeps messages 14d

    ### Called as

    - source: eu-west-1, account 000000000000, arn:aws:sts::000000000000:assumed-role/ops/carol, with profile ops

    ### Examples

    <details><summary>gateway timeouts, to origin orders: 0b6ad0a4-2a5d-4c5b-9c7e-6a8c4f1d2e3f, sent 2026-11-19 06:11:02 UTC</summary>

    - asked: &#123; body = &#34;&#36;.error.type&#34;, equals = &#34;Timeout&#34; &#125;: found &#34;Timeout&#34;
    - error: &#36;.error.type: Timeout

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


    ### Approvals

    | who | when | signature | comment |
    | --- | --- | --- | --- |
    | `alice@example.com` | 2026-11-22 07:00:00 UTC | verified, `SHA256:4kW1` | `looks right` |
    | `bob` | 2026-11-22 07:00:00 UTC | none | - |

    ### About this plan

    - job: `jobs/orders-dlq.toml`, SHA-256 4e7d08d715e7
    - made: 2026-11-22 06:00:00 UTC by carol with redrive 0.1.0
    - expires: 2026-11-23 06:00:00 UTC

    ### Next step

    Apply it:

    ```sh
    redrive apply plan.json
    ```
    "#);
}

#[test]
fn nothing_in_a_plan_is_markup_in_a_page() {
    let tags = |plan: &Plan, approvers: &[Approver]| -> std::collections::BTreeSet<String> {
        let page = document(plan, Some("plan.json"), approvers, Detail::default()).html();
        assert!(!page.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{page}");
        page.split('<').skip(1).filter_map(|part| part.split('>').next()).map(str::to_owned).collect()
    };
    let mut refused = plan();
    refused.refusals = vec![Hazard::new(HazardCode::TooManyStay, "Too many stay.")];
    let plain = tags(&refused, &approvers());
    let hostile = tags(&hostile(), &hostile_approvers());
    assert!(plain.contains("div class=\"notice danger\"") && plain.contains("svg viewBox=\"0 0 720 96\" role=\"img\""));
    // No command where apply refuses; else what is there is there.
    assert!(hostile.is_subset(&plain), "{:?}", hostile.difference(&plain).collect::<Vec<_>>());
}

#[test]
fn lines_fit_the_terminal() {
    for width in [60, 72, 80, 100, 120] {
        for line in at_width(width).lines() {
            assert!(line.chars().count() <= width, "{line}");
        }
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let plan = plan().seal();
    let coloured = document(&plan, Some("plan.json"), &approvers(), Detail::default())
        .text(Screen { style: Style { colour: true }, ..Screen::PLAIN });
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
    for caller in &mut plan.callers {
        caller.endpoint = Some(evil.to_owned());
        caller.credentials = evil.to_owned();
    }
    for rule in &mut plan.rules {
        rule.name = evil.to_owned();
    }
    plan.hazards = [HazardCode::Dropped, HazardCode::SentAnew].map(|code| Hazard::new(code, evil)).into();
    plan.refusals.clone_from(&plan.hazards);
    for example in &mut plan.examples {
        let shown = Shown { body: evil.to_owned(), attributes: vec![evil.to_owned()] };
        example.message_id = evil.to_owned();
        example.detail = Some(evil.to_owned());
        example.errors = vec![Point { of: evil.to_owned(), found: evil.to_owned() }];
        example.before = shown.clone();
        example.after = Some(Shown { body: format!("{evil}{evil}"), ..shown });
    }
    plan
}

#[test]
fn nothing_in_a_plan_drives_a_terminal() {
    let text =
        document(&hostile(), Some("\u{1b}]0;x\u{7}"), &hostile_approvers(), Detail::default()).text(Screen::PLAIN);
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
    // The notes, and the example.
    assert_eq!((fence, summaries), (None, 2));
}

#[test]
fn long_examples_are_cut() {
    let mut plan = plan();
    let body: Vec<String> = (0..200).map(|number| format!("\"{number}{}\"", "x".repeat(300))).collect();
    plan.examples[0].after = None;
    plan.examples[0].asked.clear();
    plan.examples[0].errors.clear();
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
    assert!((50_000..MAX_COMMENT).contains(&page.len()), "{}", page.len());
    assert!(page.contains(" more do not fit in a comment.\n\n### Cost"));
    assert!(page.contains("\n500 more do not fit in a comment.\n"));
    assert!(page.ends_with("```\n"));
    let mut hostile = hostile();
    hostile.job.name = "\u{1b}".repeat(100_000);
    hostile.hazards = vec![hostile.hazards[0].clone(); 5000];
    hostile.targets = vec![hostile.targets[0].clone(); 5000];
    assert!(markdown(&hostile, None, &vec![approvers()[0].clone(); 5000]).len() < MAX_COMMENT);
}
