//! The JSON Schema of the job file, generated from the types: for editors, for the reference page, and for the walk that
//! finds every error of shape at once. It says what the types say and nothing more.

use std::sync::LazyLock;

use schemars::Schema;
use serde_json::{Map, Value};

use super::types::Job;

/// The JSON Schema of the job file (draft 2020-12). Made once: every job that is loaded is walked along it.
pub fn schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
        let mut schema = schemars::schema_for!(Job);
        tidy(schema.ensure_object());
        schema
    });
    &SCHEMA
}

/// The JSON Schema as text, indented, with a line end: the content of the generated file.
pub fn schema_json() -> String {
    let mut text = format!("{:#}", schema().as_value());
    text.push('\n');
    text
}

/// Takes out what TOML cannot say (an optional key is left out, never null), and puts what a reader wants first first.
fn tidy(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(only)] = &choices[..] {
            let only = only.clone();
            schema.extend(only);
            schema.retain(|key, _| key != "anyOf");
        }
    }
    schema.retain(|key, value| key != "default" || !says_nothing(value));
    for (key, value) in schema.iter_mut() {
        match value {
            Value::Object(members) if matches!(key.as_str(), "properties" | "$defs") => {
                members.values_mut().filter_map(Value::as_object_mut).for_each(tidy);
            }
            Value::Object(schema) if key != "default" => tidy(schema),
            Value::Array(schemas) => schemas.iter_mut().filter_map(Value::as_object_mut).for_each(tidy),
            _ => {}
        }
    }
    let mut members: Vec<_> = std::mem::take(schema).into_iter().collect();
    members.sort_by_key(|(key, _)| match key.as_str() {
        "$schema" => 0,
        "title" => 1,
        "description" => 2,
        "$ref" | "type" => 3,
        "properties" => 5,
        "$defs" => 6,
        _ => 4,
    });
    schema.extend(members);
}

fn says_nothing(default: &Value) -> bool {
    match default {
        Value::Null => true,
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.values().all(says_nothing),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_schema_without_null_and_without_an_id() {
        let text = schema_json();
        assert!(text.ends_with("}\n"));
        assert!(text.contains("https://json-schema.org/draft/2020-12/schema"), "{text}");
        assert!(!text.contains("null"), "{text}");
        assert!(!text.contains("\"$id\""), "{text}");
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(schema["title"], "redrive job file, version 1");
        assert_eq!(schema["$defs"]["Condition"]["properties"]["not"]["$ref"], "#/$defs/Condition");
        assert_eq!(schema["$defs"]["Condition"]["properties"]["lt"]["type"], "number");
        assert_eq!(schema["$defs"]["Source"]["properties"]["visibility_timeout"]["default"], "1m");
    }
}
