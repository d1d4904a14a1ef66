//! `redrive init`: writes a job for a queue from what is in it and from the redrive policies around it. Every rule keeps its
//! messages, so that the job moves nothing until somebody says where a group goes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use redrive_groups::{rule_toml, secret_places};
use redrive_protocol::target::KEEP;
use serde_json::Value;

use super::inspect::{Looked, look};
use super::job;
use crate::cli::InitArgs;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::plan::Opener as _;
use crate::view::{inspect as view, output};
use crate::words::{count, moment, thousands};

use super::wiring;

pub(super) async fn init(args: InitArgs) -> Result<Exit> {
    if let Some(out) = &args.out {
        check_out(out, args.force)?;
    }
    view::check_redaction(&args.look.redact)?;
    let looked = Box::pin(look(&args.queue, &args.look, None)).await?;
    let text = job_text(&args, &looked).await?;
    let name = args.out.as_ref().map_or_else(|| "the job".to_owned(), |out| out.display().to_string());
    // What is written is valid, or it is not written.
    job::compile_or_show(&name, &text)?;
    let Some(out) = &args.out else {
        output::out(&text)?;
        return Ok(Exit::Done);
    };
    write(out, &text, args.force)?;
    let groups = looked.finding.groups.len() as u64;
    output::err(&format!("{} written: {}, each of which keeps its messages", out.display(), count(groups, "rule")));
    Ok(Exit::Done)
}

fn check_out(out: &Path, force: bool) -> Result<()> {
    if !force && out.symlink_metadata().is_ok() {
        return Err(Error::usage(format!("{} is there already", out.display()))
            .hint("nothing was received or written; --force writes over it"));
    }
    Ok(())
}

fn write(out: &Path, text: &str, force: bool) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    // Somebody may have made it while we looked.
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(out).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Error::failed(format!("{} cannot be written: {error}", out.display())))
}

/// The whole job.
async fn job_text(args: &InitArgs, looked: &Looked) -> Result<String> {
    let queue = &looked.surveyed.source;
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |words: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{words}");
    };
    let all = if looked.sample.whole_queue { "the whole queue" } else { "a sample" };
    line(format_args!(
        "# Made by redrive init at {} from {} of {} ({all}).",
        moment(looked.surveyed.now),
        count(looked.sample.messages, "message"),
        queue.name()
    ));
    line(format_args!(
        "# Each rule below takes one group of messages and keeps it: nothing moves until you change a `to`."
    ));
    line(format_args!("# Then: redrive check, redrive plan, redrive apply.\n"));
    line(format_args!("version = 1\nname = {}\n", Value::from(plain_name(queue.name()))));
    line(format_args!("[source]\nqueue = {}", Value::from(args.queue.as_str())));
    let access = &looked.access;
    for (key, value) in [
        ("region", &access.region),
        ("profile", &access.profile),
        ("role_arn", &access.role_arn),
        ("endpoint_url", &access.endpoint_url),
    ] {
        if let Some(value) = value {
            line(format_args!("{key} = {}", Value::from(value.as_str())));
        }
    }
    if args.look.extended_client {
        line(format_args!("extended_client = true"));
    }
    line(format_args!(""));
    text.push_str(&destinations(looked).await?);
    text.push_str(
        "# How often a message may be redriven, counted in this attribute; at `max` it stays.\n\
         [retry]\nattribute = \"redriveCount\"\nmax = 3\nexhausted = \"keep\"\n\n",
    );
    text.push_str(&redaction(args, looked));
    text.push_str(
        "# [limits]\n# rate = \"50/s\"          # no faster than the consumer can take\n# max_messages = 1000\n",
    );
    for group in &looked.finding.groups {
        let share = looked.sample.estimate_of(group.messages);
        let total = match (share.is_interval, share.low == share.high) {
            (true, false) => format!(", about {} in the queue", thousands(share.total)),
            _ => String::new(),
        };
        let _ = writeln!(text, "\n# {}{total}.", count(group.messages, "message"));
        match &group.rule {
            Some(rule) => {
                if rule.right < rule.taken || rule.right < rule.wanted {
                    let (right, wanted) = (thousands(rule.right), thousands(rule.wanted));
                    let others = thousands(rule.taken - rule.right);
                    let _ =
                        writeln!(text, "# Not exact: it took {right} of the group's {wanted}, and {others} others.");
                }
                if let Some(words) = view::of_base64(rule) {
                    let _ = writeln!(text, "# {words}");
                }
                text.push_str(&rule_toml(&group.name, &rule.when, KEEP));
            }
            None => {
                let _ = writeln!(text, "# The group {:?}: {}", group.name, view::no_rule(group));
            }
        }
    }
    if let Some(others) = &looked.finding.others {
        let _ = writeln!(text, "\n# {} are in no group; what no rule takes stays:", count(others.messages, "message"));
    } else {
        text.push_str("\n# What no rule takes stays:\n");
    }
    text.push_str("[unmatched]\nto = \"keep\"\n");
    Ok(text)
}

