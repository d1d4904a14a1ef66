//! Jobs that do not compile: every problem with its place, all at once.

use std::fmt::Write as _;

use super::*;
use crate::job::Step;

fn problems(lines: &str) -> String {
    let Err(problems) = Rules::compile(&job(lines)) else {
        return "compiles".to_owned();
    };
    let mut text = String::new();
    for problem in problems {
        for step in &problem.at {
            match step {
                Step::Key(key) => write!(text, ".{key}"),
                Step::Index(index) => write!(text, "[{index}]"),
            }
            .expect("text");
        }
        writeln!(text, " {:?}: {}", problem.within, problem.message).expect("text");
    }
    text
}

/// A job with something wrong nearly everywhere.
const BROKEN: &str = r#"
[retry]
attribute = "n"
max = 1
exhausted = "nowhere"
[origin]
fallback = "neither"
[report]
redact = ["$.ok", "customer"]
[destination.bad]
sqs = { queue = "q", message_group_id = "{grp}", message_deduplication_id = "{" }
[destination.worse]
s3 = { bucket = "b", key = "{message_id" }
[[rule]]
name = "a"
when = [
  { body = "$.a[", exists = true },
  { any = [{ body = "$.a", regex = "a(b" }, { not = { attribute = "x", regex = "[z-a]" } }] },
  { body = "$.a" },
  { exists = true },
  { body = "$.a", attribute = "b", exists = true },
  { body = "$.a", exists = true, prefix = "x" },
  { body = "$.a", lt = 1, lte = 2 },
  { body = "$.a", lt = "1" },
  { body = "$.a", gt = nan },
  { body = "$.a", any_of = [] },
  { body = "$.a", equals = 2026-11-20 },
  { body = "$.a", any_of = ["a", inf] },
  { all = [] },
  { all = [{ message = "id", exists = true }], exists = true },
  { message = "text", regex = "(\\pL{1000}){1000}" },
]
to = "nowhere"
[[rule]]
name = "b"
when = []
transform = [
  { set = "$.*", value = 1 },
  { set = "a", value = 1 },
  { set = "$.a" },
  { set = "$.a", value = 2026-11-20T00:00:00Z },
  { remove = "$" },
  { remove = "$..a" },
  { set = "$.a", remove = "$.b" },
  {},
  { set_attribute = "a" },
  { set_attribute = "a", value = true },
  { set_attribute = "a", value = "" },
  { set_attribute = "a", value = "x", type = "Number" },
  { set_attribute = "a", value = "x", type = "Binary" },
  { set_attribute = "a", value = "é{mesage_id}" },
  { rename = "$.a" },
  { rename = "$", to = "$.a" },
  { rename = "$..a", to = "b" },
  { rename = "$.a", to = "$.b[0]" },
  { rename = "$.a", to = "$.a" },
  { rename = "$.a", to = "$.a.b" },
  { rename = "$.a.b", to = "$.a" },
  { unwrap = "$.*" },
]
to = "keep"
"#;

