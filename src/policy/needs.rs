//! From the queues, buckets and roles of a job to statements: least privilege by resource, one policy for each identity.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::purpose::{Phase, Purpose};

/// As whom calls are made.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The profile of the shared AWS configuration; else the default chain's credentials.
    pub profile: Option<String>,
    /// The role that those credentials assume.
    pub role_arn: Option<String>,
}

impl Identity {
    /// How the command line names it.
    pub fn name(&self) -> &str {
        self.role_arn.as_deref().or(self.profile.as_deref()).unwrap_or("default")
    }

    /// Whose account it is, if that is known without asking.
    fn account(&self) -> Option<&str> {
        account(self.role_arn.as_deref()?)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.role_arn, &self.profile) {
            (Some(role), _) => write!(f, "the role {role}"),
            (None, Some(profile)) => write!(f, "the profile {profile}"),
            (None, None) => f.write_str("the default credentials"),
        }
    }
}

/// What a job does with a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedAs {
    /// Messages are taken from it.
    Source {
        /// And brought back from the parking queue.
        parks: bool,
    },
    /// It is a destination of the job.
    Destination {
        /// Whether any rule sends there. If not, it is only looked at.
        is_sent_to: bool,
    },
    /// Messages go back to it, since it redrives to the source.
    Origin,
    /// Messages wait in it.
    Parking,
    /// What consumers of a destination fail comes to it, and is looked at.
    DeadLetters,
}

/// A queue that a job uses.
#[derive(Debug, Clone)]
pub struct Queue {
    /// What for.
    pub used_as: UsedAs,
    /// As whom.
    pub identity: Identity,
    /// Its ARN.
    pub arn: String,
    /// Whether the job names it by URL, so that it need not be looked up.
    pub is_by_url: bool,
    /// The ARN of the customer's KMS key that it is encrypted with.
    pub key: Option<String>,
}

/// A part of a bucket that messages are archived in.
#[derive(Debug, Clone)]
pub struct Archive {
    /// As whom.
    pub identity: Identity,
    /// The bucket's name.
    pub bucket: String,
    /// What all keys begin with.
    pub prefix: String,
    /// Whether any rule sends there. If not, it is only looked at.
    pub is_sent_to: bool,
    /// The ARN of the customer's KMS key that the bucket is encrypted with.
    pub key: Option<String>,
}

/// Bodies that the Extended Client keeps in S3.
#[derive(Debug, Clone)]
pub struct Bodies {
    /// As whom.
    pub identity: Identity,
    /// The buckets' names, and the ARNs of the customer's KMS keys that they are encrypted with.
    pub buckets: Vec<(String, Option<String>)>,
    /// Whether transforms may change bodies.
    pub are_changed: bool,
}

/// Everything that a job uses.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// The queues.
    pub queues: Vec<Queue>,
    /// Whether messages go back to their origin queues.
    pub uses_origin: bool,
    /// The archives.
    pub archives: Vec<Archive>,
    /// Bodies in S3.
    pub bodies: Option<Bodies>,
}

/// A statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What for.
    pub purpose: Purpose,
    /// On what, by ARN.
    pub resources: BTreeSet<String>,
}

/// What the owner of a queue in another account has to allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The queue.
    pub arn: String,
    /// Whom.
    pub principal: String,
    /// What.
    pub actions: BTreeSet<&'static str>,
}

/// What one identity needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whose policy it is.
    pub identity: Identity,
    /// What it allows.
    pub statements: Vec<Statement>,
    /// Policies that queues of other accounts need besides.
    pub owners: Vec<Owner>,
}

type Allowed = BTreeMap<Identity, BTreeMap<Purpose, BTreeSet<String>>>;

