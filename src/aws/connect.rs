//! From what a job says to clients: settings of the AWS default chain, one client per place, queues by name, URL or ARN.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use redrive_rules::job::nearest;
use tokio::sync::Mutex as AsyncMutex;

use super::access::{self, Access, QueueArn, QueueUrl, Reference, Server};
use super::answer::{ANSWER, within};
use super::bounded::Bounded;
use super::bucket::S3Bucket;
use super::fault::Site;
use super::lean::Lean;
use super::meter::{Clock, Counter, Meter, Requests};
use super::queue::SqsQueue;
use super::settings::{ANY_REGION, Home, configured_endpoint, load, place, whose};
use super::wire::Wire;
use crate::error::{Error, Result};
use crate::retry::Retries;
use crate::sqs::{Fault, Queue};
use crate::store::Bucket;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// The way to SQS and S3: keeps settings and clients, counts requests, knows the servers' clocks.
#[derive(Debug)]
pub struct Aws {
    /// Where everything goes, whatever the job and the environment say.
    local: Option<Local>,
    settings: AsyncMutex<HashMap<(Access, Home), SdkConfig>>,
    queues: Mutex<HashMap<Access, SqsClient>>,
    clocks: Mutex<HashMap<String, Clock>>,
    sqs: Counter,
    s3: Counter,
    /// How calls that only look are repeated, within one budget for all of them.
    retries: Arc<Retries>,
}

impl Default for Aws {
    fn default() -> Self {
        let (sqs, s3) = (Counter::default(), Counter::default());
        let made = (sqs.clone(), s3.clone());
        let retries = Arc::new(Retries::new(Arc::new(move || made.0.get() + made.1.get())));
        let (settings, queues, clocks) = (AsyncMutex::default(), Mutex::default(), Mutex::default());
        Self { local: None, settings, queues, clocks, sqs, s3, retries }
    }
}

#[derive(Debug)]
struct Local {
    endpoint: String,
    settings: SdkConfig,
}

#[derive(Debug, Clone)]
struct SqsClient {
    client: aws_sdk_sqs::Client,
    clock: Clock,
    region: String,
    endpoint: Option<String>,
    whose: String,
}

impl Aws {
    /// By the AWS default chain.
    pub fn new() -> Self {
        Self::default()
    }

    /// To one server that is not AWS, over plain HTTP and with made-up credentials. Endpoints, profiles and roles of jobs
    /// and of the environment do not count, proxies included: nothing can leave for another place.
    pub fn local(endpoint: impl Into<String>) -> Self {
        let credentials = Credentials::new("redrive", "redrive", None, None, "local");
        let settings = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(Bounded::new(aws_smithy_http_client::Builder::new().build_http()))
            .build();
        Self { local: Some(Local { endpoint: endpoint.into(), settings }), ..Self::default() }
    }

    /// The queue that a job names, by name, URL or ARN. What the URL or ARN says of the region wins over `access`.
    pub async fn queue(&self, reference: &str, access: &Access) -> Result<Arc<dyn Queue>> {
        match Reference::parse(reference)? {
            Reference::Name(name) => self.queue_by_name(&name, None, access).await,
            Reference::Url(url) => self.queue_at(url, access).await,
            Reference::Arn(arn) => self.queue_at_arn(&arn, access).await,
        }
    }

    /// The queue with this ARN.
    pub async fn queue_by_arn(&self, arn: &str, access: &Access) -> Result<Arc<dyn Queue>> {
        self.queue_at_arn(&QueueArn::parse(arn)?, access).await
    }

    /// The queue with this URL. Makes no request.
    pub async fn queue_by_url(&self, url: &str, access: &Access) -> Result<Arc<dyn Queue>> {
        self.queue_at(QueueUrl::parse(url)?, access).await
    }

    /// The bucket of this name. Makes no request.
    pub async fn bucket(&self, name: &str, access: &Access) -> Result<Arc<dyn Bucket>> {
        Ok(Arc::new(self.s3_bucket(name, access).await?))
    }

    /// The KMS key that a bucket is encrypted with, as its owner wrote it; `None` for S3's or AWS's own key.
    pub async fn key_of_bucket(&self, name: &str, access: &Access) -> Result<Option<String>> {
        Ok(self.s3_bucket(name, access).await?.key().await?)
    }

