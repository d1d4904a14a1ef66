//! The reference page of the job file: every key with type, default and meaning, from the JSON Schema and so from the types.

use std::fmt::{self, Write};

use serde_json::Value;

use super::examples::{BODY, CONDITIONS, TRANSFORMS};
use super::finding::one_of;
use super::schema::schema;
use super::template::Placeholder;

/// What stands before the tables, with a job that uses everything.
const HEAD: &str = r#"# The job file

<!-- Generated from the types by `redrive`; edit those. -->

A job is one TOML file, in version 1 of the format. Unknown keys are errors. `redrive check JOB` shows every error at once,
each with its place in the file. Editors that know TOML schemas complete and check a job whose first line names the
[schema](job.schema.json), as those in [`jobs/`](../../jobs) do: `#:schema ../docs/reference/job.schema.json`.

```toml
version = 1
name = "orders-dlq"
description = "INC-4711: gateway timeouts, fixed in release 2026.11.2"

[source]
queue = "orders-dlq"
region = "eu-west-1"
sent_before = "2026-11-20T00:00:00Z"

[destination.orders]
sqs = { queue = "orders" }

[destination.graveyard]
s3 = { bucket = "redrive-archive", key = "unprocessed/{date}/{sent_timestamp}_{message_id}.json" }

[retry]
attribute = "retryCount"
max = 3
exhausted = "graveyard"

[[rule]]
name = "gateway timeouts"
when = [
  { body = "$.error.type", any_of = ["Timeout", "ConnectionReset"] },
  { body = "$.order.total", lt = 1000 },
  { attribute = "tenant", prefix = "eu-" },
  { system = "SentTimestamp", older_than = "1h" },
]
transform = [
  { set = "$.replayed_by", value = "INC-4711" },
  { remove = "$.debug" },
  { set_attribute = "origin", value = "{source_queue}" },
]
to = "orders"

[[rule]]
name = "not JSON"
when = [{ message = "is_json", equals = false }]
to = "graveyard"

[unmatched]
to = "keep"

[limits]
max_messages = 10_000
rate = "200/s"

[plan]
expires_after = "8h"

[report]
redact = ["$.customer.email"]
identify = ["$.order.id", "attribute:tenant"]
```

Three kinds of value are written as text: an **age** is a whole number and `s`, `m`, `h` or `d` (`"90s"`, `"6h"`); a **time** is
an RFC 3339 instant or an age, counted back from the time of the plan; a **rate** is messages a second (`"200/s"`). TOML's own
dates are not used: put them in quotes.
"#;

