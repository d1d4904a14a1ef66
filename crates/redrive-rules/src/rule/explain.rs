//! Why a message is judged as it is: each condition with what it found, the transforms one by one, and the verdict, which is
//! that of [`Rules::judge`] itself. Everything shown here is redacted and shortened; nothing is neutralised for a terminal.

use std::borrow::Cow;

use jiff::Timestamp;
use redrive_protocol::message::{Attributes, Message};

use super::compile;
use super::context::Context;
use super::filter::{Condition, Subject, Test};
use super::jq::Trouble;
use super::json::{self, Node};
use super::select::inline;
use super::{REDACTED, Rules, Setting, Veil, Verdict, transform};
use crate::job::finding::{Findings, Place};
use crate::job::{self, Job, MessageFact, Problem};

/// Characters of a value that are shown, of them before what a test matched, and values of a path.
const MAX_VALUE: usize = 80;
const BEFORE_MATCH: usize = 24;
const MAX_VALUES: usize = 3;

/// A message judged, with the reasons.
#[derive(Debug)]
pub struct Explanation {
    /// The rules that were asked, in order, up to the one that took the message. None where it is out of scope.
    pub rules: Vec<ExplainedRule>,
    /// What became of body and attributes with each transform, up to one that could not be carried out.
    pub steps: Vec<ExplainedStep>,
    /// The verdict.
    pub verdict: Verdict,
}

/// A rule that was asked.
#[derive(Debug)]
pub struct ExplainedRule {
    /// Its name.
    pub name: String,
    /// Whether it took the message.
    pub holds: bool,
    /// Its conditions; all are asked here, also behind one that does not hold.
    pub conditions: Vec<ExplainedCondition>,
}

/// A condition that was asked.
#[derive(Debug)]
pub struct ExplainedCondition {
    /// As the job has it.
    pub text: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was found.
    pub found: String,
    /// The conditions of a group.
    pub parts: Vec<ExplainedCondition>,
}

/// A transform that was carried out, or the one that could not be.
#[derive(Debug)]
pub struct ExplainedStep {
    /// As the job has it.
    pub text: String,
    /// Body and attributes behind it; `None` where it blocks the message.
    pub after: Option<(String, Attributes)>,
}

impl Rules {
    /// Judges a message and says why. `job` is what these rules were compiled from.
    pub fn explain(&self, job: &Job, message: &Message, setting: &Setting) -> Explanation {
        let verdict = self.judge(message.clone(), setting);
        let mut rules = Vec::new();
        let mut steps = Vec::new();
        if setting.out_of_scope(message).is_none() {
            let subject = Subject::new(message, setting.now, setting.source_queue());
            let veil = self.veil([(message.shown(), &message.attributes)]);
            let asking = Asking { subject: &subject, veil: &veil, hide: &|text| Cow::Borrowed(text) };
            for (rule, written) in self.ordered.iter().zip(&job.rule) {
                let conditions = rule.when.iter().zip(&written.when);
                let conditions = conditions.map(|(condition, written)| asking.asked(condition, written));
                let took = rule.id == verdict.rule;
                rules.push(ExplainedRule { name: rule.name.clone(), holds: took, conditions: conditions.collect() });
                if took {
                    // What is exhausted goes as it came.
                    let written = if verdict.exhausted { &[][..] } else { &written.transform };
                    let context = Context::new(message, &self.job, &rule.name, setting);
                    steps = self::steps(&rule.transforms, written, message, &context);
                    break;
                }
            }
        }
        Explanation { rules, steps, verdict }
    }
}

/// What the conditions of a list find in a message, without a job. Values are shown as the veil and `hide` leave them.
pub fn explain_conditions(
    conditions: &[job::Condition],
    message: &Message,
    now: Timestamp,
    veil: &Veil<'_>,
    hide: &dyn Fn(&str) -> Cow<'_, str>,
) -> Result<Vec<ExplainedCondition>, Vec<Problem>> {
    let mut findings = Findings::default();
    let compiled = compile::conditions(conditions, &Place::root().key("when"), &mut findings);
    if !findings.0.is_empty() {
        return Err(findings.0.into_iter().map(|finding| finding.problem).collect());
    }
    let subject = Subject::new(message, now, "");
    let asking = Asking { subject: &subject, veil, hide };
    Ok(compiled.iter().zip(conditions).map(|(condition, written)| asking.asked(condition, written)).collect())
}

