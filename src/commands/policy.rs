//! `redrive policy`: the IAM policies that a job needs. Only looks: what the queues are, which redrive to the source, and how queues
//! and buckets are encrypted.

use std::time::Duration;

use redrive_rules::job::{Destination, Job};
use redrive_rules::rule::Rules;
use tokio::time::Instant;

use super::job::Compiled;
use super::{job, read_job, wiring};
use crate::aws::{Access, Aws};
use crate::cli::{PolicyArgs, PolicyFormat, PolicyPhase};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::policy::{self, Archive, Bodies, Identity, Needs, Phase, Policy, Queue, UsedAs};
use crate::sqs::QueueAttributes;
use crate::view::{output, policy as view};

/// For how long all looks together may take; what is not known by then stays a placeholder.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn policy(args: PolicyArgs) -> Result<Exit> {
    let file = args.job.display().to_string();
    let Compiled { job, rules } = job::compile_or_show(&file, &read_job(&args.job)?)?;
    let reach = if args.offline { None } else { Some(wiring::Reach::new(&args.reach).await?) };
    let mut survey = Survey {
        aws: reach.as_ref().map(|reach| &*reach.aws),
        until: Instant::now() + PATIENCE,
        notes: Vec::new(),
        dead_letters: Vec::new(),
    };
    let needs = survey.needs(&job, &rules).await;
    let phase = args.phase.map(|phase| match phase {
        PolicyPhase::Plan => Phase::Plan,
        PolicyPhase::Apply => Phase::Apply,
    });
    let policies = chosen(policy::policies(&needs, phase), args.identity.as_deref())?;
    let notes = survey.notes;
    match (args.format, &policies[..]) {
        (PolicyFormat::Json, [policy]) => {
            output::out(&view::json(policy))?;
            let owner = |owner: &policy::Owner| {
                format!("{} is in another account: its own policy has to allow {} the same", owner.arn, owner.principal)
            };
            for note in notes.into_iter().chain(policy.owners.iter().map(owner)) {
                output::note(&format!("note: {note}"));
            }
        }
        (PolicyFormat::Json, _) => return Err(several(&policies)),
        (PolicyFormat::Terraform, _) => output::out(&view::terraform(&job.name, &policies, &notes))?,
        (PolicyFormat::Markdown, _) => output::out(&view::document(&job.name, &policies, &notes).markdown())?,
    }
    Ok(Exit::Done)
}

/// The policies of the identity that was asked for.
fn chosen(policies: Vec<Policy>, wanted: Option<&str>) -> Result<Vec<Policy>> {
    let Some(wanted) = wanted else { return Ok(policies) };
    let names: Vec<String> = policies.iter().map(|policy| policy.identity.name().to_owned()).collect();
    let found: Vec<Policy> = policies.into_iter().filter(|policy| policy.identity.name() == wanted).collect();
    if found.is_empty() {
        return Err(
            Error::usage(format!("the job has no identity {wanted:?}")).hint(format!("it has {}", names.join(", ")))
        );
    }
    Ok(found)
}

/// A document is for one identity.
fn several(policies: &[Policy]) -> Error {
    let choices: Vec<String> = policies.iter().map(|policy| format!("--identity {}", policy.identity.name())).collect();
    Error::usage(format!("the job works as {} identities, and each needs a policy of its own", policies.len()))
        .hint(format!("say for which: {}; or all of them with --format terraform or markdown", choices.join(", ")))
}

/// Looking at what a job names.
struct Survey<'a> {
    aws: Option<&'a Aws>,
    until: Instant,
    notes: Vec<String>,
    /// Where what fails in the queues that messages are sent to comes to.
    dead_letters: Vec<(String, Access)>,
}

