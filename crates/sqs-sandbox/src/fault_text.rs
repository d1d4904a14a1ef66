//! Fault rules as one types them: `ACTION[/QUEUE]:FAULT[:HOW OFTEN]`, or a rule in JSON, which can say more.

use std::fmt;
use std::str::FromStr;

use super::faults::{Fault, Rule, When};
use crate::error::{Error, Result};

/// What can be said, for help and errors.
const HINT: &str = "ACTION[/QUEUE]:FAULT[:HOW OFTEN], such as 'SendMessageBatch:throttle:0.1' or '*/orders:cut-after:#3'. \
                    Faults: throttle, 500-before, 500-after, 503-before, 503-after, cut-before, cut-after, silence-before, \
                    silence-after, latency=MS, latency=MS..MS, fail-entry=INDEX, corrupt-md5, duplicate, \
                    ignore-stale-handle, access-denied, expired-token, not-found. How often: a probability, #N for the \
                    Nth request, xN for the first N; without it always. A rule in JSON can say more";

impl FromStr for Rule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: String| Error::usage(format!("the fault {text:?} cannot be read: {why}")).hint(HINT);
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(text).map_err(|error| wrong(error.to_string()));
        }
        let mut parts = text.splitn(3, ':');
        let target = parts.next().unwrap_or_default();
        let fault = parts.next().ok_or_else(|| wrong("there is no fault in it".to_owned()))?;
        let mut rule = Self::new(fault_of(fault).ok_or_else(|| wrong(format!("there is no fault {fault:?}")))?);
        let (action, resource) = target.split_once('/').map_or((target, None), |(action, name)| (action, Some(name)));
        if action.is_empty() || resource == Some("") {
            return Err(wrong("it names no action; * is any".to_owned()));
        }
        if action != "*" {
            rule = rule.action(action);
        }
        if let Some(resource) = resource {
            rule = rule.resource(resource);
        }
        match parts.next() {
            None => Ok(rule),
            Some(often) => with_frequency(rule, often).ok_or_else(|| wrong(format!("{often:?} is no frequency"))),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In JSON, which can say every rule. What is serialised here are texts and numbers, which cannot fail.
        f.write_str(&serde_json::to_string(self).unwrap_or_default())
    }
}

fn with_frequency(rule: Rule, often: &str) -> Option<Rule> {
    if let Some(nth) = often.strip_prefix('#') {
        return Some(rule.nth(nth.parse().ok().filter(|&nth| nth > 0)?));
    }
    if let Some(times) = often.strip_prefix('x') {
        return Some(rule.times(times.parse().ok().filter(|&times| times > 0)?));
    }
    Some(rule.probability(often.parse().ok().filter(|probability| (0.0..=1.0).contains(probability))?))
}

fn fault_of(text: &str) -> Option<Fault> {
    if let Some((name, value)) = text.split_once('=') {
        return match name {
            "latency" => {
                let (least, most) = value.split_once("..").unwrap_or((value, value));
                let (ms, most): (u64, u64) = (least.parse().ok()?, most.parse().ok()?);
                Some(Fault::Latency { ms, jitter_ms: most.checked_sub(ms)?, when: When::Before })
            }
            "fail-entry" => {
                let index = value.parse().ok()?;
                Some(Fault::FailEntry { index, sender_fault: false, code: "InternalError".to_owned() })
            }
            _ => None,
        };
    }
    let (name, when) = match (text.strip_suffix("-before"), text.strip_suffix("-after")) {
        (Some(name), _) => (name, Some(When::Before)),
        (_, Some(name)) => (name, Some(When::After)),
        _ => (text, None),
    };
    match (name, when) {
        ("500", Some(when)) => Some(Fault::Status { code: 500, when }),
        ("503", Some(when)) => Some(Fault::Status { code: 503, when }),
        ("cut", Some(when)) => Some(Fault::Cut { when }),
        ("silence", Some(when)) => Some(Fault::Silence { when }),
        ("throttle", None) => Some(Fault::Throttle),
        ("corrupt-md5", None) => Some(Fault::CorruptMd5),
        ("duplicate", None) => Some(Fault::Duplicate),
        ("ignore-stale-handle", None) => Some(Fault::IgnoreStaleHandle),
        ("access-denied", None) => Some(Fault::AccessDenied),
        ("expired-token", None) => Some(Fault::ExpiredToken),
        ("not-found", None) => Some(Fault::NotFound),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Rule {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn rules_are_read() {
        let cut = Rule::new(Fault::Cut { when: When::After });
        for (text, rule) in [
            ("*:throttle", Rule::new(Fault::Throttle)),
            ("SendMessageBatch:throttle:0.1", Rule::new(Fault::Throttle).action("SendMessageBatch").probability(0.1)),
            ("DeleteMessageBatch/dlq:cut-after:#3", cut.clone().action("DeleteMessageBatch").resource("dlq").nth(3)),
            ("*/orders:cut-after:x2", cut.resource("orders").times(2)),
            ("*:latency=50..200", Rule::new(Fault::Latency { ms: 50, jitter_ms: 150, when: When::Before })),
            ("*:latency=50", Rule::new(Fault::Latency { ms: 50, jitter_ms: 0, when: When::Before })),
            (
                "PutObject:503-before:1",
                Rule::new(Fault::Status { code: 503, when: When::Before }).action("PutObject").probability(1.0),
            ),
            (
                "SendMessageBatch:fail-entry=4",
                Rule::new(Fault::FailEntry { index: 4, sender_fault: false, code: "InternalError".to_owned() })
                    .action("SendMessageBatch"),
            ),
            (r#"{"action":"SendMessage","fault":"corrupt_md5"}"#, Rule::new(Fault::CorruptMd5).action("SendMessage")),
        ] {
            assert_eq!(read(text), rule, "{text}");
            assert_eq!(read(&rule.to_string()), rule, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_a_hint() {
        for text in [
            "",
            ":",
            "throttle",
            "*:",
            "*:throttled",
            ":throttle",
            "*/:throttle",
            "*:throttle:2",
            "*:throttle:-1",
            "*:throttle:#0",
            "*:throttle:x",
            "*:throttle:often",
            "*:latency=9..1",
            "*:latency=-1",
            "*:cut",
            "*:throttle-after",
            "*:404-before",
            "*:fail-entry=first",
            "{",
            "{\"fault\":\"throttled\"}",
            "*:throttle:NaN",
        ] {
            let error = text.parse::<Rule>().expect_err(text);
            assert!(error.hint_text().is_some(), "{text}");
        }
    }
}