/// A part of the page: heading, definition in the schema (the empty one is the file itself), and what is to be said beside
/// the table.
const SECTIONS: &[(&str, &str, &str)] = &[
    ("Top level", "", ""),
    (
        "`[source]`",
        "Source",
        r#"A queue is named in one of three forms: by name (`"orders-dlq"`), by URL
(`"https://sqs.eu-west-1.amazonaws.com/123456789012/orders-dlq"`) or by ARN
(`"arn:aws:sqs:eu-west-1:123456789012:orders-dlq"`). Credentials come from the AWS default chain.
"#,
    ),
    (
        "`[destination.NAME]` with `sqs`",
        "SqsDestination",
        r#"```toml
[destination.orders]
sqs = { queue = "orders", region = "eu-central-1", role_arn = "arn:aws:iam::123456789012:role/redrive" }

[destination.orders-in-order]
sqs = { queue = "orders.fifo", message_group_id = "redriven" }
```

A destination has exactly one of the keys `sqs`, `s3` and `file`. Three are built in: `origin` sends each message to the queue
whose redrive policy moved it here; `keep` leaves it in the source queue; `drop` deletes it, only where the job says
`allow_drop = true`.
"#,
    ),
    (
        "`[destination.NAME]` with `s3`",
        "S3Destination",
        r#"```toml
[destination.graveyard]
s3 = { bucket = "redrive-archive", key = "unprocessed/{date}/{sent_timestamp}_{message_id}.json" }
```
"#,
    ),
    (
        "`[destination.NAME]` with `file`",
        "FileDestination",
        r#"```toml
[destination.evidence]
file = { path = "evidence/{run}.jsonl.gz" }
```
"#,
    ),
    ("`[origin]`", "Origin", ""),
    (
        "`[retry]`",
        "Retry",
        r"The cap holds wherever a message would go to a queue, by a rule, `origin` or `[unmatched]`. With `max = 3` a message is sent
at most three times; then it goes to `exhausted`, as it is. With `max = 0` nothing is sent to a queue at all. A transform
cannot touch the counter.
",
    ),
    (
        "`[[rule]]`",
        "Rule",
        "Rules are tried in order; the first whose conditions all hold takes the message. There must be at least one condition: what no
rule takes is `[unmatched]`'s.\n",
    ),
    (
        "Conditions",
        "Condition",
        r#"A condition is one subject (`body`, `attribute`, `system`, `message`) and one test, or `jq` alone, or one group (`any`, `all`,
`not`) of conditions. Two bounds of a range may stand together.

```toml
[[rule]]
name = "conditions"
when = [
  { body = "$.error.type", any_of = ["Timeout", "ConnectionReset"] },
  { body = "$.order.total", gte = 100, lt = 1000 },
  { body = "$.debug", exists = false },
  { attribute = "tenant", anything_but = ["eu-test", "us-test"] },
  { system = "ApproximateReceiveCount", gt = 3 },
  { system = "SentTimestamp", older_than = "1h", newer_than = "2d" },
  { message = "size", lt = 65536 },
  { jq = '.items | length > 1' },
  { any = [
    { body = "$.error.message", regex = "timed? ?out" },
    { not = { message = "text", contains = "permanent" } },
  ] },
]
to = "keep"
```

A JSONPath that yields several values holds when any of them does; one that yields none fails every test but
`exists = false`. A value of another type fails the test, and is no error. A body that is not JSON fails every `body` test
and every `jq`. A jq program holds when it yields `true` and nothing else; [jq in a job](../howto/jq.md) says what it can do.
The system attributes are `SentTimestamp`, `ApproximateReceiveCount`, `ApproximateFirstReceiveTimestamp`, `SenderId`,
`SequenceNumber`, `MessageGroupId`, `MessageDeduplicationId`, `AWSTraceHeader` and `DeadLetterQueueSourceArn`.
"#,
    ),
    (
        "Transforms",
        "Transform",
        r#"A transform has exactly one of `set`, `remove`, `rename`, `unwrap`, `jq`, `set_attribute`, `remove_attribute` and
`remove_trace_header`. Transforms are carried out in order, each on what the one before left. One that cannot be carried out makes the message **blocked**: it
stays, is counted and is reported; it is never sent half-changed. All but `jq` leave every byte that they do not name.

```toml
[[rule]]
name = "transforms"
when = [{ body = "$.order", exists = true }]
transform = [
  { set = "$.replayed_by", value = "INC-4711" },
  { set = "$.order.flags", value = { retried = true, tags = ["a", "b"] } },
  { remove = "$.debug" },
  { rename = "$.order.customer_id", to = "$.order.customerId" },
  { jq = '.items |= map(select(.qty > 0))' },
  { set_attribute = "replayedFrom", value = "{source_queue}" },
  { set_attribute = "priority", value = 5, type = "Number.int" },
  { remove_attribute = "traceId" },
]
to = "origin"
```
"#,
    ),
    ("`[unmatched]`", "Unmatched", ""),
    (
        "The parking queue",
        "Parking",
        r#"What stays is held in flight until apply ends, and only about 120,000 messages of a queue can be in flight. Where the plan
expects more than fit, it refuses, unless the job names a parking queue. Parking gives messages new IDs; see
[select from a big queue](../howto/select-from-a-big-queue.md) for what it costs.

```toml
[unmatched]
to = "keep"
park = { queue = "orders-dlq-parking" }
```
"#,
    ),
    ("`[limits]`", "Limits", ""),
    (
        "`[guard]`",
        "Guard",
        r#"[Guard a run](../howto/guard-a-run.md) says what each of them does, and how many messages leave before a stop.

```toml
[destination.orders]
sqs = { queue = "orders" }

[guard]
canary = { messages = 50, wait = "auto" }
max_bounced = "2%"
max_backlog = 5_000
command = ["./healthy"]
```
"#,
    ),
    ("The canary", "Canary", ""),
    ("`[plan]`", "PlanOptions", ""),
    ("`[report]`", "ReportOptions", ""),
    (
        "`[notify]`",
        "Notify",
        r#"[Be told](../howto/be-told.md) shows what is posted, and what happens if that fails.

```toml
[notify]
webhook = "env:SLACK_WEBHOOK"
on = ["started", "halted", "finished"]
```
"#,
    ),
];

/// The reference page, as Markdown.
pub fn reference_markdown() -> String {
    let mut page = HEAD.to_owned();
    // Writing to a `String` cannot fail.
    let _ = write(&mut page, schema().as_value());
    page
}

fn write(page: &mut String, schema: &Value) -> fmt::Result {
    for (heading, name, text) in SECTIONS {
        let definition = if name.is_empty() { schema } else { &schema["$defs"][name] };
        write!(page, "\n## {heading}\n\n{}\n\n", definition["description"].as_str().unwrap_or_default())?;
        if !text.is_empty() {
            writeln!(page, "{text}")?;
        }
        match *name {
            "Condition" => examples(page, definition, CONDITIONS, "Holds | Does not hold")?,
            "Transform" => examples(page, definition, TRANSFORMS, "Example | Makes")?,
            _ => keys(page, definition)?,
        }
    }
    page.push_str("\n## Templates\n\n");
    page.push_str("The value of `set_attribute`, S3 keys, `message_group_id` and `message_deduplication_id` are templates; in the path of a\n");
    page.push_str("file stand only `{run}` and `{job}`. A brace itself is written twice: `{{` and `}}`.\n\n");
    page.push_str("| Placeholder | Meaning |\n|---|---|\n");
    for placeholder in Placeholder::ALL {
        writeln!(page, "| `{{{}}}` | {} |", placeholder.name(), placeholder.meaning())?;
    }
    Ok(())
}

/// A table of keys with an example of each.
fn examples(page: &mut String, definition: &Value, examples: &[(&str, &str, &str)], heads: &str) -> fmt::Result {
    page.push_str("The examples are about one message. Its body:\n\n```json\n");
    page.push_str(BODY);
    page.push_str("\n```\n\nIt has a message attribute `tenant`, the String `eu-1`, was received four times, and was sent two hours before the plan.\n\n");
    writeln!(page, "| Key | Type | Meaning | {heads} |\n|---|---|---|---|---|")?;
    for (key, schema) in definition["properties"].as_object().into_iter().flatten() {
        let code = |text: &str| format!("`{text}`");
        let (first, second) = match examples.iter().find(|(name, ..)| name == key) {
            Some((_, first, second)) => (code(first), code(second)),
            None => Default::default(),
        };
        let meaning = schema["description"].as_str().unwrap_or_default();
        writeln!(page, "| `{key}` | {} | {meaning} | {first} | {second} |", type_of(schema))?;
    }
    Ok(())
}

fn keys(page: &mut String, definition: &Value) -> fmt::Result {
    page.push_str("| Key | Type | Default | Meaning |\n|---|---|---|---|\n");
    let required = definition["required"].as_array();
    for (key, schema) in definition["properties"].as_object().into_iter().flatten() {
        let default = match schema.get("default") {
            Some(Value::Object(members)) => {
                let members: Vec<_> = members.iter().map(|(key, value)| format!("{key} = {value}")).collect();
                format!("`{{ {} }}`", members.join(", "))
            }
            Some(default) => format!("`{default}`"),
            None if required.is_some_and(|keys| keys.iter().any(|name| name == key)) => "required".to_owned(),
            None => String::new(),
        };
        let meaning = schema["description"].as_str().unwrap_or_default();
        writeln!(page, "| `{key}` | {} | {default} | {meaning} |", type_of(schema))?;
    }
    Ok(())
}

fn type_of(schema: &Value) -> String {
    let reference = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"));
    if let Some(name) = reference {
        return match name {
            "Age" => "age".to_owned(),
            "Bound" => "time".to_owned(),
            "Rate" => "rate".to_owned(),
            "Percent" => "share".to_owned(),
            "Wait" => "`\"auto\"` or age".to_owned(),
            "NoAnswer" => one_of(["\"pause\"", "\"halt\"", "\"go\""]),
            "Condition" => "condition".to_owned(),
            "Transform" => "transform".to_owned(),
            "InDoubt" => one_of(["\"resend\"", "\"hold\""]),
            "MessageFact" => one_of(["\"id\"", "\"text\"", "\"size\"", "\"is_json\""]),
            _ => "table".to_owned(),
        };
    }
    match schema["type"].as_str() {
        Some("string") => "text".to_owned(),
        Some("integer") => match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
            (Some(low), Some(high)) if low == high => format!("`{low}`"),
            (Some(low), Some(high)) => format!("whole number, {low} to {high}"),
            (Some(low), None) => format!("whole number, {low} or more"),
            _ => "whole number".to_owned(),
        },
        Some("number") => "number".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("array") => match type_of(&schema["items"]).as_str() {
            "text" => "array of text".to_owned(),
            "condition" | "transform" | "table" => format!("array of {}s", type_of(&schema["items"])),
            _ => "array of text, numbers, `true` or `false`".to_owned(),
        },
        Some("object") => "table of tables".to_owned(),
        _ if schema["type"].is_array() => "text, number, `true` or `false`".to_owned(),
        _ => "anything".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_schema_is_on_the_page() {
        let (page, schema) = (reference_markdown(), schema().as_value());
        let definitions = schema["$defs"].as_object().expect("definitions").values().chain([schema]);
        for key in
            definitions.filter_map(|definition| definition["properties"].as_object()).flat_map(|keys| keys.keys())
        {
            assert!(page.contains(&format!("\n| `{key}` |")), "{key}");
        }
    }

    #[test]
    fn every_example_on_the_page_is_valid() {
        let page = reference_markdown();
        let mut examples = 0;
        for block in page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let text = if block.starts_with("version") {
                block.to_owned()
            } else {
                format!("version = 1\nname = \"x\"\n[source]\nqueue = \"orders-dlq\"\n{block}")
            };
            crate::job::load("example", &text).unwrap_or_else(|errors| panic!("{errors}"));
            examples += 1;
        }
        assert!(examples >= 5);
    }
}
