//! What the job itself says about where things are: servers and roles that are not the reader's own, files outside the
//! directory, a program to run. Whoever applies a plan of somebody else must have seen it, for bodies go there.

use std::path::{Component, Path};

use redrive_rules::job::{Destination, Job};

use super::{Facts, Hazard, HazardCode, hazard, list};

/// All of it, from the job alone: apply compares it with what the plan says.
pub fn reach(job: &Job) -> Vec<Hazard> {
    [by_settings(job), outside(job), super::guards::runs(job)].into_iter().flatten().collect()
}

pub(super) fn reached_by_job(facts: &Facts) -> Option<Hazard> {
    by_settings(facts.job)
}

pub(super) fn file_outside(facts: &Facts) -> Option<Hazard> {
    outside(facts.job)
}

pub(super) fn notifies(facts: &Facts) -> Option<Hazard> {
    let notify = facts.job.notify.as_ref()?;
    let variable = notify.variable().unwrap_or_default();
    let host = match facts.notifies {
        Some(host) => format!("{host}, by {variable} as it was set where this plan was made"),
        None => format!("whatever {variable} names, which was not set where this plan was made"),
    };
    let events = list(notify.events().iter().map(|event| event.word().to_owned()));
    let text = format!(
        "A webhook is notified that the run {events}: {host}. It gets names and figures, nothing of a message."
    );
    hazard(HazardCode::Notifies, text)
}

fn by_settings(job: &Job) -> Option<Hazard> {
    let destinations = job.destination.iter().filter_map(|(name, destination)| {
        let (access, queue) = match destination {
            Destination::Sqs(sqs) => (sqs.access(), Some(&sqs.queue)),
            Destination::S3(s3) => (s3.access(), None),
            Destination::File(_) => return None,
        };
        Some((format!("destination {name}"), access, queue))
    });
    let source = ("the source".to_owned(), job.source.access(), Some(&job.source.queue));
    let parking = job.unmatched.park.as_ref();
    let parking = parking.map(|parking| ("the parking queue".to_owned(), parking.access(), Some(&parking.queue)));
    let said = std::iter::once(source).chain(parking).chain(destinations).filter_map(|(what, access, queue)| {
        let settings = [
            queue.filter(|queue| is_elsewhere(queue)).map(|url| format!("the queue's URL {url}")),
            access.endpoint_url.map(|url| format!("endpoint_url {url}")),
            access.role_arn.map(|role| format!("role_arn {role}")),
            access.profile.map(|profile| format!("profile {profile}")),
        ];
        let settings = list(settings.into_iter().flatten());
        (!settings.is_empty()).then(|| format!("{what} by {settings}"))
    });
    let said: Vec<String> = said.collect();
    if said.is_empty() {
        return None;
    }
    let text = format!(
        "The job says itself how to reach {}: whatever your own AWS settings are, messages are read and sent there.",
        said.join("; ")
    );
    hazard(HazardCode::ReachedByJob, text)
}

/// Whether a queue is named by the URL of a server that is not AWS's.
fn is_elsewhere(queue: &str) -> bool {
    let host = queue.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    host.is_some_and(|host| ![".amazonaws.com", ".amazonaws.com.cn"].iter().any(|aws| host.ends_with(aws)))
}

fn outside(job: &Job) -> Option<Hazard> {
    let leads_out = |part| matches!(part, Component::RootDir | Component::ParentDir | Component::Prefix(_));
    let files = job.destination.iter().filter_map(|(name, destination)| match destination {
        Destination::File(file) if Path::new(&file.path).components().any(leads_out) => {
            Some(format!("destination {name} to {}", file.path))
        }
        _ => None,
    });
    let files = list(files);
    if files.is_empty() {
        return None;
    }
    hazard(
        HazardCode::FileOutside,
        format!("Outside the directory that apply is run in, messages are written by {files}."),
    )
}
