//! Redaction: what plans, reports and notes must not show. Used where messages are shown or written about, never on messages
//! that are sent or archived.
//!
//! A path and a name say where a secret is; a transform can carry it elsewhere. So what is found there is also hidden wherever
//! else it stands in the same message, before and after, and in words about it: by its value.

use std::collections::{BTreeSet, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redrive_protocol::message::{AttributeValue, Attributes};

use super::json::{self, Node};
use super::path::Path;

/// `[report] redact` and `redact_attributes`, compiled.
#[derive(Debug, Default)]
pub(super) struct Redaction {
    pub(super) paths: Vec<Path>,
    pub(super) attributes: BTreeSet<String>,
}

/// What stands in the place of a value that is hidden.
pub const REDACTED: &str = "[redacted]";

/// Values shorter than this, in bytes, are hidden in their own place only: `1` and `eu` stand everywhere by chance.
const MIN_SECRET: usize = 4;

/// Hides what must not be shown of one message, in every version of it and in every text about it.
pub struct Veil<'r> {
    redaction: &'r Redaction,
    secrets: BTreeSet<String>,
}

// The secrets are just what must not be in a debug text.
impl std::fmt::Debug for Veil<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Veil({} secrets)", self.secrets.len())
    }
}

impl Redaction {
    /// Whether there is anything to hide.
    pub(super) fn is_on(&self) -> bool {
        !self.paths.is_empty() || !self.attributes.is_empty()
    }

    /// Learns what is secret in these versions of a message.
    pub(super) fn veil<'v>(&self, versions: impl IntoIterator<Item = (&'v str, &'v Attributes)>) -> Veil<'_> {
        let mut secrets = BTreeSet::new();
        for (body, attributes) in versions {
            if !self.paths.is_empty()
                && let Some(value) = json::parse(body)
            {
                for path in &self.paths {
                    path.each(&value, |node| learn(node, &mut secrets));
                }
            }
            for (_, attribute) in attributes.iter().filter(|(name, _)| self.attributes.contains(*name)) {
                secrets.insert(text_of(&attribute.value));
            }
        }
        secrets.retain(|secret| secret.len() >= MIN_SECRET);
        Veil { redaction: self, secrets }
    }
}

/// Every text and number in a hidden value.
fn learn(node: &Node<'_>, secrets: &mut BTreeSet<String>) {
    match node {
        Node::Text(text) | Node::Number(text) => drop(secrets.insert(text.clone().into_owned())),
        Node::Array(elements) => elements.iter().for_each(|element| learn(element, secrets)),
        Node::Object(members) => members.iter().for_each(|(_, member)| learn(member, secrets)),
        Node::Null | Node::Bool(_) => {}
    }
}

/// An attribute's value as it is shown: binary in Base64.
fn text_of(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Text(text) => text.clone(),
        AttributeValue::Binary(bytes) => STANDARD.encode(bytes),
    }
}

