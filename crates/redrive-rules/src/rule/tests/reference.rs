//! The examples of the reference page, run.

use super::*;
use crate::job::{BODY, CONDITIONS, TRANSFORMS, schema};

fn judged(when: &str, transform: &str) -> Verdict {
    let lines = format!("[[rule]]\nname = \"r\"\nwhen = [{when}]\ntransform = [{transform}]\nto = \"orders\"\n");
    let message = with_system(message(BODY), "AWSTraceHeader", "Root=1-5759e988");
    rules(&lines).judge(with_attribute(message, "tenant", "String", "eu-1"), &setting())
}

#[test]
fn each_condition_and_transform_does_what_the_page_says() {
    for (key, holds, does_not) in CONDITIONS {
        assert_eq!(words(&judged(holds, "")), "send to 4", "{key}: {holds}");
        assert_eq!(words(&judged(does_not, "")), "keep: unmatched", "{key}: {does_not}");
    }
    for (key, transform, makes) in TRANSFORMS {
        let outgoing = sent(judged("{ message = \"id\", exists = true }", transform));
        if outgoing.trace_header.is_none() {
            assert_eq!((*key, *makes), ("remove_trace_header", "no AWSTraceHeader"));
            continue;
        }
        let attribute = makes.split_once(" (").and_then(|(name, _)| outgoing.attributes.get(name));
        let found = match (makes.strip_prefix("no attribute "), attribute) {
            (Some(name), _) => format!(
                "{} {name}",
                if outgoing.attributes.contains_key(name) { "an attribute" } else { "no attribute" }
            ),
            (None, Some(attribute)) => {
                format!("from ({}) = {}", attribute.data_type, attribute.text().unwrap_or_default())
            }
            (None, None) => outgoing.body.as_str().to_owned(),
        };
        assert_eq!(found, *makes, "{key}: {transform}");
    }
}

#[test]
fn each_key_has_an_example() {
    let schema = schema().as_value();
    for (definition, examples) in [("Condition", CONDITIONS), ("Transform", TRANSFORMS)] {
        let keys = schema["$defs"][definition]["properties"].as_object().expect("properties").keys();
        // Those three stand beside others.
        for key in keys.filter(|key| !["value", "to", "type"].contains(&key.as_str())) {
            assert!(examples.iter().any(|(name, ..)| name == key), "{definition} {key}");
        }
    }
}
