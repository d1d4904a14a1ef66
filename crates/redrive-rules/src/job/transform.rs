//! Transforms, parsed: exactly one change, a value if it needs one, and attributes that SQS takes. Reading a job and compiling it
//! both begin here, so that what is wrong with a transform is said in one place.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::finding::{Finding, Findings, Place, one_of};
use super::kind::TransformKind;
use super::template::{Placeholder, Template};
use super::text;
use super::types::Transform;

/// What a transform changes.
pub(crate) enum Change<'t> {
    Set { path: &'t str, value: &'t Value },
    Remove { path: &'t str },
    Rename { path: &'t str, to: &'t str },
    Unwrap { what: &'t str },
    Jq { program: &'t str },
    SetAttribute { name: &'t str, data_type: String, value: Template },
    RemoveAttribute { name: &'t str },
    RemoveTraceHeader,
}

/// Says what is wrong with a transform. `counter` is the attribute that `[retry]` counts in.
pub(super) fn check(transform: &Transform, counter: Option<&str>, place: &Place, findings: &mut Findings) {
    let (key, name) = match parse(transform, place, findings) {
        Some(Change::SetAttribute { name, data_type, value }) => {
            number(transform, &data_type, &value, place, findings);
            ("set_attribute", name)
        }
        Some(Change::RemoveAttribute { name }) => ("remove_attribute", name),
        _ => return,
    };
    if Some(name) == counter {
        let message = format!("`{name}` is the retry counter: redrive raises it, and changing it would undo the cap");
        let attribute = Place::root().key("retry").key("attribute");
        findings.add(Finding::new(&place.key(key), message).also(attribute, "counted here"));
    }
}

/// Whether an attribute that is to be a number can be one.
fn number(transform: &Transform, data_type: &str, value: &Template, place: &Place, findings: &mut Findings) {
    if data_type != "Number" && !data_type.starts_with("Number.") {
        return;
    }
    // The one placeholder that is a number stands for itself; any other makes text.
    let sample = value.render(|placeholder| match placeholder {
        Placeholder::SentTimestamp => Cow::Borrowed("1"),
        _ => Cow::Borrowed("x"),
    });
    if sample.parse::<Number>().is_err() {
        let written = transform.value.as_ref().map(Value::to_string).unwrap_or_default();
        let message = format!("the type says `Number`, and {written} is none");
        findings.add(Finding::new(&place.key("value"), message).also(place.key("type"), "a number is asked for"));
    }
}

/// Parses a transform.
pub(crate) fn parse<'t>(transform: &'t Transform, place: &Place, findings: &mut Findings) -> Option<Change<'t>> {
    let (kind, subject) = match transform.kinds()[..] {
        [one] => one,
        [] => {
            let message =
                format!("a transform needs one of {}", one_of(TransformKind::ALL.iter().map(|kind| kind.key())));
            findings.add(Finding::new(place, message).needs(place.clone()));
            return None;
        }
        [(first, _), (second, _), ..] => {
            let message = format!("a transform is one change, and this one has `{}` already", first.key());
            let help = "write two transforms; they are carried out in their order";
            findings.add(Finding::new(&place.key(second.key()), message).on_key().help(help));
            return None;
        }
    };
    arguments(transform, kind, place, findings);
    let at = place.key(kind.key());
    let path = |findings: &mut Findings| findings.check(text::not_empty(subject, "a JSONPath"), &at);
    match kind {
        TransformKind::Set => path(findings).and(Some(Change::Set { path: subject, value: transform.value.as_ref()? })),
        TransformKind::Remove => path(findings).and(Some(Change::Remove { path: subject })),
        TransformKind::Rename => {
            let (from, to) = (path(findings), transform.to.as_deref()?);
            findings.check(text::not_empty(to, "a JSONPath"), &place.key("to"))?;
            from.and(Some(Change::Rename { path: subject, to }))
        }
        TransformKind::Unwrap => path(findings).and(Some(Change::Unwrap { what: subject })),
        TransformKind::Jq => findings.check(text::program(subject), &at).and(Some(Change::Jq { program: subject })),
        TransformKind::SetAttribute => {
            findings.check(text::attribute_name(subject), &at);
            let data_type = transform.data_type.as_deref();
            let (data_type, value) = attribute_value(transform.value.as_ref()?, data_type, place, findings)?;
            Some(Change::SetAttribute { name: subject, data_type, value })
        }
        TransformKind::RemoveAttribute => {
            findings.check(text::attribute_name(subject), &at);
            Some(Change::RemoveAttribute { name: subject })
        }
        TransformKind::RemoveTraceHeader => {
            if transform.remove_trace_header == Some(false) {
                let help = "leave it out: trace headers are passed on";
                findings.add(Finding::new(&at, "it can only be `true`").help(help));
            }
            Some(Change::RemoveTraceHeader)
        }
    }
}

/// Whether what stands beside the change belongs to it.
fn arguments(transform: &Transform, kind: TransformKind, place: &Place, findings: &mut Findings) {
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
}

/// The data type and the value of an attribute that is set.
fn attribute_value(
    value: &Value,
    data_type: Option<&str>,
    place: &Place,
    findings: &mut Findings,
) -> Option<(String, Template)> {
    if let Some(data_type) = data_type {
        findings.check(text::data_type(data_type), &place.key("type"))?;
    }
    let at = place.key("value");
    let text = match value {
        Value::Number(number) => {
            let data_type = data_type.unwrap_or("Number").to_owned();
            return Some((data_type, Template::fixed(number.to_string())));
        }
        Value::String(text) => text,
        _ => {
            let message = "an attribute's value is text or a number";
            findings.add(Finding::new(&at, message).help(format!("put it in quotes: {:?}", value.to_string())));
            return None;
        }
    };
    if text.is_empty() {
        findings.add(Finding::new(&at, "SQS refuses an attribute with an empty value").help("use `remove_attribute`"));
        return None;
    }
    let template = text::template(text, Placeholder::ALL, &at, findings)?;
    Some((data_type.unwrap_or("String").to_owned(), template))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(toml: &str) -> String {
        let transform: Transform = toml::from_str(toml).expect("a transform");
        let mut findings = Findings::default();
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
