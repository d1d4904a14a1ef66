//! `redrive explain`: for single messages, what each condition finds and what becomes of them. From a file it connects
//! to nothing but S3, for pointers that the job says to follow; from the queue it receives a few and gives them back at once.
//! Destinations are never asked, so a queue is taken to be what its name says, with SQS's largest message.

use std::io::Read as _;
use std::path::Path;

use jiff::Timestamp;
use redrive_protocol::message::{
    Attribute, AttributeValue, Attributes, Body, Message, MessageId, Outgoing, SystemAttributes,
};
use redrive_protocol::target::{DROP, ORIGIN, Target, TargetKind};
use redrive_rules::job::Destination;
use redrive_rules::rule::{Decision, ExplainedCondition, Explanation, Setting, read_envelope};
use tokio::sync::watch;

use super::job::{self, Compiled};
use super::{read_bytes, read_job, text_of, wiring};
use crate::cli::{ExplainArgs, Format};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::plan::{self, SampleOptions, Shown, check_sampling, sample};
use crate::sqs::{Counts, QueueAttributes};
use crate::view::explain::{Condition, Explained, Rule, Step};
use crate::view::progress::Looking;
use crate::view::{explain, output};

/// What SQS takes at the most, in bytes.
const LARGEST: u64 = 1024 * 1024;

pub(super) async fn explain(args: ExplainArgs) -> Result<Exit> {
    let file = args.job.display().to_string();
    let compiled = job::compile_or_show(&file, &read_job(&args.job)?)?;
    let mut reach = None;
    let (messages, source_arn, now) = match &args.message {
        Some(path) => (from_file(path, &args)?, compiled.job.source.queue.clone(), Timestamp::now()),
        None => from_queue(&args, &compiled, reach.insert(wiring::Reach::new(&args.reach).await?)).await?,
    };
    if reach.is_none() && messages.iter().any(|message| compiled.rules.pointer(message).is_some()) {
        reach = Some(wiring::Reach::new(&args.reach).await?);
    }
    let payloads = reach.as_ref().and_then(|reach| wiring::payloads(&reach.aws, &compiled.job, &compiled.rules));
    for (position, mut message) in messages.into_iter().enumerate() {
        if let Some(payloads) = &payloads {
            payloads.fetch(&compiled.rules, std::iter::once(&mut message)).await?;
        }
        let setting = setting(&compiled, &message, &source_arn, now);
        let explanation = compiled.rules.explain(&compiled.job, &message, &setting);
        let explained = put(&compiled, &message, &setting, explanation);
        match args.format {
            Format::Text => {
                let gap = if position == 0 { "" } else { "\n" };
                output::out(&format!("{gap}{}", explain::document(&explained).text(output::screen())))?;
            }
            Format::Json => output::json_line(&explained)?,
        }
    }
    Ok(Exit::Done)
}

/// The messages of an archive, or one made of a body and what the command line says.
fn from_file(path: &Path, args: &ExplainArgs) -> Result<Vec<Message>> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(plan::MAX_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| Error::usage(format!("stdin cannot be read: {error}")))?;
        bytes
    } else {
        read_bytes(path)?
    };
    let text = text_of(path, bytes)?;
    let archived: Option<Vec<_>> = text.lines().filter(|line| !line.trim().is_empty()).map(read_envelope).collect();
    if let Some(messages) = archived.filter(|messages| !messages.is_empty()) {
        if args.attribute.is_empty() && args.system.is_empty() {
            return Ok(messages);
        }
        return Err(Error::usage("an archived message has its own attributes")
            .hint("leave out --attribute and --system, or give only a body"));
    }
    let pair = |text: &String| {
        text.split_once('=')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .ok_or_else(|| Error::usage(format!("expected NAME=VALUE, found {text:?}")))
    };
    let mut attributes = Attributes::new();
    for (name, value) in args.attribute.iter().map(pair).collect::<Result<Vec<_>>>()? {
        let value = AttributeValue::Text(value);
        attributes.insert(name, Attribute { data_type: "String".to_owned(), value });
    }
    let system = SystemAttributes(args.system.iter().map(pair).collect::<Result<_>>()?);
    // Editors end a file with a line end, and a body seldom has one.
    let body = text.strip_suffix('\n').unwrap_or(&text).to_owned();
    Ok(vec![Message {
        id: MessageId::new("00000000-0000-0000-0000-000000000000"),
        body,
        attributes,
        system,
        payload: None,
    }])
}