/// The policies that a job needs, for one command or for all.
pub fn policies(needs: &Needs, phase: Option<Phase>) -> Vec<Policy> {
    let mut allowed = Allowed::new();
    let mut allow = |identity: &Identity, purpose: Purpose, resource: String| {
        if phase.is_none_or(|phase| purpose.is_for(phase)) {
            let purposes = allowed.entry(identity.clone()).or_default();
            purposes.entry(purpose).or_default().insert(resource);
        }
    };
    for queue in &needs.queues {
        for purpose in purposes(queue, needs.uses_origin) {
            allow(&queue.identity, purpose, queue.arn.clone());
        }
        let Some(key) = &queue.key else { continue };
        for purpose in purposes(queue, false) {
            match purpose {
                // Of those that are looked at only while a plan is applied, a plan needs no key either.
                Purpose::ReceiveMessages | Purpose::WatchDeadLetters
                    if phase.is_none_or(|phase| purpose.is_for(phase)) =>
                {
                    allow(&queue.identity, Purpose::DecryptMessages, key.clone());
                }
                Purpose::SendMessages => allow(&queue.identity, Purpose::EncryptMessages, key.clone()),
                _ => {}
            }
        }
    }
    // A bucket's ARN says neither region nor account, but it is of the partition that the queues are of.
    let partition = needs.queues.iter().find_map(|queue| queue.arn.split(':').nth(1)).unwrap_or("aws");
    let bucket = |name: &str| format!("arn:{partition}:s3:::{name}");
    for archive in &needs.archives {
        allow(&archive.identity, Purpose::FindBuckets, bucket(&archive.bucket));
        if archive.is_sent_to {
            let objects = format!("{}/{}*", bucket(&archive.bucket), archive.prefix);
            allow(&archive.identity, Purpose::ArchiveMessages, objects.clone());
            allow(&archive.identity, Purpose::CompareArchivedMessages, objects);
            if let Some(key) = &archive.key {
                allow(&archive.identity, Purpose::EncryptMessages, key.clone());
            }
        }
    }
    if let Some(bodies) = &needs.bodies {
        for (name, key) in &bodies.buckets {
            allow(&bodies.identity, Purpose::FindBuckets, bucket(name));
            allow(&bodies.identity, Purpose::ReadBodiesInS3, format!("{}/*", bucket(name)));
            if bodies.are_changed {
                allow(&bodies.identity, Purpose::WriteBodiesInS3, format!("{}/*", bucket(name)));
            }
            if let Some(key) = key {
                allow(&bodies.identity, Purpose::DecryptMessages, key.clone());
                if bodies.are_changed {
                    allow(&bodies.identity, Purpose::EncryptMessages, key.clone());
                }
            }
        }
    }
    let assumed: Vec<Identity> = allowed.keys().filter(|identity| identity.role_arn.is_some()).cloned().collect();
    for Identity { profile, role_arn } in assumed {
        let purposes = allowed.entry(Identity { profile, role_arn: None }).or_default();
        purposes.entry(Purpose::AssumeRoles).or_default().extend(role_arn);
    }
    for purposes in allowed.values_mut() {
        // Who may encrypt with a key may decrypt with it already.
        let encrypting = purposes.get(&Purpose::EncryptMessages).cloned().unwrap_or_default();
        if let Some(decrypting) = purposes.get_mut(&Purpose::DecryptMessages) {
            decrypting.retain(|key| !encrypting.contains(key));
        }
        purposes.retain(|_, resources| !resources.is_empty());
    }
    allowed.into_iter().map(|(identity, purposes)| policy(identity, purposes, needs)).collect()
}

/// What is done to a queue itself.
fn purposes(queue: &Queue, uses_origin: bool) -> Vec<Purpose> {
    if queue.used_as == UsedAs::DeadLetters {
        return vec![Purpose::WatchDeadLetters];
    }
    let mut purposes = vec![Purpose::ReadQueueAttributes];
    if !queue.is_by_url {
        purposes.push(Purpose::FindQueues);
    }
    match queue.used_as {
        UsedAs::Source { parks } => {
            purposes.extend([Purpose::SeeMoveTasks, Purpose::ReceiveMessages, Purpose::DeleteMessages]);
            purposes.extend(uses_origin.then_some(Purpose::FindOriginQueues));
            purposes.extend(parks.then_some(Purpose::SendMessages));
        }
        UsedAs::Parking => purposes.extend([Purpose::ReceiveMessages, Purpose::DeleteMessages, Purpose::SendMessages]),
        UsedAs::Origin | UsedAs::Destination { is_sent_to: true } => purposes.push(Purpose::SendMessages),
        UsedAs::Destination { is_sent_to: false } | UsedAs::DeadLetters => {}
    }
    purposes
}

fn policy(identity: Identity, purposes: BTreeMap<Purpose, BTreeSet<String>>, needs: &Needs) -> Policy {
    let statements: Vec<Statement> =
        purposes.into_iter().map(|(purpose, resources)| Statement { purpose, resources }).collect();
    let owners = owners(&identity, &statements, needs);
    Policy { identity, statements, owners }
}

