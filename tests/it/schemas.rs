//! What is printed and saved as JSON is what `redrive schema` says of it, and nothing that it does not say. Schemas allow unknown
//! fields, for those who read the output of a newer version; here an unknown one is a mistake.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;
use sqs_sandbox::{Fault, Options, Rule, When};

use crate::end_to_end::{JOB, message};
use crate::inspect::kinds;
use crate::support::stage::Stage;

/// A schema, and what was held against it.
struct Schema {
    of: &'static str,
    root: Value,
    /// The types of the objects that were.
    seen: BTreeSet<String>,
}

impl Schema {
    async fn of(stage: &Stage, of: &'static str) -> Self {
        let text = stage.redrive(&["schema", "--of", of]).await.expect(0).stdout;
        let kept = format!("{}/docs/reference/{of}.schema.json", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(text, std::fs::read_to_string(kept).expect("the schema"), "{of}");
        Self { of, root: serde_json::from_str(&text).expect("JSON"), seen: BTreeSet::new() }
    }

    /// Each of these is as the schema has it.
    fn holds(&mut self, text: &str) {
        for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            let value = value.expect("JSON");
            let flaws = self.flaws(&self.root, &value, "");
            assert!(
                flaws.is_empty(),
                "docs/reference/{}.schema.json has it otherwise:\n{flaws:#?}\n{value:#}",
                self.of
            );
            self.seen.insert(value["type"].as_str().expect("a type").to_owned());
        }
    }

    fn saw(&self, types: &[&str]) {
        let missing: Vec<_> = types.iter().filter(|one| !self.seen.contains(**one)).collect();
        assert!(missing.is_empty(), "{}: nothing had the types {missing:?}, only {:?}", self.of, self.seen);
    }

    /// What of a value is not as a schema says.
    fn flaws(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let mut flaws = Vec::new();
        for (keyword, said) in schema.as_object().expect("a schema") {
            match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" => {}
                "$ref" => {
                    let name = said.as_str().and_then(|text| text.strip_prefix("#/$defs/")).expect("a reference");
                    flaws.extend(self.flaws(&self.root["$defs"][name], value, at));
                }
                "oneOf" => {
                    let choices = said.as_array().expect("choices");
                    let tried: Vec<_> = choices.iter().map(|choice| self.flaws(choice, value, at)).collect();
                    match tried.iter().filter(|flaws| flaws.is_empty()).count() {
                        1 => {}
                        0 => flaws.extend(tried.into_iter().min_by_key(Vec::len).unwrap_or_default()),
                        more => flaws.push(format!("{at}: {more} of the choices hold")),
                    }
                }
                "type" if said.is_array() => {
                    let is = |kind: &Value| is_a(kind, value);
                    flaws
                        .extend((!said.as_array().expect("types").iter().any(is)).then(|| format!("{at}: not {said}")));
                }
                "type" => flaws.extend((!is_a(said, value)).then(|| format!("{at}: not {said}"))),
                "const" => flaws.extend((value != said).then(|| format!("{at}: not {said}"))),
                "enum" => {
                    flaws.extend(
                        (!said.as_array().expect("values").contains(value)).then(|| format!("{at}: not of {said}")),
                    );
                }
                "format" => {
                    assert_eq!(said, "date-time", "this test knows no other");
                    let is_time = value.as_str().is_none_or(|text| text.parse::<Timestamp>().is_ok());
                    flaws.extend((!is_time).then(|| format!("{at}: no time")));
                }
                "required" => {
                    let has = |name: &&Value| value.get(name.as_str().expect("a name")).is_none();
                    let missing = said.as_array().expect("names").iter().filter(has);
                    flaws.extend(missing.map(|name| format!("{at}: lacks {name}")));
                }
                "properties" => {
                    for (name, value) in value.as_object().into_iter().flatten() {
                        match said.get(name) {
                            Some(schema) => flaws.extend(self.flaws(schema, value, &format!("{at}.{name}"))),
                            None => flaws.push(format!("{at}.{name}: not in the schema")),
                        }
                    }
                }
                "items" => {
                    for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                        flaws.extend(self.flaws(said, value, &format!("{at}[{index}]")));
                    }
                }
                "minItems" | "maxItems" => {
                    let is_so = value.as_array().is_none_or(|items| Some(items.len() as u64) == said.as_u64());
                    flaws.extend((!is_so).then(|| format!("{at}: not {said} items")));
                }
                other => panic!("{}: this test does not know {other}", self.of),
            }
        }
        flaws
    }
}

