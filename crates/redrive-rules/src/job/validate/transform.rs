//! Transforms: exactly one change, a value where it needs one, and attributes that SQS takes.

use std::borrow::Cow;

use serde_json::{Number, Value};

use crate::job::finding::{Finding, Place, one_of};
use crate::job::kind::TransformKind;
use crate::job::template::Placeholder;
use crate::job::types::Transform;

use super::{Findings, text};

/// Checks a transform. `counter` is the attribute that `[retry]` counts in.
pub(super) fn check(transform: &Transform, counter: Option<&str>, place: &Place, findings: &mut Findings) {
    let (kind, subject) = match transform.kinds()[..] {
        [one] => one,
        [] => {
            let message =
                format!("a transform needs one of {}", one_of(TransformKind::ALL.iter().map(|kind| kind.key())));
            findings.add(Finding::new(place, message).needs(place.clone()));
            return;
        }
        [(first, _), (second, _), ..] => {
            let message = format!("a transform is one change, and this one has `{}` already", first.key());
            let help = "write two transforms; they are carried out in their order";
            findings.add(Finding::new(&place.key(second.key()), message).on_key().help(help));
            return;
        }
    };
    let takes_value = matches!(kind, TransformKind::Set | TransformKind::SetAttribute);
    let is_rename = kind == TransformKind::Rename;
    for (key, there, takes) in
        [("value", transform.value.is_some(), takes_value), ("to", transform.to.is_some(), is_rename)]
    {
        if takes && !there {
            let message = format!("`{}` needs a `{key}`", kind.key());
            findings.add(Finding::new(place, message).needs(place.clone()));
        } else if there && !takes {
            findings.add(Finding::new(&place.key(key), format!("`{}` takes no `{key}`", kind.key())).on_key());
        }
    }
    if transform.data_type.is_some() && kind != TransformKind::SetAttribute {
        let message = format!("only `set_attribute` has a `type`; this is `{}`", kind.key());
        findings.add(Finding::new(&place.key("type"), message).on_key());
    }
    let at = place.key(kind.key());
    match kind {
        TransformKind::Jq => drop(findings.check(text::program(subject), &at)),
        TransformKind::SetAttribute | TransformKind::RemoveAttribute => attribute_name(subject, counter, &at, findings),
        TransformKind::RemoveTraceHeader if transform.remove_trace_header == Some(false) => {
            findings.add(Finding::new(&at, "it can only be `true`").help("leave it out: trace headers are passed on"));
        }
        _ => drop(findings.check(text::not_empty(subject, "a JSONPath"), &at)),
    }
    if let (true, Some(to)) = (is_rename, &transform.to) {
        findings.check(text::not_empty(to, "a JSONPath"), &place.key("to"));
    }
    if let (Some(_), Some(value)) = (&transform.set_attribute, &transform.value) {
        attribute_value(value, transform.data_type.as_deref(), place, findings);
    }
}

fn attribute_name(name: &str, counter: Option<&str>, at: &Place, findings: &mut Findings) {
    findings.check(text::attribute_name(name), at);
    if Some(name) == counter {
        let message = format!("`{name}` is the retry counter: redrive raises it, and changing it would undo the cap");
        findings.add(Finding::new(at, message).also(Place::root().key("retry").key("attribute"), "counted here"));
    }
}

