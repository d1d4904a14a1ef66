//! An IAM policy that the sandbox enforces: deny by default, an explicit deny wins, wildcards as IAM has them. It is one document for
//! every caller, so `Principal` means nothing here. What the sandbox cannot judge, such as conditions, is refused when the document is read:
//! a policy that is half understood would prove nothing.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// A policy document.
#[derive(Debug, Clone)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
struct Statement {
    is_deny: bool,
    actions: Patterns,
    resources: Patterns,
}

/// What `Action` or `Resource` lists, or what `NotAction` or `NotResource` excludes.
#[derive(Debug, Clone)]
struct Patterns {
    excludes: bool,
    patterns: Vec<String>,
}

/// Why a policy does not let a request through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// No statement allows it.
    Implicit,
    /// A statement denies it.
    Explicit,
}

impl Policy {
    /// Reads a policy document, and refuses what it holds that the sandbox does not enforce.
    pub fn parse(text: &str) -> Result<Self> {
        let hint = "a policy has a Version and a Statement; each statement an Effect, an Action and a Resource";
        let document: Value = serde_json::from_str(text)
            .map_err(|error| Error::usage(format!("the policy is not JSON: {error}")).hint(hint))?;
        let document = document.as_object().ok_or_else(|| Error::usage("the policy is no JSON object").hint(hint))?;
        known(document, "the policy", &["Version", "Id", "Statement"])?;
        if let Some(version) = document.get("Version")
            && !matches!(version.as_str(), Some("2012-10-17" | "2008-10-17"))
        {
            return Err(Error::usage(format!("the policy's Version {version} is not one of IAM's"))
                .hint("it is \"2012-10-17\""));
        }
        let statements = match document.get("Statement") {
            Some(Value::Array(statements)) => statements.iter().collect(),
            Some(statement @ Value::Object(_)) => vec![statement],
            _ => return Err(Error::usage("the policy has no Statement").hint(hint)),
        };
        let statements =
            statements.into_iter().enumerate().map(|(position, statement)| Statement::read(position, statement));
        Ok(Self { statements: statements.collect::<Result<_>>()? })
    }

    /// Whether a request may go through. `resource` is an ARN, or `*` for what has none.
    pub(super) fn permits(&self, action: &str, resource: &str) -> Result<(), Denial> {
        let mut denial = Err(Denial::Implicit);
        for statement in &self.statements {
            let hits = statement.actions.hold(|pattern| is_action(pattern, action))
                && statement.resources.hold(|pattern| is_resource(pattern, resource));
            match (hits, statement.is_deny) {
                (true, true) => return Err(Denial::Explicit),
                (true, false) => denial = Ok(()),
                (false, _) => {}
            }
        }
        denial
    }
}

impl Statement {
    fn read(position: usize, statement: &Value) -> Result<Self> {
        let sid = statement.get("Sid").and_then(Value::as_str).map_or(String::new(), |sid| format!(" ({sid})"));
        let name = format!("statement {}{sid} of the policy", position + 1);
        let fields = statement.as_object().ok_or_else(|| Error::usage(format!("{name} is no JSON object")))?;
        if fields.contains_key("Condition") {
            return Err(Error::usage(format!("{name} has a Condition, which the sandbox does not enforce"))
                .hint("take it out to try the rest"));
        }
        known(fields, &name, &["Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource"])?;
        let is_deny = match fields.get("Effect").and_then(Value::as_str) {
            Some("Allow") => false,
            Some("Deny") => true,
            _ => return Err(Error::usage(format!("{name} has no Effect")).hint("it is \"Allow\" or \"Deny\"")),
        };
        let actions = Patterns::read(fields, &name, "Action", "NotAction", |pattern| {
            pattern == "*"
                || pattern.split_once(':').is_some_and(|(service, action)| !service.is_empty() && !action.is_empty())
        })?;
        let resources = Patterns::read(fields, &name, "Resource", "NotResource", |pattern| {
            pattern == "*"
                || (pattern.starts_with("arn:") && pattern.splitn(6, ':').count() == 6 && !pattern.contains("${"))
        })?;
        Ok(Self { is_deny, actions, resources })
    }
}

impl Patterns {
    fn read(
        fields: &Map<String, Value>,
        name: &str,
        lists: &str,
        excludes: &str,
        is_fine: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let (field, value, is_exclusion) = match (fields.get(lists), fields.get(excludes)) {
            (Some(value), None) => (lists, value, false),
            (None, Some(value)) => (excludes, value, true),
            (None, None) => return Err(Error::usage(format!("{name} has no {lists}"))),
            (Some(_), Some(_)) => return Err(Error::usage(format!("{name} has both {lists} and {excludes}"))),
        };
        let values = match value {
            Value::Array(values) => values.iter().collect(),
            value => vec![value],
        };
        let patterns = values.into_iter().map(|value| match value.as_str().filter(|pattern| is_fine(pattern)) {
            Some(pattern) => Ok(pattern.to_owned()),
            None => Err(Error::usage(format!("{name}: {value} is not a value of {field} that the sandbox enforces"))
                .hint("an action is such as \"sqs:SendMessage\", a resource an ARN without policy variables, and each can be \"*\"")),
        });
        Ok(Self { excludes: is_exclusion, patterns: patterns.collect::<Result<_>>()? })
    }

    fn hold(&self, hits: impl Fn(&str) -> bool) -> bool {
        self.patterns.iter().any(|pattern| hits(pattern)) != self.excludes
    }
}

fn known(fields: &Map<String, Value>, name: &str, known: &[&str]) -> Result<()> {
    match fields.keys().find(|field| !known.contains(&field.as_str())) {
        Some(field) => Err(Error::usage(format!("{name} has a {field:?}, which the sandbox does not enforce"))
            .hint(format!("it knows {}", known.join(", ")))),
        None => Ok(()),
    }
}

