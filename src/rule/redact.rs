//! Redaction: what plans and reports must not show. Used where messages are shown, never on messages that are sent.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::json;
use super::path::Path;

/// `[report] redact` and `redact_attributes`, compiled.
#[derive(Debug, Default)]
pub(super) struct Redaction {
    pub(super) paths: Vec<Path>,
    pub(super) attributes: BTreeSet<String>,
}

const REDACTED: &str = "[redacted]";

impl Redaction {
    /// The body as it may be shown. A body that is not JSON is withheld whole: no path can say where its secrets are.
    pub(super) fn body(&self, body: &str) -> String {
        if self.paths.is_empty() {
            return body.to_owned();
        }
        let Some(value) = json::parse(body) else {
            return format!("[not JSON, {} bytes, withheld: redaction is on]", body.len());
        };
        let mut hidden = HashSet::new();
        for path in &self.paths {
            path.each(&value, |node| {
                hidden.insert(std::ptr::from_ref(node));
            });
        }
        // Always written anew: of two members of one name, a path sees only the last.
        without(&value, &hidden).to_string()
    }
}

/// A copy without the hidden nodes; they are told by where they are, since a value may be secret in one place only.
fn without(value: &Value, hidden: &HashSet<*const Value>) -> Value {
    if hidden.contains(&std::ptr::from_ref(value)) {
        return REDACTED.into();
    }
    match value {
        Value::Array(elements) => elements.iter().map(|element| without(element, hidden)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, member)| (key.clone(), without(member, hidden))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redact(paths: &[&str], body: &str) -> String {
        let paths = paths.iter().map(|path| Path::parse(path).expect("a path")).collect();
        Redaction { paths, attributes: BTreeSet::new() }.body(body)
    }

    #[test]
    fn hides_every_node_of_every_path() {
        for (paths, body, expected) in [
            (
                &["$.customer.email"][..],
                r#"{"customer":{"email":"a@b.c","id":1}}"#,
                r#"{"customer":{"email":"[redacted]","id":1}}"#,
            ),
            (
                &["$..email", "$.list[0]"],
                r#"{"list":[1,1,{"email":{"x":1}}],"email":null}"#,
                r#"{"list":["[redacted]",1,{"email":"[redacted]"}],"email":"[redacted]"}"#,
            ),
            (&["$"], "{}", r#""[redacted]""#),
            (&["$.a", "$.a.b"], r#"{"a":{"b":1}}"#, r#"{"a":"[redacted]"}"#),
            (&["$.none"], r#"{"n":1.10}"#, r#"{"n":1.10}"#),
            (&[], " not JSON", " not JSON"),
        ] {
            assert_eq!(redact(paths, body), expected, "{body}");
        }
    }

    #[test]
    fn no_secret_slips_by_in_what_the_paths_cannot_see() {
        assert_eq!(redact(&["$.a"], "secret"), "[not JSON, 6 bytes, withheld: redaction is on]");
        assert!(!redact(&["$.a"], r#"{"a":"secret","a":1}"#).contains("secret"));
        assert!(!redact(&["$.a"], r#"{"\u0061":"secret"}"#).contains("secret"));
    }
}
