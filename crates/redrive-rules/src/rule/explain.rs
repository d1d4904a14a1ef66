//! Why a message is judged as it is: each condition with what it found, the transforms one by one, and the verdict, which is
//! that of [`Rules::judge`] itself. Everything shown here is redacted and shortened; nothing is neutralised for a terminal.

use redrive_protocol::message::{Attributes, Message};

use super::context::Context;
use super::filter::{Condition, Subject, Test};
use super::jq::Trouble;
use super::json::{self, Node};
use super::select::inline;
use super::{Rules, Setting, Verdict, transform};
use crate::job::{self, Job, MessageFact};

/// Characters of a value that are shown, and values of a path.
const MAX_VALUE: usize = 80;
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
            for (rule, written) in self.ordered.iter().zip(&job.rule) {
                let conditions = rule.when.iter().zip(&written.when);
                let conditions = conditions.map(|(condition, written)| self.asked(condition, written, &subject));
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

    fn asked(&self, condition: &Condition, written: &job::Condition, subject: &Subject<'_>) -> ExplainedCondition {
        let mut parts = Vec::new();
        let mut group = |members: &[Condition], written: &[job::Condition]| {
            parts = members.iter().zip(written).map(|(member, text)| self.asked(member, text, subject)).collect();
        };
        let message = subject.message;
        let veil = self.veil([(message.shown(), &message.attributes)]);
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
                    let shown = veil.body(message.shown());
                    let shown = json::parse(&shown).unwrap_or(Node::Null);
                    let mut values = Vec::new();
                    path.each(&shown, |node| values.push(short(&node.to_string())));
                    found_in_body(nodes, &values, fits, test)
                }
            },
            Condition::Attribute(name, _) => match message.attributes.get(name) {
                None => "there is no such attribute".to_owned(),
                Some(attribute) => {
                    let value = veil.attribute(name, &attribute.value);
                    format!("found {} ({})", short(&value), attribute.data_type)
                }
            },
            Condition::System(name, _) => message
                .system
                .get(name)
                .map_or_else(|| "the message has none".to_owned(), |text| format!("found {}", short(text))),
            Condition::Fact(fact, _) => match fact {
                MessageFact::Id => format!("it is {}", message.id.as_str()),
                MessageFact::Text => format!("it is {}", short(&veil.body(message.shown()))),
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
    let values: &[String] = if values.len() == nodes { values } else { &["[redacted]".to_owned()] };
    let mut found = format!("found {}", values[..values.len().min(MAX_VALUES)].join(", "));
    if nodes > MAX_VALUES {
        found = format!("{found} and {} more", nodes - MAX_VALUES);
    }
    if !fits && let Some(wanted) = test.wants() {
        found = format!("{found}; the test is for {wanted}");
    }
    found
}

/// A value in one line, cut where it is long.
fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