    async fn s3_bucket(&self, name: &str, access: &Access) -> Result<S3Bucket> {
        let settings = self.settings(access, Home::of(access)).await?;
        let endpoint = self.endpoint(&settings, access, "S3")?;
        let (region, endpoint_words) = place(&settings, endpoint.as_deref())?;
        let mut config = aws_sdk_s3::config::Builder::from(&settings)
            .region(Region::new(region))
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(Meter { requests: self.s3.clone(), clock: Clock::default() });
        if let Some(endpoint) = endpoint {
            // Buckets have host names of their own at AWS only.
            config = config.force_path_style(!access::is_aws(&endpoint)).endpoint_url(endpoint);
        }
        Ok(S3Bucket {
            client: aws_sdk_s3::Client::from_conf(config.build()),
            name: name.to_owned(),
            site: Site { resource: name.to_owned(), endpoint: endpoint_words, whose: self.whose(access) },
            retries: Arc::clone(&self.retries),
        })
    }

    /// How many requests were sent through this until now.
    pub fn requests(&self) -> Requests {
        Requests { sqs: self.sqs.get(), s3: self.s3.get() }
    }

    /// The time by the clock of this queue's server, where it has answered yet; at most about a second fast, never slow.
    pub fn server_time(&self, queue_url: &str) -> Option<Timestamp> {
        let clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        clocks.get(queue_url)?.now(Instant::now())
    }

    /// How this queue is reached: what its URL or ARN says wins over `access`.
    pub(super) async fn access_of(&self, reference: &str, access: &Access) -> Result<Access> {
        match Reference::parse(reference)? {
            Reference::Name(_) => Ok(access.clone()),
            Reference::Url(url) => self.access_at(url.server, access).await,
            Reference::Arn(arn) => Ok(Access { region: Some(arn.region), ..access.clone() }),
        }
    }

    async fn access_at(&self, server: Server, access: &Access) -> Result<Access> {
        let mut access = access.clone();
        match server {
            Server::Aws { region } => access.region = Some(region),
            Server::Vpc { region, origin } => {
                access.region = Some(region);
                self.default_endpoint(&mut access, origin).await?;
            }
            Server::Other { origin } => self.default_endpoint(&mut access, origin).await?,
        }
        Ok(access)
    }

    async fn queue_at(&self, url: QueueUrl, access: &Access) -> Result<Arc<dyn Queue>> {
        let access = self.access_at(url.server, access).await?;
        let client = self.sqs_client(&access).await?;
        Ok(self.at(url.url, client))
    }

    /// Takes the queue's own server as the endpoint, unless one is configured.
    async fn default_endpoint(&self, access: &mut Access, origin: String) -> Result<()> {
        if access.endpoint_url.is_none() {
            let settings = self.settings(access, Home::Elsewhere).await?;
            if self.endpoint(&settings, access, "SQS")?.is_none() {
                access.endpoint_url = Some(origin);
            }
        }
        Ok(())
    }

    async fn queue_at_arn(&self, arn: &QueueArn, access: &Access) -> Result<Arc<dyn Queue>> {
        let access = Access { region: Some(arn.region.clone()), ..access.clone() };
        self.queue_by_name(&arn.name, Some(&arn.account), &access).await
    }

    async fn queue_by_name(&self, name: &str, account: Option<&str>, access: &Access) -> Result<Arc<dyn Queue>> {
        const ACTION: &str = "GetQueueUrl";
        let client = self.sqs_client(access).await?;
        let site = site(name, &client);
        let call = || {
            let call = client.client.get_queue_url().queue_name(name);
            within(&site, ACTION, ANSWER, call.set_queue_owner_aws_account_id(account.map(str::to_owned)).send())
        };
        let answer = match self.retries.repeat(call).await {
            Err(error) if error.fault == Fault::NotFound && account.is_none() => {
                let similar = Box::pin(similar(&client.client, &site, name)).await;
                let error = Error::from(error);
                return Err(match similar {
                    Some(similar) => error.and_hint(&format!("did you mean {similar:?}?")),
                    None => error,
                });
            }
            answer => answer?,
        };
        let url = answer.queue_url.ok_or_else(|| site.unreadable(ACTION, "the answer has no URL"))?;
        Ok(self.at(url, client))
    }

