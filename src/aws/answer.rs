//! How long an answer is waited for.

use std::future::Future;
use std::time::Duration;

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

use super::fault::Site;
use crate::sqs::CallError;

/// How long an answer may take, beyond what a long poll waits.
pub(super) const ANSWER: Duration = Duration::from_secs(30);

/// Makes a call that is given up after `limit`.
pub(super) async fn within<T, E>(
    site: &Site,
    action: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
) -> Result<T, CallError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(|error| site.failed(action, &error)),
        Err(_) => Err(site.timed_out(action, limit.as_secs())),
    }
}
