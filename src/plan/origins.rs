//! Finding the queues that messages came from: those that name the source as their dead-letter queue, and those that sampled
//! messages name. What cannot be opened is noted, not fatal: messages from there are blocked, all others go on.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use redrive_protocol::target::{ORIGIN, Target, TargetKind};

use super::sample::Fresh;
use crate::error::Result;
use crate::sqs::{Fault, Queue, QueueAttributes};

/// Opens queues that are known only at planning: with the access settings of the job's source.
#[async_trait]
pub trait Opener: Send + Sync {
    /// The queue with this ARN.
    async fn queue_by_arn(&self, arn: &str) -> Result<Arc<dyn Queue>>;

    /// The queue with this URL.
    async fn queue_by_url(&self, url: &str) -> Result<Arc<dyn Queue>>;
}

/// The origin queues, and what could not be learned about them.
#[derive(Debug, Default)]
pub(super) struct Origins {
    /// The queues, in the order of their ARNs.
    pub(super) targets: Vec<Target>,
    /// Queues that could not be opened, and why.
    pub(super) unreachable: Vec<(String, String)>,
    /// Why the queues that redrive to the source could not be listed.
    pub(super) not_listed: Option<String>,
}

/// Finds the queues that redrive to the source.
pub(super) async fn resolve(source: &Arc<dyn Queue>, opener: &dyn Opener) -> Result<Origins> {
    let mut origins = Origins::default();
    let mut found: Vec<QueueAttributes> = Vec::new();
    match source.dead_letter_sources().await {
        Ok(urls) => {
            for url in urls {
                match attributes(opener.queue_by_url(&url).await).await {
                    Ok(queue) => found.push(queue),
                    Err(why) => origins.unreachable.push((url, why)),
                }
            }
        }
        // Servers without this call, and roles without this permission, are common; the sample has to do then.
        Err(error) if matches!(error.fault, Fault::Denied | Fault::Refused) => {
            origins.not_listed = Some(error.to_string());
        }
        Err(error) => return Err(error.into()),
    }
    origins.targets = found.into_iter().map(target).collect();
    let arn = |target: &Target| target.queue.as_ref().map(|queue| queue.arn.clone());
    origins.targets.sort_by_key(arn);
    origins.targets.dedup_by_key(|target| arn(target));
    Ok(origins)
}

impl Origins {
    /// Opens the queues that these messages name and that are not among those known already. What cannot be opened is noted.
    pub(super) async fn learn(&mut self, opener: &dyn Opener, messages: &[Fresh], known: &[Target]) -> Vec<Target> {
        let is_known = |arn: &str| {
            let mut origins = known.iter().filter(|target| target.destination == ORIGIN);
            origins.any(|target| target.queue.as_ref().is_some_and(|queue| queue.arn == arn))
        };
        let named: BTreeSet<&str> =
            messages.iter().filter_map(|fresh| fresh.message.system.dead_letter_queue_source_arn()).collect();
        let mut found = Vec::new();
        for arn in named {
            if is_known(arn) || self.unreachable.iter().any(|(queue, _)| queue == arn) {
                continue;
            }
            match attributes(opener.queue_by_arn(arn).await).await {
                // A server that answers with another queue than it was asked for is not believed.
                Ok(queue) if queue.arn == arn => found.push(target(queue)),
                Ok(queue) => self.unreachable.push((arn.to_owned(), format!("{} was found instead", queue.arn))),
                Err(why) => self.unreachable.push((arn.to_owned(), why)),
            }
        }
        found
    }
}

fn target(queue: QueueAttributes) -> Target {
    Target { destination: ORIGIN.to_owned(), kind: TargetKind::Sqs, queue: Some(queue), location: None }
}

