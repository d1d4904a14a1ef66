//! Templates: text with placeholders in braces, parsed once when the job loads. Knows which placeholders there are, not
//! what they stand for; the caller of [`Template::render`] does.

use std::borrow::Cow;
use std::ops::Range;

use super::nearest::nearest;

macro_rules! placeholders {
    ($(#[doc = $meaning:literal] $variant:ident = $name:literal;)*) => {
        /// What a template can name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Placeholder { $(#[doc = $meaning] $variant,)* }

        impl Placeholder {
            /// All of them, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name, as it stands between the braces.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it stands for, for the reference page.
            pub(super) fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning.trim_ascii(),)* }
            }
        }
    };
}

placeholders! {
    /// The message ID.
    MessageId = "message_id";
    /// When the message was sent, in milliseconds since 1970.
    SentTimestamp = "sent_timestamp";
    /// The UTC date on which the message was sent.
    Date = "date";
    /// The run's identity.
    Run = "run";
    /// The job's name.
    Job = "job";
    /// The name of the rule that took the message.
    Rule = "rule";
    /// The name of the source queue.
    SourceQueue = "source_queue";
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(Placeholder, Range<usize>),
}

impl Template {
    /// Parses a template: `{name}` is a placeholder, `{{` and `}}` are braces. An error names the bytes it is about.
    pub fn parse(text: &str) -> Result<Self, (Range<usize>, String)> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(offset) = text[at..].find(['{', '}']) {
            let brace = at + offset;
            literal.push_str(&text[at..brace]);
            let rest = &text[brace..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                literal.push_str(&rest[..1]);
                at = brace + 2;
                continue;
            }
            if rest.starts_with('}') {
                return Err((brace..brace + 1, "a `}` that closes nothing; a brace itself is written `}}`".to_owned()));
            }
            let Some(end) = rest.find('}') else {
                let message = "a `{` that is never closed; a brace itself is written `{{`";
                return Err((brace..brace + 1, message.to_owned()));
            };
            let span = brace..brace + end + 1;
            let placeholder = Self::placeholder(&rest[1..end]).map_err(|message| (span.clone(), message))?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            at = span.end;
            parts.push(Part::Placeholder(placeholder, span));
        }
        literal.push_str(&text[at..]);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    fn placeholder(name: &str) -> Result<Placeholder, String> {
        if let Some(found) = Placeholder::ALL.iter().find(|placeholder| placeholder.name() == name) {
            return Ok(*found);
        }
        let names = Placeholder::ALL.iter().map(|placeholder| placeholder.name());
        let near = nearest(name, names.clone()).map(|near| format!("did you mean `{{{near}}}`?"));
        let all = || {
            let all: Vec<_> = names.map(|name| format!("{{{name}}}")).collect();
            format!("there are {}; a brace itself is written `{{{{`", all.join(" "))
        };
        Err(format!("no placeholder is called `{{{name}}}`; {}", near.unwrap_or_else(all)))
    }

    /// One that is always this text.
    pub(super) fn fixed(text: String) -> Self {
        Self { parts: vec![Part::Text(text)] }
    }

    /// The text with each placeholder replaced by what `value` gives for it.
    pub fn render<'v>(&self, mut value: impl FnMut(Placeholder) -> Cow<'v, str>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Placeholder(placeholder, _) => text.push_str(&value(*placeholder)),
            }
        }
        text
    }

    /// The placeholders, each with its bytes in the text that was parsed.
    pub fn placeholders(&self) -> impl Iterator<Item = (Placeholder, Range<usize>)> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Placeholder(placeholder, span) => Some((*placeholder, span.clone())),
        })
    }

    /// Whether it names this placeholder.
    pub fn uses(&self, placeholder: Placeholder) -> bool {
        self.placeholders().any(|(used, _)| used == placeholder)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(text: &str) -> String {
        Template::parse(text).expect("a template").render(|placeholder| Cow::Owned(format!("<{}>", placeholder.name())))
    }

    #[test]
    fn placeholders_and_braces() {
        for (text, rendered) in [
            ("", ""),
            ("plain", "plain"),
            ("{run}", "<run>"),
            ("a/{date}/{sent_timestamp}_{message_id}.json", "a/<date>/<sent_timestamp>_<message_id>.json"),
            ("{{}}", "{}"),
            ("{{run}}", "{run}"),
            ("{{{run}}}", "{<run>}"),
            ("é{job}é{rule}{source_queue}", "é<job>é<rule><source_queue>"),
        ] {
            assert_eq!(render(text), rendered, "{text}");
        }
    }

    #[test]
    fn errors_name_their_bytes() {
        for (text, span, part) in [
            ("é{messageid}", 2..13, "`{message_id}`"),
            ("{", 0..1, "never closed"),
            ("a}b", 1..2, "closes nothing"),
            ("{{}", 2..3, "closes nothing"),
            ("{}", 0..2, "there are {message_id}"),
            ("x{ run }", 1..8, "{run}"),
            ("{\"a\":{run}}", 0..10, "a brace itself"),
        ] {
            let (found, message) = Template::parse(text).expect_err("no template");
            assert_eq!(found, span, "{text}: {message}");
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn values_are_not_parsed_again() {
        let template = Template::parse("{run}").expect("a template");
        assert_eq!(template.render(|_| Cow::Borrowed("{job}{")), "{job}{");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_at_its_own_bytes(text in "[{}a-z_é]{0,20}") {
            match Template::parse(&text) {
                Ok(template) => for (placeholder, span) in template.placeholders() {
                    prop_assert_eq!(&text[span], format!("{{{}}}", placeholder.name()));
                },
                Err((span, _)) => prop_assert!(!text[span].is_empty()),
            }
        }

        #[test]
        fn doubled_braces_give_back_any_text(text in ".{0,30}") {
            let escaped = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(render(&escaped), text);
        }
    }
}