impl Veil<'_> {
    /// The body as it may be shown. A body that is not JSON is withheld whole where there are paths: none can say where its
    /// secrets are.
    pub fn body(&self, body: &str) -> String {
        let paths = &self.redaction.paths;
        if paths.is_empty() && self.secrets.is_empty() {
            return body.to_owned();
        }
        let Some(root) = json::parse(body) else {
            return if paths.is_empty() {
                self.text(body)
            } else {
                format!("[not JSON, {} bytes, withheld: redaction is on]", body.len())
            };
        };
        let mut hidden = HashSet::new();
        for path in paths {
            path.each(&root, |node| {
                hidden.insert(std::ptr::from_ref(node));
            });
        }
        // Always written anew: of two members of one name, a path sees only the last.
        self.without(&root, &hidden).to_string()
    }

    /// An attribute's value as it may be shown; binary in Base64.
    pub fn attribute(&self, name: &str, value: &AttributeValue) -> String {
        if self.redaction.attributes.contains(name) { REDACTED.to_owned() } else { self.text(&text_of(value)) }
    }

    /// Words about the message, such as why it is blocked or what a destination said, without what is secret in it.
    pub fn text(&self, text: &str) -> String {
        // The longest first: one secret may be the beginning of another.
        let mut secrets: Vec<&String> = self.secrets.iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), REDACTED))
    }

    fn holds_secret(&self, text: &str) -> bool {
        self.secrets.iter().any(|secret| text.contains(secret.as_str()))
    }

    /// A copy without the hidden nodes and the secrets. Hidden nodes are told by where they are, since a value may be secret in
    /// one place only. A text that holds a secret goes whole: what stands around it may be a part of it.
    fn without<'b>(&self, node: &Node<'b>, hidden: &HashSet<*const Node<'b>>) -> Node<'b> {
        if hidden.contains(&std::ptr::from_ref(node)) {
            return Node::Text(REDACTED.into());
        }
        match node {
            Node::Array(elements) => {
                Node::Array(elements.iter().map(|element| self.without(element, hidden)).collect())
            }
            Node::Object(members) => {
                let shown = members.iter().map(|(key, member)| (self.text(key).into(), self.without(member, hidden)));
                Node::Object(shown.collect())
            }
            Node::Text(text) if self.holds_secret(text) => Node::Text(REDACTED.into()),
            Node::Number(number) if self.secrets.contains(&**number) => Node::Text(REDACTED.into()),
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use redrive_protocol::message::Attribute;

    use super::*;

    fn redaction(paths: &[&str], attributes: &[&str]) -> Redaction {
        let paths = paths.iter().map(|path| Path::parse(path).expect("a path")).collect();
        Redaction { paths, attributes: attributes.iter().map(|&name| name.to_owned()).collect() }
    }

    fn redact(paths: &[&str], body: &str) -> String {
        redaction(paths, &[]).veil([(body, &Attributes::new())]).body(body)
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

    #[test]
    fn a_secret_is_hidden_wherever_a_transform_carries_it() {
        let before = r#"{"customer":{"email":"a@b.c","card":41110000,"id":7},"wrapped":"{\"email\":\"a@b.c\"}"}"#;
        let after = r#"{"contact":"mailto:a@b.c","card":41110000,"a@b.c":1,"id":7}"#;
        let attributes = |name: &str, value: &str| Attributes::from([(name.to_owned(), Attribute::string(value))]);
        let (old, new) = (attributes("token", "hunter2"), attributes("copy", "Bearer hunter2"));
        let redaction = redaction(&["$.customer"], &["token"]);
        let veil = redaction.veil([(before, &old), (after, &new)]);
        assert_eq!(veil.body(before), r#"{"customer":"[redacted]","wrapped":"[redacted]"}"#);
        assert_eq!(veil.body(after), r#"{"contact":"[redacted]","card":"[redacted]","[redacted]":1,"id":7}"#);
        assert_eq!(veil.attribute("token", &old["token"].value), "[redacted]");
        assert_eq!(veil.attribute("copy", &new["copy"].value), "Bearer [redacted]");
        assert_eq!(veil.text("cannot index \"a@b.c\" with 41110000"), "cannot index \"[redacted]\" with [redacted]");
        // Known only from the version that a transform made: what was a text in the other holds it, too.
        let unwrapped = r#"{"customer":{"email":"z@y.x"}}"#;
        let wrapped = r#"{"payload":"{\"customer\":{\"email\":\"z@y.x\"}}"}"#;
        assert!(!redaction.veil([(wrapped, &old), (unwrapped, &new)]).body(wrapped).contains("z@y.x"));
    }

    #[test]
    fn a_redacted_attribute_is_hidden_in_a_body_without_paths() {
        let attributes = Attributes::from([("token".to_owned(), Attribute::string("hunter2"))]);
        let redaction = redaction(&[], &["token"]);
        let veil = |body: &str| redaction.veil([(body, &attributes)]).body(body);
        assert_eq!(veil("token=hunter2"), "token=[redacted]");
        assert_eq!(veil(r#"{"t":"hunter2","n":1}"#), r#"{"t":"[redacted]","n":1}"#);
    }
}