#[test]
fn all_problems_with_their_places() {
    insta::assert_snapshot!(problems(BROKEN), @r##"
    .destination.bad.sqs.message_group_id Some(0..5): no placeholder is called `{grp}`; there are {message_id} {sent_timestamp} {date} {run} {job} {rule} {source_queue}; a brace itself is written `{{`
    .destination.bad.sqs.message_deduplication_id Some(0..1): a `{` that is never closed; a brace itself is written `{{`
    .destination.worse.s3.key Some(0..1): a `{` that is never closed; a brace itself is written `{{`
    .rule[0].when[0].body Some(3..4): the JSONPath ends in the middle
    .rule[0].when[1].any[0].regex Some(1..2): not a regular expression: unclosed group
    .rule[0].when[1].any[1].not.regex Some(1..4): not a regular expression: invalid character class range, the start must be <= the end
    .rule[0].when[2] None: the condition has no test
    .rule[0].when[3] None: the condition has no subject
    .rule[0].when[4] None: the condition has more than one subject
    .rule[0].when[5] None: the condition has more than one test
    .rule[0].when[6] None: the condition has more than one test
    .rule[0].when[7].lt None: expected a number
    .rule[0].when[8].gt None: nan and inf are nothing to compare with
    .rule[0].when[9].any_of None: expected at least one value
    .rule[0].when[10].equals None: expected a text, a number or a boolean, found a date or time
    .rule[0].when[11].any_of[1] None: nan and inf are no JSON values
    .rule[0].when[12].all None: expected at least one condition
    .rule[0].when[13] None: a group of conditions has no test of its own
    .rule[0].when[14].regex None: the regular expression cannot be used: Compiled regex exceeds size limit of 4194304 bytes.
    .rule[0].to None: there is no destination "nowhere"
    .rule[1].when None: expected at least one condition
    .rule[1].transform[0].set None: the path must denote one place: only names and indexes, such as "$.order.items[0].sku"
    .rule[1].transform[1].set None: a JSONPath begins with "$"
    .rule[1].transform[2] None: set needs a value
    .rule[1].transform[3].value None: expected a text, a number or a boolean, found a date or time
    .rule[1].transform[4].remove None: the body itself cannot be removed
    .rule[1].transform[5].remove None: the path must denote one place: only names and indexes, such as "$.order.items[0].sku"
    .rule[1].transform[6] None: expected exactly one kind of transform
    .rule[1].transform[7] None: expected exactly one kind of transform
    .rule[1].transform[8] None: set_attribute needs a value
    .rule[1].transform[9].value None: expected a text or a number
    .rule[1].transform[10].value None: an attribute cannot be empty
    .rule[1].transform[11].value None: the attribute is a Number, and this is no number
    .rule[1].transform[12].type None: expected String or Number, with or without a label such as Number.int
    .rule[1].transform[13].value Some(2..13): no placeholder is called `{mesage_id}`; did you mean `{message_id}`?
    .rule[1].transform[14] None: rename needs a to
    .rule[1].transform[15].rename None: the body itself cannot be renamed
    .rule[1].transform[16].rename None: the path must denote one place: only names and indexes, such as "$.order.items[0].sku"
    .rule[1].transform[16].to None: a JSONPath begins with "$"
    .rule[1].transform[17].to None: expected a path that ends in a name: the new one
    .rule[1].transform[18].to None: a value cannot be moved into itself
    .rule[1].transform[19].to None: a value cannot be moved into itself
    .rule[1].transform[20].to None: a value cannot take the place of what holds it
    .rule[1].transform[21].unwrap None: the path must denote one place: only names and indexes, such as "$.order.items[0].sku"
    .origin.fallback None: there is no destination "neither"
    .retry.exhausted None: there is no destination "nowhere"
    .report.redact[1] None: a JSONPath begins with "$"
    "##);
}

#[test]
fn what_compiles() {
    for lines in [
        "",
        "[[rule]]\nname = \"r\"\nwhen = [{ body = \"$.a\", gt = 1, lte = 2 }, { body = \"$.b\", lt = 2, gte = 1.5 }]\nto = \"keep\"\n",
        "[[rule]]\nname = \"r\"\nwhen = [{ system = \"SentTimestamp\", newer_than = \"2h\", older_than = \"1h\" }]\nto = \"keep\"\n",
        "[[rule]]\nname = \"r\"\nwhen = [{ message = \"text\", regex = \"(?i)^a\" }]\ntransform = [{ set = \"$\", value = [{ a = 1 }] }]\nto = \"keep\"\n",
    ] {
        assert_eq!(problems(lines), "compiles", "{lines}");
    }
}

#[test]
fn more_rules_than_have_numbers() {
    let mut job = job("[[rule]]\nname = \"r\"\nwhen = [{ message = \"id\", exists = true }]\nto = \"keep\"\n");
    job.rule = vec![job.rule[0].clone(); 65_535];
    let problems = Rules::compile(&job).expect_err("too many");
    assert_eq!(problems.len(), 1);
    job.rule.truncate(65_534);
    assert!(Rules::compile(&job).is_ok());
}