/// Actions are compared without regard to case.
fn is_action(pattern: &str, action: &str) -> bool {
    matches(pattern.to_ascii_lowercase().as_bytes(), action.to_ascii_lowercase().as_bytes())
}

/// A wildcard stays within its part of the ARN; the last part is all that follows the fifth colon.
fn is_resource(pattern: &str, resource: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let parts = |text: &str| text.splitn(6, ':').map(str::to_owned).collect::<Vec<_>>();
    let (pattern, resource) = (parts(pattern), parts(resource));
    pattern.len() == resource.len()
        && pattern.iter().zip(&resource).all(|(pattern, part)| matches(pattern.as_bytes(), part.as_bytes()))
}

/// Whether a text fits a pattern, in which `*` is any text and `?` any one character. Goes back to the last `*` only, so that it takes no
/// longer than both lengths multiplied.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[from] => {
                at += 1;
                from += 1;
            }
            _ => match &mut star {
                Some((position, tried)) => {
                    *tried += 1;
                    (at, from) = (*position + 1, *tried);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statements: &str) -> Policy {
        Policy::parse(&format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{statements}]}}")).unwrap()
    }

    const ORDERS: &str = "arn:aws:sqs:eu-west-1:000000000000:orders";

    #[test]
    fn what_no_statement_allows_is_denied_and_a_deny_wins() {
        let of_orders =
            policy(&format!(r#"{{"Effect":"Allow","Action":["SQS:send*","sqs:Get?ueueUrl"],"Resource":"{ORDERS}"}}"#));
        assert_eq!(of_orders.permits("sqs:SendMessage", ORDERS), Ok(()));
        assert_eq!(of_orders.permits("sqs:GetQueueUrl", ORDERS), Ok(()));
        for (action, resource) in [
            ("sqs:DeleteMessage", ORDERS),
            ("sqs:SendMessage", "arn:aws:sqs:eu-west-1:000000000000:Orders"),
            ("sqs:SendMessage", "arn:aws:sqs:eu-west-1:000000000000:orders-dlq"),
        ] {
            assert_eq!(of_orders.permits(action, resource), Err(Denial::Implicit), "{action} {resource}");
        }
        let denied = policy(
            r#"{"Effect":"Allow","Action":"*","Resource":"*"},
               {"Effect":"Deny","NotAction":"sqs:*","NotResource":"arn:aws:s3:::a/*"}"#,
        );
        assert_eq!(denied.permits("sqs:SendMessage", ORDERS), Ok(()));
        assert_eq!(denied.permits("s3:PutObject", "arn:aws:s3:::a/k"), Ok(()));
        assert_eq!(denied.permits("s3:PutObject", "arn:aws:s3:::b/k"), Err(Denial::Explicit));
    }

    #[test]
    fn a_wildcard_stays_within_its_part_of_the_arn() {
        for (pattern, fits) in [
            ("*", true),
            ("arn:aws:sqs:*:*:orders", true),
            ("arn:aws:sqs:*:*:*", true),
            ("arn:aws:sqs:eu-west-?:000000000000:ord*s", true),
            ("arn:aws:sqs:*:orders", false),
            ("arn:aws:sqs:eu-west-1:000000000000:order", false),
            ("arn:aws:sqs:eu-west-1:000000000000:orders?", false),
        ] {
            assert_eq!(is_resource(pattern, ORDERS), fits, "{pattern}");
        }
        assert!(is_resource("arn:aws:s3:::a/*", "arn:aws:s3:::a/b:c/d"));
        assert!(
            matches(b"a*b*c", b"a.b.b.c") && !matches(b"a*b*c", b"a.b.b.d") && !matches(b"", b"a") && matches(b"", b"")
        );
    }

    #[test]
    fn what_is_not_enforced_is_refused_in_words() {
        let statement = |fields: &str| format!(r#"{{"Statement":{{"Sid":"S",{fields}}}}}"#);
        for (text, words) in [
            ("[]", "no JSON object"),
            ("{", "not JSON"),
            (r#"{"Version":"2012-10-17"}"#, "no Statement"),
            (r#"{"Version":"2013","Statement":[]}"#, "Version"),
            (r#"{"Statement":[],"Statements":[]}"#, "\"Statements\""),
            (r#"{"Statement":[1]}"#, "statement 1 of the policy is no JSON object"),
            (
                &statement(r#""Effect":"allow","Action":"*","Resource":"*""#),
                "statement 1 (S) of the policy has no Effect",
            ),
            (&statement(r#""Effect":"Allow","Resource":"*""#), "has no Action"),
            (&statement(r#""Effect":"Allow","Action":"*""#), "has no Resource"),
            (
                &statement(r#""Effect":"Allow","Action":"*","NotAction":"*","Resource":"*""#),
                "both Action and NotAction",
            ),
            (
                &statement(r#""Effect":"Allow","Action":"SendMessage","Resource":"*""#),
                "\"SendMessage\" is not a value of Action",
            ),
            (
                &statement(r#""Effect":"Allow","Action":"*","Resource":"orders""#),
                "\"orders\" is not a value of Resource",
            ),
            (&statement(r#""Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username}""#), "Resource"),
            (&statement(r#""Effect":"Allow","Action":"*","Resource":"*","Condition":{}"#), "has a Condition"),
            (&statement(r#""Effect":"Allow","Action":"*","Resource":"*","NotPrincipal":"*""#), "\"NotPrincipal\""),
        ] {
            let error = Policy::parse(text).unwrap_err();
            assert!(error.is_usage() && error.message().contains(words), "{text}: {error}");
        }
    }
}