/// A sample of the source, given back, with the queue's ARN and the server's clock.
async fn from_queue(
    args: &ExplainArgs,
    compiled: &Compiled,
    reach: &wiring::Reach,
) -> Result<(Vec<Message>, String, Timestamp)> {
    let source = wiring::source(&reach.aws, &compiled.job).await?;
    let attributes = source.attributes().await.map_err(|error| Error::from(error).and_hint("nothing was received"))?;
    check_sampling(&attributes, args.sample_despite_redrive_policy)?;
    let now = reach.aws.server_time(source.url()).unwrap_or_else(Timestamp::now);
    let messages = usize::try_from(args.from_queue.unwrap_or(1)).unwrap_or(usize::MAX);
    let options = SampleOptions { messages, ..SampleOptions::default() };
    let stop = crate::apply::Stop::default();
    super::signals::listen(&stop)?;
    let (cancel, cancelled) = watch::channel(false);
    let watching = tokio::spawn(async move {
        stop.asked().await;
        cancel.send_replace(true);
        cancel.closed().await;
    });
    let of = attributes.counts.visible.map(|visible| visible.min(messages as u64));
    let looking = Looking::on_stderr();
    let sampled = sample(&source, &attributes, &options, &|looked| looking.show(looked, of), cancelled).await;
    watching.abort();
    drop(looking);
    let mut sampled = sampled?;
    sampled.messages.truncate(messages);
    Ok((sampled.messages, attributes.arn, now))
}

/// The setting of a plan made now, with destinations as their names say.
fn setting(compiled: &Compiled, message: &Message, source_arn: &str, now: Timestamp) -> Setting {
    let job = &compiled.job;
    let target = |destination: &str, kind, arn: Option<&str>| Target {
        destination: destination.to_owned(),
        kind,
        queue: arn.map(queue),
        location: None,
    };
    let mut targets: Vec<_> = job
        .destination
        .iter()
        .map(|(name, destination)| match destination {
            Destination::Sqs(sqs) => target(name, TargetKind::Sqs, Some(&sqs.queue)),
            Destination::S3(_) => target(name, TargetKind::S3, None),
            Destination::File(_) => target(name, TargetKind::File, None),
        })
        .collect();
    targets.extend(message.system.dead_letter_queue_source_arn().map(|arn| target(ORIGIN, TargetKind::Sqs, Some(arn))));
    targets.push(target(DROP, TargetKind::Drop, None));
    Setting {
        now,
        sent_before: job.source.sent_before.map_or(now, |bound| bound.resolve(now)),
        sent_after: job.source.sent_after.map(|bound| bound.resolve(now)),
        run: "explain".to_owned(),
        source_arn: source_arn.to_owned(),
        targets,
    }
}

fn queue(name: &str) -> QueueAttributes {
    QueueAttributes {
        arn: name.to_owned(),
        url: String::new(),
        fifo: name.strip_suffix(".fifo").is_some(),
        created: None,
        redrive_policy: None,
        redrive_allow_policy: None,
        maximum_message_size: LARGEST,
        message_retention_seconds: 0,
        visibility_timeout_seconds: 0,
        kms_key: None,
        content_based_deduplication: false,
        counts: Counts::default(),
    }
}

fn put(compiled: &Compiled, message: &Message, setting: &Setting, explanation: Explanation) -> Explained {
    let rules = &compiled.rules;
    let Explanation { rules: asked, steps, verdict } = explanation;
    let label = |target: redrive_protocol::target::TargetId| {
        setting.targets.get(usize::from(target.0)).map(Target::label).unwrap_or_default()
    };
    let (outcome, to, reason, words) = match &verdict.decision {
        Decision::Send { target, .. } => ("send", Some(label(*target)), None, format!("goes to {}", label(*target))),
        Decision::Archive { target, .. } => {
            ("archive", Some(label(*target)), None, format!("is archived in {}", label(*target)))
        }
        Decision::Drop { .. } => ("drop", None, None, "is dropped".to_owned()),
        Decision::Keep(reason) => ("keep", None, Some(reason.code()), format!("stays: {reason}")),
        Decision::Block { reason, detail } => {
            ("block", None, Some(reason.code()), format!("is blocked: {reason} ({detail})"))
        }
    };
    let mut last = (message.shown().to_owned(), message.attributes.clone());
    let transforms = steps.into_iter().map(|step| {
        let done = step.after.is_some();
        let after = step.after.filter(|after| *after != last).and_then(|after| {
            last = after;
            let outgoing = Outgoing {
                body: Body::Changed(last.0.clone()),
                attributes: last.1.clone(),
                message_group_id: None,
                message_deduplication_id: None,
                trace_header: None,
                payload: None,
            };
            Shown::of(rules, message, Some(&outgoing)).1
        });
        Step { transform: step.text, done, after }
    });
    let transforms: Vec<_> = transforms.collect();
    let changed = match &verdict.decision {
        Decision::Send { outgoing, .. } => {
            Some(outgoing).filter(|after| after.body.as_str() != message.body || after.attributes != message.attributes)
        }
        _ => None,
    };
    let (before, after) = Shown::of(rules, message, changed);
    Explained {
        kind: "explanation",
        version: 1,
        message_id: message.id.to_string(),
        rules: asked
            .into_iter()
            .map(|rule| Rule { name: rule.name, holds: rule.holds, conditions: conditions(rule.conditions) })
            .collect(),
        rule: rules.rule_name(verdict.rule).to_owned(),
        outcome,
        to,
        exhausted: verdict.exhausted,
        reason,
        words,
        before,
        after,
        transforms,
    }
}

fn conditions(conditions: Vec<ExplainedCondition>) -> Vec<Condition> {
    let put = |ExplainedCondition { text, holds, found, parts }| Condition {
        condition: text,
        holds,
        found,
        parts: self::conditions(parts),
    };
    conditions.into_iter().map(put).collect()
}
