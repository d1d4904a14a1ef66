//! A URL of somebody else's that something is posted to, over the same TLS, roots and proxies as calls to AWS. The URL is a secret
//! and is not shown, not even by `Debug`: only its host is.

use std::fmt;

use aws_sdk_sqs::config::http::HttpRequest;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_types::body::SdkBody;

use super::access;
use super::fault;
use super::settings::connector;

/// A place to post JSON to.
pub struct Webhook {
    url: String,
    host: String,
    connector: SharedHttpConnector,
}

impl Webhook {
    /// `None` if it is no http or https URL.
    pub fn new(url: &str) -> Option<Self> {
        let (origin, _) = access::origin_and_path(url)?;
        // An HTTP client refuses more than that: what it refuses is to be known now and not at the end of a run.
        HttpRequest::new(SdkBody::empty()).set_uri(url).ok()?;
        let host = origin.split_once("://").map_or(origin, |(_, host)| host).to_owned();
        let connector = SharedHttpConnector::new(connector(None, None));
        Some(Self { url: url.to_owned(), host, connector })
    }

    /// The host with its port: what of the URL is no secret.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Posts once, and gives the status of the answer, whatever it is; or why there was none. Follows no redirect: what is posted
    /// is for this URL.
    pub async fn post(&self, json: &str) -> Result<u16, String> {
        let mut request = HttpRequest::new(SdkBody::from(json));
        let unusable = |error: &dyn fmt::Display| error.to_string();
        request.set_method("POST").map_err(|error| unusable(&error))?;
        request.set_uri(self.url.as_str()).map_err(|error| unusable(&error))?;
        let headers = request.headers_mut();
        headers.insert("content-type", "application/json");
        headers.insert("user-agent", concat!("redrive/", env!("CARGO_PKG_VERSION")));
        let answer = self.connector.call(request).await;
        answer.map(|answer| answer.status().as_u16()).map_err(|error| fault::words(&error))
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("host", &self.host).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_webhook_only_the_host_is_shown() {
        let webhook = Webhook::new("https://hooks.example.org:8443/services/T0/SECRET?token=SECRET").unwrap();
        assert_eq!(webhook.host(), "hooks.example.org:8443");
        assert!(!format!("{webhook:?}").contains("SECRET"));
        for wrong in ["", "SECRET", "ftp://host/x", "https://", "https://user:SECRET@host/x", "https://host/a b"] {
            assert!(Webhook::new(wrong).is_none(), "{wrong}");
        }
    }
}
