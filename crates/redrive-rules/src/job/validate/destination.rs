//! Destinations: names, queues that are not the source, S3 keys that keep messages apart, file paths.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use redrive_protocol::target::{DROP, KEEP, ORIGIN};

use crate::job::finding::{Finding, Findings, Place};
use crate::job::queue_ref::QueueRef;
use crate::job::template::Placeholder;
use crate::job::types::{Destination, FileDestination, Job, S3Destination, SqsDestination};

use super::queue;
use crate::job::text;

/// The longest key that S3 takes, in bytes.
const MAX_KEY: usize = 1024;

pub(super) fn all(job: &Job, findings: &mut Findings) {
    let mut files: BTreeMap<PathBuf, Place> = BTreeMap::new();
    for (name, destination) in &job.destination {
        let place = Place::root().key("destination").key(name);
        if matches!(name.as_str(), ORIGIN | KEEP | DROP) {
            let message = format!("`{name}` is built in and cannot be defined");
            findings.add(Finding::new(&place, message).on_key().help("give the destination another name"));
        } else if let Err(message) = text::name(name) {
            findings.add(Finding::new(&place, message).on_key());
        }
        match destination {
            Destination::Sqs(sqs) => self::sqs(job, sqs, &place.key("sqs"), findings),
            Destination::S3(s3) => self::s3(s3, &place.key("s3"), findings),
            Destination::File(file) => {
                let place = place.key("file").key("path");
                self::file(file, &place, findings);
                // Two writers on one file would tear each other's lines, and break its compression.
                if let Some(first) = files.insert(plainly(&file.path, &job.name), place.clone()) {
                    let message = "two destinations write to one file";
                    let help = "send both rules to one destination: each line says which rule took it";
                    findings.add(Finding::new(&place, message).help(help).also(first, "the first"));
                }
            }
        }
    }
}

/// A path without what makes two spellings of one. Links are looked at when the file is opened.
fn plainly(path: &str, job: &str) -> PathBuf {
    let path = path.replace("{job}", job);
    Path::new(&path).components().fold(PathBuf::new(), |mut plain, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            other => plain.push(other),
        }
        plain
    })
}

fn sqs(job: &Job, sqs: &SqsDestination, place: &Place, findings: &mut Findings) {
    let access = sqs.access();
    let queue = queue::check(&sqs.queue, &access, place, findings);
    if let (Some(queue), Ok(source)) = (&queue, job.source.queue.parse::<QueueRef>())
        && queue::same((queue, &access), (&source, &job.source.access()))
    {
        let message = "this is the source queue: its messages would be redriven for ever";
        let finding = Finding::new(&place.key("queue"), message).help("to leave messages there, say `to = \"keep\"`");
        findings.add(finding.also(Place::root().key("source").key("queue"), "the source"));
    }
    if let Some(group) = &sqs.message_group_id {
        let place = place.key("message_group_id");
        findings.check(text::not_empty(group, "a message group ID"), &place);
        text::template(group, Placeholder::ALL, &place, findings);
    }
    if let (Some(queue), Ok(source), None) = (&queue, job.source.queue.parse::<QueueRef>(), &sqs.message_group_id)
        && queue.is_fifo()
        && !source.is_fifo()
    {
        let message = "a FIFO queue needs a message group ID, and messages of a standard queue have none";
        let help =
            "add `message_group_id = \"{message_id}\"`: each message is a group of its own, and waits for no other";
        let finding = Finding::new(&place.key("queue"), message).help(help);
        findings.add(finding.also(Place::root().key("source").key("queue"), "a standard queue"));
    }
    let Some(id) = &sqs.message_deduplication_id else { return };
    let at = place.key("message_deduplication_id");
    let template = text::template(id, Placeholder::ALL, &at, findings);
    if template.is_some_and(|template| !template.uses(Placeholder::MessageId)) {
        let message = "a deduplication ID must hold `{message_id}`: of messages with the same ID, SQS drops all but one in silence";
        findings.add(Finding::new(&at, message));
    }
    if queue.is_some_and(|queue| !queue.is_fifo()) {
        let message = "only a FIFO queue takes a deduplication ID, and this is none: its name does not end in `.fifo`";
        findings.add(Finding::new(&at, message).also(place.key("queue"), "a standard queue"));
    }
}

fn s3(s3: &S3Destination, place: &Place, findings: &mut Findings) {
    queue::check_access(&s3.access(), place, findings);
    findings.check(bucket(&s3.bucket), &place.key("bucket"));
    let at = place.key("key");
    let Some(template) = text::template(&s3.key, Placeholder::ALL, &at, findings) else { return };
    if !template.uses(Placeholder::MessageId) {
        let message = "the key must hold `{message_id}`: without it two messages would want one object";
        findings.add(Finding::new(&at, message).help("for example \"unprocessed/{date}/{message_id}.json\""));
    }
    // Rendered placeholders hold no `/`, so any stand-in shows the segments.
    let key = template.render(|_| Cow::Borrowed("x"));
    if key.starts_with('/') {
        findings.add(Finding::new(&at, "a key does not begin with `/`: it would make a folder without a name"));
    }
    if key.split('/').any(|segment| matches!(segment, "." | "..")) {
        findings.add(Finding::new(
            &at,
            "a key has no `.` or `..` between slashes: S3 takes them as names, and tools do not",
        ));
    }
    if key.chars().any(char::is_control) {
        findings.add(Finding::new(&at, "a key holds no control characters"));
    }
    if key.len() > MAX_KEY {
        findings.add(Finding::new(&at, format!("a key has at most {MAX_KEY} bytes")));
    }
}

fn bucket(name: &str) -> Result<(), String> {
    if name.starts_with("arn:") {
        return Ok(());
    }
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    match name.chars().find(|c| !is_allowed(*c)) {
        Some(c) => Err(format!("a bucket's name is small letters, digits, `-` and `.`; found {c:?}")),
        None if !(3..=63).contains(&name.len()) => {
            Err(format!("a bucket's name has 3 to 63 characters; this one has {}", name.len()))
        }
        None => Ok(()),
    }
}

fn file(file: &FileDestination, place: &Place, findings: &mut Findings) {
    findings.check(text::not_empty(&file.path, "a path"), place);
    text::template(&file.path, &[Placeholder::Run, Placeholder::Job], place, findings);
    if file.path.ends_with('/') {
        let message = "expected a file, not a directory";
        findings.add(Finding::new(place, message).help("for example \"evidence/{run}.jsonl.gz\""));
    }
}