/// The queues that belong to another account than the identity. Whose account that is says its role; without one, it is taken to be the
/// account of the first queue that it reaches, which is the source if it reaches that.
fn owners(identity: &Identity, statements: &[Statement], needs: &Needs) -> Vec<Owner> {
    let theirs = || needs.queues.iter().filter(|queue| queue.identity == *identity);
    let Some(home) = identity.account().or_else(|| account(&theirs().next()?.arn)) else { return Vec::new() };
    let partition = theirs().find_map(|queue| queue.arn.split(':').nth(1)).unwrap_or("aws");
    let principal = identity.role_arn.clone().unwrap_or_else(|| format!("arn:{partition}:iam::{home}:root"));
    let foreign: BTreeSet<&str> = theirs()
        .map(|queue| queue.arn.as_str())
        .filter(|arn| account(arn).is_some_and(|owner| owner != home))
        .collect();
    let owner = |arn: &str| {
        let of_it = statements.iter().filter(|statement| statement.resources.contains(arn));
        Owner {
            arn: arn.to_owned(),
            principal: principal.clone(),
            actions: of_it.flat_map(|statement| statement.purpose.actions()).copied().collect(),
        }
    };
    foreign.into_iter().map(owner).collect()
}

/// The account in an ARN, if it is one.
fn account(arn: &str) -> Option<&str> {
    let account = arn.split(':').nth(4)?;
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(used_as: UsedAs, identity: &Identity, account: &str, name: &str) -> Queue {
        let arn = format!("arn:aws:sqs:eu-west-1:{account}:{name}");
        Queue { used_as, identity: identity.clone(), arn, is_by_url: false, key: None }
    }

    const HOME: &str = "111111111111";
    const OTHER: &str = "222222222222";

    fn resources(policy: &Policy, purpose: Purpose) -> Vec<&str> {
        let found = policy.statements.iter().filter(|statement| statement.purpose == purpose);
        found.flat_map(|statement| statement.resources.iter().map(String::as_str)).collect()
    }

    #[test]
    fn a_queue_of_another_account_needs_a_policy_of_its_own_and_a_role_there_needs_none() {
        let me = Identity::default();
        let role = Identity { role_arn: Some(format!("arn:aws:iam::{OTHER}:role/mover")), ..Identity::default() };
        let sent_to = UsedAs::Destination { is_sent_to: true };
        let queues = vec![
            queue(UsedAs::Source { parks: false }, &me, HOME, "dlq"),
            queue(sent_to, &me, OTHER, "theirs"),
            queue(sent_to, &role, OTHER, "by-role"),
        ];
        let found = policies(&Needs { queues, ..Needs::default() }, None);
        let [mine, assumed] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&mine.identity, &assumed.identity), (&me, &role));
        assert_eq!(resources(mine, Purpose::AssumeRoles), [format!("arn:aws:iam::{OTHER}:role/mover")]);
        let [owner] = &mine.owners[..] else { panic!("{:?}", mine.owners) };
        assert_eq!(owner.arn, format!("arn:aws:sqs:eu-west-1:{OTHER}:theirs"));
        assert_eq!(owner.principal, format!("arn:aws:iam::{HOME}:root"));
        let actions: Vec<_> = owner.actions.iter().copied().collect();
        assert_eq!(actions, ["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"]);
        assert_eq!((assumed.statements.len(), &assumed.owners[..]), (3, &[][..]));
    }

    #[test]
    fn a_plan_needs_nothing_that_changes_anything() {
        let me = Identity::default();
        let key = Some("arn:aws:kms:eu-west-1:111111111111:key/k".to_owned());
        let mut queues = vec![
            queue(UsedAs::Source { parks: true }, &me, HOME, "dlq"),
            queue(UsedAs::Parking, &me, HOME, "parked"),
            queue(UsedAs::Destination { is_sent_to: false }, &me, HOME, "unused"),
        ];
        for queue in &mut queues {
            queue.key.clone_from(&key);
        }
        let needs = Needs { queues, uses_origin: true, ..Needs::default() };
        let plan = &policies(&needs, Some(Phase::Plan))[0];
        let sids: Vec<_> = plan.statements.iter().map(|statement| statement.purpose.sid()).collect();
        assert_eq!(
            sids,
            [
                "FindQueues",
                "ReadQueueAttributes",
                "FindOriginQueues",
                "SeeMoveTasks",
                "ReceiveMessages",
                "DecryptMessages"
            ]
        );
        let apply = &policies(&needs, Some(Phase::Apply))[0];
        assert_eq!(resources(apply, Purpose::FindOriginQueues), [""; 0]);
        let queue = |name: &str| format!("arn:aws:sqs:eu-west-1:{HOME}:{name}");
        assert_eq!(resources(apply, Purpose::SendMessages), [queue("dlq"), queue("parked")]);
        assert_eq!(resources(apply, Purpose::ReadQueueAttributes).len(), 3);
        assert_eq!(resources(apply, Purpose::EncryptMessages).len(), 1);
        assert_eq!(resources(apply, Purpose::DecryptMessages), [""; 0], "it is the same key");
    }
}
