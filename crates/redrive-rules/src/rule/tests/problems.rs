//! Jobs that do not compile: every problem with its place, all at once.

use std::fmt::Write as _;

use super::*;
use crate::job::{Step, load_with};

/// What is wrong with these lines when they are read and compiled; the common ones before them are no whole job.
fn problems(lines: &str) -> String {
    let found = |text: &str| -> Vec<Problem> {
        let compile = |job: &Job| Rules::compile(job).err().unwrap_or_default();
        let errors = load_with("job.toml", text, compile).err();
        errors.into_iter().flat_map(|errors| errors.problems).map(|located| located.problem).collect()
    };
    let common = found(HEADER);
    let mut problems = found(&format!("{HEADER}{lines}"));
    problems.retain(|problem| !common.contains(problem));
    if problems.is_empty() {
        return "compiles".to_owned();
    }
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
    .retry.exhausted None: no destination is called "nowhere"
    .origin.fallback None: no destination is called "neither"
    .report.redact[1] None: a JSONPath begins with "$"
    .destination.bad.sqs.message_group_id Some(0..5): no placeholder is called `{grp}`; there are {message_id} {sent_timestamp} {date} {run} {job} {rule} {source_queue}; a brace itself is written `{{`
    .destination.bad.sqs.message_deduplication_id None: only a FIFO queue takes a deduplication ID, and this is none: its name does not end in `.fifo`
    .destination.bad.sqs.message_deduplication_id Some(0..1): a `{` that is never closed; a brace itself is written `{{`
    .destination.worse.s3.bucket None: a bucket's name has 3 to 63 characters; this one has 1
    .destination.worse.s3.key Some(0..1): a `{` that is never closed; a brace itself is written `{{`
    .rule[0].when[0].body Some(3..4): the JSONPath ends in the middle
    .rule[0].when[1].any[0].regex Some(1..2): not a regular expression: unclosed group
    .rule[0].when[1].any[1].not.regex Some(1..4): not a regular expression: invalid character class range, the start must be <= the end
    .rule[0].when[2] None: a condition needs a test beside `body`
    .rule[0].when[3] None: a condition needs a subject
    .rule[0].when[4].attribute None: a condition has one subject or is one group; this one has `body` already
    .rule[0].when[5].prefix None: a condition has one test, and this one has `exists` already
    .rule[0].when[6].lte None: a condition has one test, and this one has `lt` already
    .rule[0].when[7].lt None: expected a number; found text
    .rule[0].when[8].gt None: JSON has no nan: expected a number
    .rule[0].when[9].any_of None: `any_of` needs at least one value
    .rule[0].when[10].equals None: expected text, a number, or true or false; found a TOML date or time
    .rule[0].when[11].any_of[1] None: JSON has no inf: expected a number
    .rule[0].when[12].all None: `all` needs at least one condition
    .rule[0].when[13].all[0].exists None: `message = "id"` has no test `exists`
    .rule[0].when[13].exists None: a group has no test of its own; `exists` belongs with a subject
    .rule[0].when[14].regex None: the regular expression cannot be used: Compiled regex exceeds size limit of 4194304 bytes.
    .rule[0].to None: no destination is called "nowhere"
    .rule[1].when None: a rule without conditions would take every message
    .rule[1].transform[0].set None: the path must denote one place: only names and indexes, such as "$.order.items[0].sku"
    .rule[1].transform[1].set None: a JSONPath begins with "$"
    .rule[1].transform[2] None: `set` needs a `value`
    .rule[1].transform[3].value None: expected a value that JSON has; found a TOML date or time
    .rule[1].transform[4].remove None: the body itself cannot be removed
    .rule[1].transform[5].remove None: the path must denote one place: only names and indexes, such as "$.order.items[0].sku"
    .rule[1].transform[6].remove None: a transform is one change, and this one has `set` already
    .rule[1].transform[7] None: a transform needs one of `set`, `remove`, `rename`, `unwrap`, `jq`, `set_attribute`, `remove_attribute` or `remove_trace_header`
    .rule[1].transform[8] None: `set_attribute` needs a `value`
    .rule[1].transform[9].value None: an attribute's value is text or a number
    .rule[1].transform[10].value None: SQS refuses an attribute with an empty value
    .rule[1].transform[11].value None: the type says `Number`, and "x" is none
    .rule[1].transform[12].type None: expected `String` or `Number`, with a label of your own after a `.` if you like; binary attributes are passed on as they are, and not made here
    .rule[1].transform[13].value Some(2..13): no placeholder is called `{mesage_id}`; did you mean `{message_id}`?
    .rule[1].transform[14] None: `rename` needs a `to`
    .rule[1].transform[15].rename None: the body itself cannot be renamed
    .rule[1].transform[16].rename None: the path must denote one place: only names and indexes, such as "$.order.items[0].sku"
    .rule[1].transform[16].to None: a JSONPath begins with "$"
    .rule[1].transform[17].to None: expected a path that ends in a name: the new one
    .rule[1].transform[18].to None: a value cannot be moved into itself
    .rule[1].transform[19].to None: a value cannot be moved into itself
    .rule[1].transform[20].to None: a value cannot take the place of what holds it
    .rule[1].transform[21].unwrap None: the path must denote one place: only names and indexes, such as "$.order.items[0].sku"
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