/// A message that is asked, and what must not be shown of it.
struct Asking<'a> {
    subject: &'a Subject<'a>,
    veil: &'a Veil<'a>,
    hide: &'a dyn Fn(&str) -> Cow<'_, str>,
}

impl Asking<'_> {
    fn asked(&self, condition: &Condition, written: &job::Condition) -> ExplainedCondition {
        let mut parts = Vec::new();
        let mut group = |members: &[Condition], written: &[job::Condition]| {
            parts = members.iter().zip(written).map(|(member, text)| self.asked(member, text)).collect();
        };
        let (subject, message) = (self.subject, self.subject.message);
        let found = match condition {
            Condition::Any(members) => {
                group(members, written.any.as_deref().unwrap_or_default());
                String::new()
            }
            Condition::All(members) => {
                group(members, written.all.as_deref().unwrap_or_default());
                String::new()
            }
            Condition::Not(member) => {
                group(
                    std::slice::from_ref(member),
                    written.not.as_deref().map(std::slice::from_ref).unwrap_or_default(),
                );
                String::new()
            }
            Condition::Body(path, test) => match subject.json() {
                None => "the body is not JSON".to_owned(),
                Some(body) => {
                    let (mut nodes, mut fits) = (0_usize, false);
                    path.each(body, |node| {
                        nodes += 1;
                        fits |= test.fits(node);
                    });
                    let shown = self.veil.body(message.shown());
                    let shown = json::parse(&shown).unwrap_or(Node::Null);
                    let mut values = Vec::new();
                    path.each(&shown, |node| values.push(self.shown(&node.to_string(), test)));
                    found_in_body(nodes, &values, fits, test)
                }
            },
            Condition::Attribute(name, test) => match message.attributes.get(name) {
                None => "there is no such attribute".to_owned(),
                Some(attribute) => {
                    let value = self.veil.attribute(name, &attribute.value);
                    format!("found {} ({})", self.shown(&value, test), attribute.data_type)
                }
            },
            Condition::System(name, test) => message
                .system
                .get(name)
                .map_or_else(|| "the message has none".to_owned(), |text| format!("found {}", self.shown(text, test))),
            Condition::Fact(fact, test) => match fact {
                MessageFact::Id => format!("it is {}", message.id.as_str()),
                MessageFact::Text => format!("it is {}", self.shown(&self.veil.body(message.shown()), test)),
                MessageFact::Size => format!("it is {} bytes", message.size()),
                MessageFact::IsJson => format!("it is {}", subject.is_json()),
            },
            Condition::Jq(program) => match subject.run(program) {
                None => "the body is not JSON".to_owned(),
                Some(Ok(value)) if value == "true" => "yields true".to_owned(),
                Some(Ok(value)) if value == "false" => "yields false".to_owned(),
                Some(Ok(_)) => "yields a value that is not true".to_owned(),
                Some(Err(Trouble::Nothing)) => "yields nothing".to_owned(),
                Some(Err(Trouble::Several)) => "yields several values".to_owned(),
                Some(Err(Trouble::Failed(what))) => format!("fails: {what}"),
                Some(Err(Trouble::GaveUp)) => "does not come to an end".to_owned(),
            },
        };
        ExplainedCondition { text: inline(written), holds: condition.holds(subject), found, parts }
    }

    /// A value in one line. A long one is cut, but not what the test matched in it.
    fn shown(&self, value: &str, test: &Test) -> String {
        // Hidden before it is cut: half of a secret does not look like one.
        let value = (self.hide)(value);
        let Some((end, _)) = value.char_indices().nth(MAX_VALUE) else { return value.into_owned() };
        let matched = test.matched(&value).filter(|at| at.end > end);
        let Some(at) = matched else { return format!("{}…", &value[..end]) };
        let start = value[..at.start].char_indices().rev().nth(BEFORE_MATCH - 1).map_or(0, |(start, _)| start);
        let rest = &value[start..];
        match rest.char_indices().nth(MAX_VALUE) {
            Some((end, _)) => format!("…{}…", &rest[..end]),
            None => format!("…{rest}"),
        }
    }
}