    /// The names of the account's queues, at least the first; none where listing is not allowed.
    pub async fn queue_names(&self, access: &Access) -> Result<Vec<String>> {
        let client = self.sqs_client(access).await?;
        Ok(listed(&client.client, &site("queues", &client)).await)
    }

    fn at(&self, url: String, client: SqsClient) -> Arc<dyn Queue> {
        let site = site(QueueUrl::name(&url), &client);
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        clocks.insert(url.clone(), client.clock);
        let retries = Arc::clone(&self.retries);
        Arc::new(SqsQueue { client: client.client, url, region: client.region, site, retries })
    }

    async fn sqs_client(&self, access: &Access) -> Result<SqsClient> {
        if let Some(client) = self.queues.lock().unwrap_or_else(PoisonError::into_inner).get(access) {
            return Ok(client.clone());
        }
        let settings = self.settings(access, Home::of(access)).await?;
        let endpoint = self.endpoint(&settings, access, "SQS")?;
        let (region, _) = place(&settings, endpoint.as_deref())?;
        let clock = Clock::default();
        let mut config = aws_sdk_sqs::config::Builder::from(&settings)
            .region(Region::new(region.clone()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(Meter { requests: self.sqs.clone(), clock: clock.clone() })
            .interceptor(Lean::default())
            .interceptor(Wire::new());
        config.set_endpoint_url(endpoint.clone());
        let client = aws_sdk_sqs::Client::from_conf(config.build());
        let client = SqsClient { client, clock, region, endpoint, whose: self.whose(access) };
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // Two that ask at once share one client, and with it one clock.
        Ok(queues.entry(access.clone()).or_insert(client).clone())
    }

    /// The endpoint that counts for a service (`SQS` or `S3`), where it is not the region's own.
    pub(super) fn endpoint(&self, settings: &SdkConfig, access: &Access, service: &str) -> Result<Option<String>> {
        let endpoint = match (&self.local, &access.endpoint_url) {
            (Some(local), _) => Some(local.endpoint.clone()),
            (None, Some(endpoint)) => Some(endpoint.clone()),
            (None, None) => configured_endpoint(settings, service),
        };
        if let Some(endpoint) = &endpoint {
            access::check_endpoint(endpoint)?;
        }
        Ok(endpoint)
    }

    pub(super) fn whose(&self, access: &Access) -> String {
        if self.local.is_some() { "the sandbox's credentials".to_owned() } else { whose(access) }
    }

    pub(super) async fn settings(&self, access: &Access, home: Home) -> Result<SdkConfig> {
        if let Some(local) = &self.local {
            let region = access.region.clone().unwrap_or_else(|| ANY_REGION.to_owned());
            return Ok(local.settings.to_builder().region(Region::new(region)).build());
        }
        // Endpoints are set on each service's client: on the settings they would lead STS astray as well.
        let key = (Access { endpoint_url: None, ..access.clone() }, home);
        let mut known = self.settings.lock().await;
        if let Some(settings) = known.get(&key) {
            return Ok(settings.clone());
        }
        let settings = Box::pin(load(access, home)).await?;
        known.insert(key, settings.clone());
        Ok(settings)
    }
}

/// The queue whose name is most like this one, where listing is allowed and one is like it at all.
async fn similar(client: &aws_sdk_sqs::Client, site: &Site, name: &str) -> Option<String> {
    let names = listed(client, site).await;
    nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

/// The names of an account's queues, where listing is allowed.
async fn listed(client: &aws_sdk_sqs::Client, site: &Site) -> Vec<String> {
    /// An account may have any number of queues, and this is for hints.
    const PAGES: usize = 3;
    let (mut urls, mut token) = (Vec::new(), None);
    for _ in 0..PAGES {
        let call = client.list_queues().max_results(1000).set_next_token(token.take());
        let Ok(page) = within(site, "ListQueues", ANSWER, call.send()).await else { break };
        urls.extend(page.queue_urls.unwrap_or_default());
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    urls.iter().map(|url| QueueUrl::name(url).to_owned()).collect()
}

fn site(queue: &str, client: &SqsClient) -> Site {
    let endpoint = client.endpoint.clone().unwrap_or_else(|| format!("AWS in {}", client.region));
    Site { resource: queue.to_owned(), endpoint, whose: client.whose.clone() }
}

/// Only the connection is bounded here: how long an answer may take differs from call to call.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT).build()
}
