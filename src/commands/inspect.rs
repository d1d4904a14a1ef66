//! `redrive inspect`: looks at a sample of a queue, or at messages in a file, and shows groups by what went wrong. What was
//! received is given back at once; no job is needed, and nothing is written.

use std::sync::Arc;

use jiff::Timestamp;
use redrive_groups::{Collector, Finding};
use redrive_protocol::message::Message;
use redrive_rules::rule::{Finder, Rules};
use tokio::sync::watch;

use super::{messages, wiring};
use crate::apply::Stop;
use crate::aws::Access;
use crate::cli::{InspectArgs, LookArgs, ReportFormat, SampleSize};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::payload::Payloads;
use crate::plan::{Extent, Sample, Survey, Surveyed, survey};
use crate::sqs::{MAX_BATCH, Queue};
use crate::view::inspect::{Inspection, Source};
use crate::view::progress::Looking;
use crate::view::{inspect as view, output};

pub(super) async fn inspect(args: InspectArgs) -> Result<Exit> {
    let by = args.by.as_deref().map(Finder::parse).transpose();
    let by = by.map_err(|why| Error::usage(format!("--by {:?}: {why}", args.by.as_deref().unwrap_or_default())))?;
    view::check_redaction(&args.look.redact)?;
    let inspection = match (&args.from, &args.queue) {
        (Some(path), _) => {
            let mut collector = Collector::new(by, args.look.redact.clone());
            messages::read(path, |message| collector.take(message, 0))?;
            let now = Timestamp::now();
            let finding = collector.finish(now);
            let sample = Sample::of_file(finding.grouped(), finding.looked);
            Inspection {
                source: Source::File(path.display().to_string()),
                now,
                sample,
                finding,
                redact: args.look.redact,
            }
        }
        (None, queue) => {
            let queue = queue.as_deref().unwrap_or_default();
            let looked = look(queue, &args.look, by).await?;
            Inspection {
                source: Source::Queue(Box::new(looked.surveyed.source)),
                now: looked.surveyed.now,
                sample: looked.sample,
                finding: looked.finding,
                redact: args.look.redact,
            }
        }
    };
    // A page folds examples away, so it holds them whole.
    let full = args.full || args.format == ReportFormat::Html;
    match args.format {
        ReportFormat::Text => output::out(&view::document(&inspection, full).text(output::screen()))?,
        ReportFormat::Markdown => output::out(&view::document(&inspection, full).markdown())?,
        ReportFormat::Html => output::out(&view::document(&inspection, full).html())?,
        ReportFormat::Json => {
            output::json_line(&view::looked(&inspection))?;
            for group in view::groups(&inspection) {
                output::json_line(&group)?;
            }
        }
    }
    Ok(Exit::Done)
}

/// A queue that was looked at.
pub(super) struct Looked {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) surveyed: Surveyed,
    pub(super) sample: Sample,
    pub(super) finding: Finding,
    pub(super) access: Access,
    pub(super) reach: wiring::Reach,
}

/// Samples a queue, gives everything back, and groups what was seen.
pub(super) async fn look(named: &str, args: &LookArgs, by: Option<Finder>) -> Result<Looked> {
    let reach = wiring::Reach::new(&args.reach).await?;
    let access = Access {
        region: args.region.clone(),
        profile: args.profile.clone(),
        endpoint_url: args.endpoint_url.clone(),
        role_arn: args.role_arn.clone(),
    };
    let opened = reach.aws.queue(named, &access).await;
    let queue: Arc<dyn Queue> = opened.map_err(|error| error.and_hint("nothing was received"))?;
    let pointers = args.extended_client.then(|| pointers(&reach, &access)).transpose()?;
    let stop = Stop::default();
    super::signals::listen(&stop)?;
    let (cancel, cancelled) = watch::channel(false);
    let watching = tokio::spawn(async move {
        stop.asked().await;
        cancel.send_replace(true);
        // Kept until all is given back: a channel without a sender would read as one that may never be cancelled.
        cancel.closed().await;
    });
    let url = queue.url().to_owned();
    let clock = || reach.aws.server_time(&url).unwrap_or_else(Timestamp::now);
    let mut collector = Collector::new(by, args.redact.clone());
    let looking = Looking::on_stderr();
    let surveying = survey(
        Survey {
            source: Arc::clone(&queue),
            named,
            extent: match args.sample {
                Some(SampleSize::Most(messages)) => Extent::Sample(messages),
                Some(SampleSize::All) => Extent::All,
                None => Extent::Auto,
            },
            sample_anyway: args.sample_despite_redrive_policy,
            clock: &clock,
            progress: &|looked, of| looking.show(looked, of),
            cancel: cancelled,
        },
        async |mut messages: Vec<(Message, u64)>| {
            if let Some((payloads, rules)) = &pointers {
                for ten in messages.chunks_mut(MAX_BATCH) {
                    payloads.fetch(rules, ten.iter_mut().map(|(message, _)| message)).await?;
                }
            }
            for (message, receive) in messages {
                collector.take(message, receive);
            }
            Ok(())
        },
    )
    .await;
    watching.abort();
    drop(looking);
    let surveyed = surveying?;
    let finding = collector.finish(surveyed.now);
    let sample = surveyed.sample(finding.sightings.iter().map(|seen| (seen.receive, seen.sent, seen.group)));
    Ok(Looked { queue, surveyed, sample, finding, access, reach })
}

/// What reads bodies that the Extended Client keeps in S3: for a job that does nothing else.
fn pointers(reach: &wiring::Reach, access: &Access) -> Result<(Arc<Payloads>, Rules)> {
    const FOLLOWS: &str = "version = 1\nname = \"inspect\"\n[source]\nqueue = \"inspected\"\nextended_client = true\n\
         [[rule]]\nname = \"all\"\nwhen = [{ message = \"is_json\", equals = true }]\nto = \"keep\"\n";
    let compiled = super::job::compile_or_show("inspect", FOLLOWS)?;
    Ok((wiring::payloads_at(&reach.aws, access.clone()), compiled.rules))
}