impl Survey<'_> {
    async fn needs(&mut self, job: &Job, rules: &Rules) -> Needs {
        let used = rules.destinations_used();
        let mut needs = Needs { uses_origin: rules.uses_origin(), ..Needs::default() };
        let source = wiring::access(job.source.access());
        let parks = job.unmatched.park.is_some();
        needs.queues.push(self.queue(&job.source.queue, &source, UsedAs::Source { parks }).await);
        if needs.uses_origin {
            self.origins(job, &source, &mut needs.queues).await;
        }
        for (name, destination) in &job.destination {
            let is_sent_to = used.contains(name.as_str());
            match destination {
                Destination::Sqs(sqs) => {
                    let used_as = UsedAs::Destination { is_sent_to };
                    needs.queues.push(self.queue(&sqs.queue, &wiring::access(sqs.access()), used_as).await);
                }
                Destination::S3(s3) => {
                    let access = wiring::access(s3.access());
                    let (bucket, prefix) = (s3.bucket.clone(), literal(&s3.key).to_owned());
                    let key = self.key_of_bucket(&bucket, &access).await;
                    needs.archives.push(Archive { identity: identity(&access), bucket, prefix, is_sent_to, key });
                }
                Destination::File(_) => {}
            }
        }
        if let Some(park) = &job.unmatched.park {
            needs.queues.push(self.queue(&park.queue, &wiring::access(park.access()), UsedAs::Parking).await);
        }
        if job.guard.as_ref().is_some_and(|guard| guard.canary.is_some() || guard.max_bounced.is_some()) {
            self.watched(&mut needs.queues).await;
        }
        if rules.reads_payloads() {
            needs.bodies = Some(self.bodies(job, &source).await);
        }
        for archive in &needs.archives {
            self.notes.push(format!(
                "if the bucket {} is in another account, its own policy has to allow the same",
                archive.bucket
            ));
        }
        needs
    }

    /// A queue as far as it is known.
    async fn queue(&mut self, reference: &str, access: &Access, used_as: UsedAs) -> Queue {
        let looked = self.look(async |aws: &Aws| Ok(aws.queue(reference, access).await?.attributes().await?)).await;
        let named = crate::aws::Named::of(reference, access);
        let is_sent_to = used_as == (UsedAs::Destination { is_sent_to: true });
        let (arn, key) = match looked {
            Some(Ok(attributes)) => {
                if is_sent_to {
                    self.redrives(&attributes, access);
                }
                (attributes.arn.clone(), self.key_of(&attributes))
            }
            unknown => {
                if is_sent_to {
                    let name = format!("REPLACE-WITH-THE-DEAD-LETTER-QUEUE-OF-{}", named.name());
                    self.dead_letters.push((named.clone().sibling(&name).arn(), access.clone()));
                }
                let place = if used_as == (UsedAs::Destination { is_sent_to: false }) { "" } else { reference };
                if let Some(Err(error)) = unknown {
                    self.notes
                        .push(format!("{reference} could not be looked at ({error}): what is unknown says REPLACE"));
                }
                (named.arn(), self.unknown_key(&named, place))
            }
        };
        Queue { used_as, identity: identity(access), arn, is_by_url: named.is_url, key }
    }

    /// Notes where what fails in a queue comes to. A queue and its dead-letter queue are reached alike.
    fn redrives(&mut self, queue: &QueueAttributes, access: &Access) {
        let arn = queue.redrive_policy.as_ref().map(|policy| policy.dead_letter_target_arn.clone());
        self.dead_letters.extend(arn.map(|arn| (arn, access.clone())));
    }

    /// The dead-letter queues that are looked at. What comes back to the source is met by receiving from it.
    async fn watched(&mut self, queues: &mut Vec<Queue>) {
        for (arn, access) in std::mem::take(&mut self.dead_letters) {
            if queues.iter().all(|queue| queue.arn != arn || !matches!(queue.used_as, UsedAs::Source { .. })) {
                queues.push(self.queue(&arn, &access, UsedAs::DeadLetters).await);
            }
        }
    }

    /// The queues that redrive to the source.
    async fn origins(&mut self, job: &Job, access: &Access, queues: &mut Vec<Queue>) {
        let found = self
            .look(async |aws: &Aws| {
                let source = aws.queue(&job.source.queue, access).await?;
                let mut found = Vec::new();
                for url in source.dead_letter_sources().await? {
                    found.push(aws.queue_by_url(&url, access).await?.attributes().await?);
                }
                Ok(found)
            })
            .await;
        let found = match found {
            Some(Ok(found)) => found,
            Some(Err(error)) => {
                self.notes.push(format!("the queues that redrive to the source could not be listed: {error}"));
                Vec::new()
            }
            None => Vec::new(),
        };
        let origin = |arn: String, key| Queue {
            used_as: UsedAs::Origin,
            identity: identity(access),
            arn,
            is_by_url: false,
            key,
        };
        if found.is_empty() {
            let named = crate::aws::Named::of(&job.source.queue, access).sibling("REPLACE-WITH-EACH-ORIGIN-QUEUE");
            queues.push(origin(named.arn(), None));
            self.notes.push("the origin queues are not known: name each queue that messages may go back to".to_owned());
        }
        for attributes in found {
            self.redrives(&attributes, access);
            let key = self.key_of(&attributes);
            queues.push(origin(attributes.arn, key));
        }
    }

    async fn bodies(&mut self, job: &Job, access: &Access) -> Bodies {
        let names = job.source.extended_client_buckets.clone().unwrap_or_else(|| {
            self.notes.push(
                "the messages name the buckets of their bodies in S3: name those of your producers, here and in \
                 extended_client_buckets"
                    .to_owned(),
            );
            vec!["REPLACE-WITH-THE-BUCKET-OF-BODIES".to_owned()]
        });
        let are_changed = job.rule.iter().flat_map(|rule| &rule.transform).any(|transform| {
            let body = [&transform.set, &transform.remove, &transform.rename, &transform.unwrap, &transform.jq];
            body.iter().any(|part| part.is_some())
        });
        let mut buckets = Vec::new();
        for name in names {
            let key = if job.source.extended_client_buckets.is_some() {
                self.key_of_bucket(&name, access).await
            } else {
                None
            };
            buckets.push((name, key));
        }
        Bodies { identity: identity(access), buckets, are_changed }
    }

    /// The key that a queue is encrypted with, as policies name it.
    fn key_of(&mut self, queue: &QueueAttributes) -> Option<String> {
        let mut parts = queue.arn.split(':').skip(1);
        let (partition, region, account) = (parts.next()?, parts.nth(1)?, parts.next()?);
        self.key(queue.kms_key.as_deref()?, &queue.arn, &format!("arn:{partition}:kms:{region}:{account}"))
    }

    /// The same of a bucket.
    async fn key_of_bucket(&mut self, bucket: &str, access: &Access) -> Option<String> {
        match self.look(async |aws: &Aws| aws.key_of_bucket(bucket, access).await).await {
            Some(Ok(key)) => {
                let key = key?;
                let of = format!("the bucket {bucket}");
                // A key's ID is its own everywhere, and a bucket does not say which region and account it is of.
                if !key.contains(':') && !key.contains("alias/") {
                    self.notes.push(format!(
                        "{of} is encrypted with the KMS key {key}, and does not say where that is: the policy allows the key of \
                         this ID in any region and account; if you know its ARN, write that instead"
                    ));
                }
                self.key(&key, &of, "arn:*:kms:*:*")
            }
            unknown => {
                let why = unknown.and_then(Result::err).map(|error| format!(" ({error})")).unwrap_or_default();
                self.notes.push(format!(
                    "whether the bucket {bucket} is encrypted with a KMS key of yours is not known{why}: if it is, allow \
                     kms:GenerateDataKey and kms:Decrypt on that key as well"
                ));
                None
            }
        }
    }

    /// A key of `of` as policies name it; AWS's own keys need no permission.
    fn key(&mut self, key: &str, of: &str, home: &str) -> Option<String> {
        if key.rsplit_once("alias/").is_some_and(|(_, alias)| alias.starts_with("aws/")) {
            return None;
        }
        if let Some((_, alias)) = key.rsplit_once("alias/") {
            self.notes.push(format!("{of} is encrypted with the key of alias/{alias}: policies name keys by ID"));
            return Some(format!("{home}:key/REPLACE-WITH-THE-KEY-OF-{alias}"));
        }
        Some(if key.starts_with("arn:") { key.to_owned() } else { format!("{home}:key/{key}") })
    }

    /// The placeholder for a key of a queue that nobody looked at.
    fn unknown_key(&mut self, named: &crate::aws::Named, used: &str) -> Option<String> {
        if used.is_empty() {
            return None;
        }
        self.notes.push(format!(
            "whether {used} is encrypted with a KMS key of yours is not known: name the key, or take it out of the policy if not"
        ));
        Some(named.key_arn())
    }

    /// What a look gives, within the time that is left. `None` without a network.
    async fn look<T>(&self, look: impl AsyncFnOnce(&Aws) -> Result<T>) -> Option<Result<T>> {
        let aws = self.aws?;
        let timed_out = || Error::failed(format!("no answer within {} s", PATIENCE.as_secs()));
        Some(tokio::time::timeout_at(self.until, look(aws)).await.unwrap_or_else(|_| Err(timed_out())))
    }
}

fn identity(access: &Access) -> Identity {
    Identity { profile: access.profile.clone(), role_arn: access.role_arn.clone() }
}

/// What a key begins with, whatever the message. IAM's own wildcards end it too.
fn literal(template: &str) -> &str {
    template.split(['{', '}', '*', '?', '$']).next().unwrap_or_default()
}
