//! Who calls are made as, for the reader of a plan: by STS if it says so in time, and always by where the credentials came from.

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use tokio::time::{Instant, timeout_at};

use super::access::{self, Access};
use super::connect::Aws;
use super::settings::{Home, configured_endpoint, place};
use crate::error::Result;

/// Who calls to a place are made as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The region that calls are signed for.
    pub region: String,
    /// The endpoint, if it is not the region's own.
    pub endpoint: Option<String>,
    /// Whose credentials these are, in words.
    pub credentials: String,
    /// Account and ARN, by `GetCallerIdentity`; `None` if it did not answer in time, or not with them.
    pub identity: Option<(String, String)>,
}

impl Aws {
    /// Who calls to this queue are made as, or, without one, calls to buckets.
    pub async fn caller(&self, queue: Option<&str>, access: &Access, deadline: Instant) -> Result<Caller> {
        let access = match queue {
            Some(queue) => self.access_of(queue, access).await?,
            None => access.clone(),
        };
        let settings = self.settings(&access, Home::of(&access)).await?;
        let service = if queue.is_some() { "SQS" } else { "S3" };
        let endpoint = self.endpoint(&settings, &access, service)?;
        let (region, _) = place(&settings, endpoint.as_deref())?;
        let mut config = aws_sdk_sts::config::Builder::from(&settings)
            .region(Region::new(region.clone()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        // A server that is not AWS's is asked itself: these credentials are none of AWS's.
        let elsewhere = endpoint.clone().filter(|endpoint| !access::is_aws(endpoint));
        config.set_endpoint_url(elsewhere.or_else(|| configured_endpoint(&settings, "STS")));
        let client = aws_sdk_sts::Client::from_conf(config.build());
        // Tried once: it is for the reader, and nothing depends on it.
        let answer = timeout_at(deadline, client.get_caller_identity().send()).await;
        let identity = answer.ok().and_then(std::result::Result::ok).and_then(|who| Some((who.account?, who.arn?)));
        Ok(Caller { region, endpoint, credentials: self.whose(&access), identity })
    }
}