fn attribute_value(value: &Value, data_type: Option<&str>, place: &Place, findings: &mut Findings) {
    if let Some(data_type) = data_type {
        findings.check(text::data_type(data_type), &place.key("type"));
    }
    let at = place.key("value");
    let text = match value {
        Value::Number(_) => return,
        Value::String(text) => text,
        _ => {
            let message = "an attribute's value is text or a number";
            findings.add(Finding::new(&at, message).help(format!("put it in quotes: {:?}", value.to_string())));
            return;
        }
    };
    if text.is_empty() {
        findings.add(Finding::new(&at, "SQS refuses an attribute with an empty value").help("use `remove_attribute`"));
        return;
    }
    let Some(template) = text::template(text, Placeholder::ALL, &at, findings) else { return };
    if !data_type.is_some_and(|data_type| data_type == "Number" || data_type.starts_with("Number.")) {
        return;
    }
    // The one placeholder that is a number stands for itself; any other makes text.
    let sample = template.render(|placeholder| match placeholder {
        Placeholder::SentTimestamp => Cow::Borrowed("1"),
        _ => Cow::Borrowed("x"),
    });
    if sample.parse::<Number>().is_err() {
        let message = format!("the type says `Number`, and {text:?} is none");
        findings.add(Finding::new(&at, message).also(place.key("type"), "a number is asked for"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(toml: &str) -> String {
        let transform: Transform = toml::from_str(toml).expect("a transform");
        let mut findings = Findings(Vec::new());
        check(&transform, Some("retryCount"), &Place::root(), &mut findings);
        findings.0.into_iter().map(|finding| finding.problem.message + "\n").collect()
    }

    #[test]
    fn transforms_that_can_be_carried_out() {
        for toml in [
            "set = '$.a'\nvalue = { x = [1, 'y'] }",
            "set = '$.a'\nvalue = ''",
            "remove = '$.a'",
            "rename = '$.a'\nto = '$.b'",
            "unwrap = '$.a'",
            "jq = '.a'",
            "set_attribute = 'a'\nvalue = '{source_queue}/{rule}'",
            "set_attribute = 'a'\nvalue = 3",
            "set_attribute = 'a'\nvalue = '{sent_timestamp}'\ntype = 'Number.millis'",
            "set_attribute = 'a'\nvalue = '-1.50e3'\ntype = 'Number'",
            "remove_attribute = 'a'",
            "remove_trace_header = true",
        ] {
            assert_eq!(messages(toml), "", "{toml}");
        }
    }

    #[test]
    fn transforms_that_cannot() {
        for (toml, part) in [
            ("", "needs one of"),
            ("value = 1", "needs one of"),
            ("set = '$.a'", "needs a `value`"),
            ("set_attribute = 'a'", "needs a `value`"),
            ("remove = '$.a'\nvalue = 1", "takes no `value`"),
            ("set = '$.a'\nremove = '$.b'\nvalue = 1", "`set` already"),
            ("set = '$.a'\nvalue = 1\ntype = 'Number'", "only `set_attribute`"),
            ("set = ''\nvalue = 1", "not empty"),
            ("unwrap = ''", "not empty"),
            ("jq = ' '", "not empty"),
            ("jq = '.'\nvalue = 1", "takes no `value`"),
            ("unwrap = '$.a'\nto = '$.b'", "takes no `to`"),
            ("rename = '$.a'", "needs a `to`"),
            ("rename = '$.a'\nto = ''", "not empty"),
            ("rename = '$.a'\nto = '$.b'\nvalue = 1", "takes no `value`"),
            ("set_attribute = 'AWS.a'\nvalue = 1", "AWS's own"),
            ("set_attribute = 'retryCount'\nvalue = 0", "the retry counter"),
            ("remove_attribute = 'retryCount'", "the retry counter"),
            ("remove_trace_header = false", "can only be `true`"),
            ("set_attribute = 'a'\nvalue = true", "text or a number"),
            ("set_attribute = 'a'\nvalue = ''", "empty value"),
            ("set_attribute = 'a'\nvalue = '{who}'", "no placeholder"),
            ("set_attribute = 'a'\nvalue = 'x'\ntype = 'Binary'", "binary"),
            ("set_attribute = 'a'\nvalue = '{date}'\ntype = 'Number'", "is none"),
            ("set_attribute = 'a'\nvalue = 'nan'\ntype = 'Number'", "is none"),
        ] {
            let found = messages(toml);
            assert!(found.contains(part), "{toml}: {found:?}");
            assert_eq!(found.lines().count(), 1, "{toml}: {found:?}");
        }
    }
}