fn steps(
    transforms: &[transform::Transform],
    written: &[job::Transform],
    message: &Message,
    context: &Context<'_>,
) -> Vec<ExplainedStep> {
    let (mut body, mut attributes) = (message.shown().to_owned(), message.attributes.clone());
    let mut steps = Vec::new();
    for (transform, written) in transforms.iter().zip(written) {
        let is_json = json::is_json(&body);
        let done =
            transform::apply(std::slice::from_ref(transform), is_json, body, attributes, &message.system, context);
        let text = inline(written);
        let Ok((after, with)) = done else {
            steps.push(ExplainedStep { text, after: None });
            break;
        };
        (body, attributes) = (after.as_str().to_owned(), with);
        steps.push(ExplainedStep { text, after: Some((body.clone(), attributes.clone())) });
    }
    steps
}

fn found_in_body(nodes: usize, values: &[String], fits: bool, test: &Test) -> String {
    if nodes == 0 {
        return "the path yields nothing".to_owned();
    }
    // Where the redacted body holds other nodes, a path leads through what is hidden.
    let values: &[String] = if values.len() == nodes { values } else { &[REDACTED.to_owned()] };
    let mut found = format!("found {}", values[..values.len().min(MAX_VALUES)].join(", "));
    if nodes > MAX_VALUES {
        found = format!("{found} and {} more", nodes - MAX_VALUES);
    }
    if !fits && let Some(wanted) = test.wants() {
        found = format!("{found}; the test is for {wanted}");
    }
    found
}

#[cfg(test)]
mod tests {
    use redrive_protocol::message::{MessageId, SystemAttributes};

    use super::*;

    fn hidden(text: &str) -> Cow<'_, str> {
        text.replace("geheim", "[secret]").into()
    }

    fn found(body: &str, condition: job::Condition) -> String {
        let message = Message {
            id: MessageId::new("1"),
            body: body.to_owned(),
            attributes: Attributes::new(),
            system: SystemAttributes::default(),
            payload: None,
        };
        let shown = Veil::with(&[], &message, |veil| {
            explain_conditions(&[condition], &message, Timestamp::UNIX_EPOCH, veil, &hidden)
        });
        let shown = shown.expect("a path").expect("a condition");
        assert!(shown[0].holds, "{shown:?}");
        shown[0].found.clone()
    }

    #[test]
    fn what_a_test_matched_is_shown_however_far_in_the_text_it_stands() {
        let line = "at com.example.Frame.call(Frame.java:1)\n";
        let trace = format!("{}Caused by: geheim java.net.ConnectException: no{}", line.repeat(40), line.repeat(40));
        let text = || job::Condition { message: Some(MessageFact::Text), ..job::Condition::default() };
        for condition in [
            job::Condition { contains: Some("java.net.ConnectException".to_owned()), ..text() },
            job::Condition { regex: Some("Connect[A-Z][a-z]+".to_owned()), ..text() },
        ] {
            let found = found(&trace, condition);
            assert!(found.contains("[secret] java.net.ConnectException") && !found.contains("geheim"), "{found}");
            assert!(found.chars().count() < 100, "{found}");
        }
        let ends = job::Condition { suffix: Some("Frame.java:1)\n".to_owned()), ..text() };
        assert!(found(&trace, ends).ends_with("(Frame.java:1)\n"));
        let begins = job::Condition { prefix: Some("at com".to_owned()), ..text() };
        assert!(found(&trace, begins).starts_with("it is at com.example"));
        let body = json::Node::Object(vec![("e".into(), json::Node::Text(trace.clone().into()))]).to_string();
        let inner = job::Condition {
            body: Some("$.e".to_owned()),
            contains: Some("ConnectException: no".to_owned()),
            ..job::Condition::default()
        };
        assert!(found(&body, inner).contains("ConnectException: no"));
    }
}
