//! One conformance suite for whatever calls itself SQS: named checks with an expectation from AWS's documentation, driven
//! through the official SDK, unchanged on the sandbox and on the servers that others wrote. How those deviate is listed as
//! data: a new deviation fails, and so does a listed one that has gone. The sandbox has none listed.

/// A check, named as its function.
macro_rules! check {
    ($function:ident, $page:literal, $expects:literal) => {
        $crate::conformance::Check {
            name: stringify!($function),
            page: $page,
            expects: $expects,
            run: |stand| Box::pin($function(stand)),
        }
    };
}

mod batches;
mod deviations;
mod fifo;
mod queues;
mod receives;
mod redrives;
mod sends;
mod stand;
mod table;
mod tasks;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use sqs_sandbox::{Options, Sandbox};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::judges::Judge;
use deviations::DEVIATIONS;
use stand::{Failure, Outcome, Stand};

/// How many checks run on a server at once: they mostly wait.
const AT_ONCE: usize = 24;

/// A check that takes longer hangs. The servers may be busy with other tests.
const PATIENCE: Duration = Duration::from_mins(3);

/// One thing that SQS does.
pub(crate) struct Check {
    /// Its name.
    name: &'static str,
    /// The page of AWS's documentation that says so.
    page: &'static str,
    /// What has to happen, in a few words.
    expects: &'static str,
    run: fn(Stand) -> Pin<Box<dyn Future<Output = Outcome> + Send>>,
}

impl Check {
    /// The address of the documentation.
    fn doc(&self) -> String {
        let book = if self.page.starts_with("API_") { "APIReference" } else { "SQSDeveloperGuide" };
        format!("https://docs.aws.amazon.com/AWSSimpleQueueService/latest/{book}/{}.html", self.page)
    }
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Server {
    Sandbox,
    Ministack,
    LocalStack,
    LocalAwsSqs,
}

impl Server {
    const ALL: [Self; 4] = [Self::Sandbox, Self::Ministack, Self::LocalStack, Self::LocalAwsSqs];

    fn name(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Ministack => "ministack",
            Self::LocalStack => "LocalStack",
            Self::LocalAwsSqs => "local-aws-sqs",
        }
    }

    /// The checks that it is held to. Of npm's local-aws-sqs only move tasks are of interest: of the others it is the
    /// only one that gives moved messages new IDs.
    fn checks(self) -> Vec<&'static Check> {
        let tasks: Vec<&Check> = tasks::CHECKS.iter().collect();
        if self == Self::LocalAwsSqs { tasks } else { all() }
    }
}

/// The suite.
fn all() -> Vec<&'static Check> {
    let topics: [&'static [Check]; 7] = [
        queues::CHECKS,
        sends::CHECKS,
        receives::CHECKS,
        batches::CHECKS,
        redrives::CHECKS,
        tasks::CHECKS,
        fifo::CHECKS,
    ];
    topics.into_iter().flatten().collect()
}

fn client(endpoint: &str) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        // A server's first answer counts.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_mins(1)).build());
    aws_sdk_sqs::Client::from_conf(config.build())
}

/// Runs the server's checks, and holds what they find against the list.
async fn judge(server: Server, endpoint: &str) {
    let sqs = client(endpoint);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (number, check) in server.checks().into_iter().enumerate() {
        let stand = Stand { sqs: sqs.clone(), prefix: format!("conformance-{number}") };
        let places = Arc::clone(&places);
        running.spawn(async move {
            let _place = places.acquire_owned().await;
            let late = |_| Err(Failure(format!("no end within {} s", PATIENCE.as_secs())));
            (check, tokio::time::timeout(PATIENCE, (check.run)(stand)).await.unwrap_or_else(late))
        });
    }
    let mut problems = BTreeSet::new();
    while let Some(ended) = running.join_next().await {
        let (check, outcome) = ended.expect("a check ends with an outcome");
        let is_listed = DEVIATIONS.iter().any(|(of, name, _)| *of == server && *name == check.name);
        match outcome {
            Err(Failure(words)) if !is_listed => {
                problems.insert(format!("{} ({}; {}): {words}", check.name, check.expects, check.doc()));
            }
            Ok(()) if is_listed => {
                problems.insert(format!("{} is listed as a deviation and holds: take it off the list", check.name));
            }
            _ => {}
        }
    }
    let shown: Vec<String> = problems.into_iter().collect();
    assert!(shown.is_empty(), "{}, {} problems:\n{}", server.name(), shown.len(), shown.join("\n"));
}

#[tokio::test]
async fn the_sandbox_conforms() {
    let sandbox = Sandbox::start(Options::default()).await.expect("a sandbox");
    judge(Server::Sandbox, &sandbox.endpoint_url()).await;
}

#[tokio::test]
async fn ministack_deviates_as_listed() {
    if let Some(endpoint) = Judge::Ministack.endpoint() {
        judge(Server::Ministack, endpoint).await;
    }
}

#[tokio::test]
async fn localstack_deviates_as_listed() {
    if let Some(endpoint) = Judge::LocalStack.endpoint() {
        judge(Server::LocalStack, endpoint).await;
    }
}

#[tokio::test]
async fn local_aws_sqs_deviates_as_listed() {
    if let Some(endpoint) = Judge::LocalAwsSqs.endpoint() {
        judge(Server::LocalAwsSqs, endpoint).await;
    }
}

#[test]
fn the_list_of_deviations_is_sound() {
    let names: BTreeSet<&str> = all().iter().map(|check| check.name).collect();
    assert_eq!(names.len(), all().len(), "two checks share a name");
    assert!(names.len() >= 60, "{}", names.len());
    let mut seen = BTreeSet::new();
    for (server, name, how) in DEVIATIONS {
        assert_ne!(*server, Server::Sandbox, "{name}: the sandbox deviates nowhere");
        assert!(server.checks().iter().any(|check| check.name == *name), "{name} is no check of {}", server.name());
        assert!(seen.insert((server, name)), "{name} is listed twice for {}", server.name());
        assert!(!how.is_empty());
    }
}