async fn attributes(opened: Result<Arc<dyn Queue>>) -> Result<QueueAttributes, String> {
    let queue = opened.map_err(|error| error.to_string())?;
    queue.attributes().await.map_err(|error| error.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::super::fake::{FakeQueue, attributes, call_error, message};
    use super::*;
    use crate::error::Error;
    use redrive_protocol::message::Message;

    /// Opens the fakes it was given, by ARN or URL.
    #[derive(Default)]
    pub(in crate::plan) struct Fakes(pub(in crate::plan) BTreeMap<String, Arc<FakeQueue>>);

    impl Fakes {
        pub(in crate::plan) fn new(names: &[&str]) -> Self {
            let both = |name: &&str| {
                let queue = FakeQueue::new(attributes(name), Vec::new());
                [(attributes(name).arn, Arc::clone(&queue)), (attributes(name).url, queue)]
            };
            Self(names.iter().flat_map(both).collect())
        }

        fn open(&self, key: &str) -> Result<Arc<dyn Queue>> {
            match self.0.get(key) {
                Some(queue) => Ok(Arc::clone(queue) as Arc<dyn Queue>),
                None => Err(Error::failed("no such queue")),
            }
        }
    }

    #[async_trait]
    impl Opener for Fakes {
        async fn queue_by_arn(&self, arn: &str) -> Result<Arc<dyn Queue>> {
            self.open(arn)
        }

        async fn queue_by_url(&self, url: &str) -> Result<Arc<dyn Queue>> {
            self.open(url)
        }
    }

    fn from(name: &str) -> Message {
        let mut message = message(1, "{}");
        message.system.0.insert("DeadLetterQueueSourceArn".to_owned(), attributes(name).arn);
        message
    }

    fn names(origins: &Origins) -> Vec<String> {
        origins.targets.iter().map(Target::label).collect()
    }

    async fn resolved(source: &Arc<FakeQueue>, fakes: &Fakes, messages: &[Message]) -> Result<Origins> {
        let mut origins = resolve(&(Arc::clone(source) as Arc<dyn Queue>), fakes).await?;
        let fresh: Vec<_> = messages.iter().map(|message| Fresh { message: message.clone(), receive: 1 }).collect();
        let more = origins.learn(fakes, &fresh, &origins.targets.clone()).await;
        origins.targets.extend(more);
        Ok(origins)
    }

    #[tokio::test]
    async fn listed_and_named_origins_are_one_list() {
        let source = FakeQueue::filled(0);
        source.sources(Ok(vec![attributes("orders").url, attributes("bills").url]));
        let fakes = Fakes::new(&["orders", "bills", "former"]);
        let messages = [from("orders"), from("former"), message(2, "{}")];
        let origins = resolved(&source, &fakes, &messages).await.expect("all can be opened");
        assert_eq!(names(&origins), ["origin bills", "origin orders", "origin former"]);
        assert_eq!((origins.unreachable.len(), origins.not_listed), (0, None));
    }

    #[tokio::test]
    async fn an_origin_that_is_gone_is_noted() {
        let source = FakeQueue::filled(0);
        source.sources(Ok(vec![attributes("orders").url]));
        let origins =
            resolved(&source, &Fakes::new(&["orders"]), &[from("gone")]).await.expect("the others can be opened");
        assert_eq!(names(&origins), ["origin orders"]);
        assert_eq!(origins.unreachable, [(attributes("gone").arn, "no such queue".to_owned())]);
    }

    #[tokio::test]
    async fn without_the_permission_to_list_the_sample_has_to_do() {
        let source = FakeQueue::filled(0);
        source.sources(Err(call_error(Fault::Denied)));
        let origins = resolved(&source, &Fakes::new(&["orders"]), &[from("orders")]).await.expect("it can be opened");
        assert_eq!(names(&origins), ["origin orders"]);
        assert!(origins.not_listed.is_some());
        source.sources(Err(call_error(Fault::Unreachable)));
        assert!(resolved(&source, &Fakes::default(), &[]).await.is_err(), "a dead server is an error");
    }

    #[tokio::test]
    async fn an_origin_without_attributes_is_noted() {
        let source = FakeQueue::filled(0);
        let fakes = Fakes::new(&["orders"]);
        fakes.0[&attributes("orders").arn].fail_attributes(call_error(Fault::Denied));
        let origins = resolved(&source, &fakes, &[from("orders")]).await.expect("noted");
        assert_eq!((origins.targets.len(), origins.unreachable.len()), (0, 1));
    }
}