/// Where messages can go: back to where they came from, on to the queue's own dead-letter queue, into an archive.
async fn destinations(looked: &Looked) -> Result<String> {
    let queue = &looked.surveyed.source;
    let mut text = String::new();
    let mut origins: BTreeSet<String> = BTreeSet::new();
    for origin in &looked.sample.origins {
        origins.insert(origin.arn.clone());
    }
    let opener = wiring::Origins { aws: &looked.reach.aws, access: looked.access.clone() };
    // A role that may not list them is common; then what messages name has to do.
    for url in looked.queue.dead_letter_sources().await.unwrap_or_default() {
        if let Ok(opened) = opener.queue_by_url(&url).await
            && let Ok(attributes) = opened.attributes().await
        {
            origins.insert(attributes.arn);
        }
    }
    let is_bare = origins.remove("");
    if origins.is_empty() {
        text.push_str(
            "# No queue redrives to this one, as far as can be seen. Name the one that messages are to go to:\n\
             # [destination.consumer]\n# sqs = { queue = \"the-queue-s-name\" }\n\n",
        );
    } else {
        let names: Vec<&str> = origins.iter().map(|arn| arn.rsplit(':').next().unwrap_or(arn)).collect();
        let _ = writeln!(
            text,
            "# Messages come here from {}: to = \"origin\" sends each back to its own.",
            names.join(", ")
        );
        if is_bare {
            text.push_str("# Some do not say where they came from: those stay unless `fallback` names a destination.\n[origin]\nfallback = \"keep\"\n");
        }
        text.push('\n');
    }
    if let Some(policy) = &queue.redrive_policy {
        let arn = &policy.dead_letter_target_arn;
        let name = plain_name(arn.rsplit(':').next().unwrap_or(arn));
        let _ = writeln!(
            text,
            "# The queue's own dead-letter queue.\n[destination.{name}]\nsqs = {{ queue = {} }}\n",
            Value::from(arn.as_str())
        );
    }
    text.push_str(
        "# An archive of what is given up; as a file, or in S3:\n# [destination.archive]\n# file = { path = \"archive/{run}.jsonl.gz\" }\n\
         # s3 = { bucket = \"the-bucket\", key = \"given-up/{date}/{message_id}.json\" }\n\n",
    );
    Ok(text)
}

/// What plans and reports must not show: as the command line says, and where something looked like a secret.
fn redaction(args: &InitArgs, looked: &Looked) -> String {
    let (mut paths, mut attributes) = (BTreeSet::new(), BTreeSet::new());
    for what in &args.look.redact {
        if what.starts_with('$') {
            paths.insert(what.clone())
        } else {
            attributes.insert(what.clone())
        };
    }
    let groups = looked.finding.groups.iter().chain(&looked.finding.others);
    for message in groups.filter_map(|group| group.example.as_ref()) {
        let (secret_paths, secret_attributes) = secret_places(message);
        paths.extend(secret_paths);
        attributes.extend(secret_attributes);
    }
    if paths.is_empty() && attributes.is_empty() {
        return "# [report]\n# redact = [\"$.customer.email\"]   # never shown in plans and reports\n\n".to_owned();
    }
    let list = |names: &BTreeSet<String>| Value::from(names.iter().cloned().collect::<Vec<_>>()).to_string();
    let mut text = "# Never shown in plans and reports.\n[report]\n".to_owned();
    for (key, names) in [("redact", &paths), ("redact_attributes", &attributes)] {
        if !names.is_empty() {
            let _ = writeln!(text, "{key} = {}", list(names));
        }
    }
    text.push('\n');
    text
}

/// A queue's name as a job or a destination may be called.
fn plain_name(name: &str) -> String {
    name.chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_') { letter } else { '-' })
        .collect()
}