fn is_a(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("no type: {other}"),
    }
}

const APPLY: [&str; 4] = ["apply", "plan.json", "--format", "json"];

#[tokio::test(flavor = "multi_thread")]
async fn plans_events_and_reports_are_as_their_schemas_say() {
    let stage = Stage::with_options(Options { signals: true, ..Options::default() }).await;
    stage.orders();
    let (mut plan, mut event, mut report) =
        (Schema::of(&stage, "plan").await, Schema::of(&stage, "events").await, Schema::of(&stage, "report").await);
    for name in ["run", "trouble", "estimate", "drift", "resolved", "approver"] {
        assert_eq!(event.root["$defs"][name], report.root["$defs"][name], "{name} is the same in both");
    }
    stage.sandbox.seed("orders-dlq", (0..60).map(message)).expect("seeded");
    stage.file("job.toml", JOB);

    // An exact plan, too, of which some messages are gone and others are new.
    plan.holds(&stage.redrive(&["plan", "job.toml", "--format", "json"]).await.expect(0).stdout);
    stage.redrive(&["plan", "job.toml", "--exact", "--out", "plan.json"]).await.expect(0);
    plan.holds(&std::fs::read_to_string(stage.path("plan.json")).expect("the plan"));
    stage.sandbox.seed("orders-dlq", (60..64).map(message)).expect("seeded");

    // Killed when a send may or may not have had an effect, and gone on with; one entry is refused.
    assert!(stage.killed_at(When::After, |rule| rule.action("SendMessageBatch").nth(2)).await, "it was killed");
    report.holds(&stage.redrive(&["report", "--format", "json"]).await.expect(0).stdout);
    let refused = Fault::FailEntry { index: 0, sender_fault: true, code: "InvalidMessageContents".to_owned() };
    stage.sandbox.faults().add(Rule::new(refused).action("SendMessageBatch").nth(1));
    event.holds(&stage.redrive(&APPLY).await.stdout);
    report.holds(&stage.redrive(&["report", "--format", "json"]).await.expect(0).stdout);
    event.saw(&["progress", "resumed", "summary"]);
    plan.saw(&["redrive.plan"]);
    report.saw(&["report"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_reports_of_guarded_and_drifted_runs_are_as_their_schemas_say() {
    let stage = Stage::with_queues().await;
    let (mut event, mut report) = (Schema::of(&stage, "events").await, Schema::of(&stage, "report").await);
    stage.sandbox.seed("orders-dlq", (0..40).map(message)).expect("seeded");
    stage.file("job.toml", &format!("{JOB}\n[guard]\ncommand = [\"sh\", \"-c\", \"exit 2\"]\n"));
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    event.holds(&stage.redrive(&APPLY).await.expect(5).stdout);
    report.holds(&stage.redrive(&["report", "--format", "json"]).await.expect(0).stdout);

    stage.file("job.toml", JOB);
    stage.redrive(&["plan", "job.toml", "--out", "plan.json"]).await.expect(0);
    stage.sandbox.seed("orders-dlq", (40..2_000).map(message)).expect("seeded");
    let ran = stage.redrive(&APPLY).await;
    assert!(ran.stdout.contains("\"drift\":["), "{}\n{}", ran.stdout, ran.stderr);
    event.holds(&ran.stdout);
    report.holds(&stage.redrive(&["report", "--format", "json"]).await.expect(0).stdout);
    event.saw(&["guard", "summary"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn inspections_are_as_their_schema_says() {
    let stage = Stage::with_queues().await;
    let mut schema = Schema::of(&stage, "inspect").await;
    stage.sandbox.seed("orders-dlq", kinds()).expect("seeded");
    schema.holds(&stage.redrive(&["inspect", "orders-dlq", "--format", "json"]).await.expect(0).stdout);
    schema.saw(&["inspection", "group"]);
}
