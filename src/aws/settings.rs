//! Settings by the AWS default chain: which region, whose credentials, which endpoint.

use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::region::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sqs::config::{RuntimeComponents, SharedAsyncSleep};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use aws_types::service_config::ServiceConfigKey;

use super::access::{self, Access};
use super::bounded::Bounded;
use super::profile;
use crate::error::{Error, Result};

/// The region where none is set and the server is not AWS's: such servers take any.
pub(super) const ANY_REGION: &str = "us-east-1";

/// Whose servers the settings are for. Decides where a region that nobody set may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Home {
    Aws,
    Elsewhere,
}

impl Home {
    pub(super) fn of(access: &Access) -> Self {
        match &access.endpoint_url {
            Some(endpoint) if !access::is_aws(endpoint) => Self::Elsewhere,
            _ => Self::Aws,
        }
    }
}

/// Loads settings by the AWS default chain.
pub(super) async fn load(access: &Access, home: Home) -> Result<SdkConfig> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(https());
    if let Ok(name) = AppName::new("redrive") {
        loader = loader.app_name(name);
    }
    if let Some(profile) = &access.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &access.region {
        loader = loader.region(Region::new(region.clone()));
    } else if home == Home::Elsewhere {
        // Not the whole chain: it would ask the metadata service of a machine that most likely is no EC2 instance, and wait.
        let mut profile = ProfileFileRegionProvider::builder();
        if let Some(name) = &access.profile {
            profile = profile.profile_name(name);
        }
        let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new());
        loader = loader.region(chain.or_else(profile.build()).or_else(Region::from_static(ANY_REGION)));
    }
    let named = environment("AWS_PROFILE").filter(|name| access.profile.is_none() && name != "default");
    if let Some(name) = &access.profile {
        profile::find(name, "the job").await?;
    } else if let Some(name) = &named {
        profile::find(name, "AWS_PROFILE").await?;
    }
    let mut settings = loader.load().await;
    if let Some(name) = &access.profile {
        let config = ProviderConfig::without_region().with_region(settings.region().cloned()).with_http_client(https());
        let credentials = SharedCredentialsProvider::new(profile::credentials(name, &config));
        settings = settings.into_builder().credentials_provider(credentials).build();
    }
    let Some(role) = &access.role_arn else { return Ok(settings) };
    // The region of the role's STS; place() has the words for where there is none.
    if settings.region().is_none() {
        return Err(no_region());
    }
    let provider = AssumeRoleProvider::builder(role).session_name("redrive").configure(&settings).build().await;
    Ok(settings.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build())
}

/// The HTTP client for everything that goes out by the default chain, with bounded answers.
fn https() -> Bounded {
    let client = aws_smithy_http_client::Builder::new().build_with_connector_fn(|settings, components| {
        connector(settings.cloned(), components.and_then(RuntimeComponents::sleep_impl))
    });
    Bounded::new(client)
}

/// Connections as the SDK makes them by default: the roots of the machine or of `SSL_CERT_FILE`, and the proxies of the environment.
pub(super) fn connector(
    settings: Option<HttpConnectorSettings>,
    sleep: Option<SharedAsyncSleep>,
) -> aws_smithy_http_client::Connector {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
    let mut connector = aws_smithy_http_client::ConnectorBuilder::default().tls_provider(provider);
    connector.set_connector_settings(settings);
    connector.set_sleep_impl(sleep);
    connector.set_proxy_config(Some(ProxyConfig::from_env()));
    connector.build()
}

/// A variable of the environment; set to nothing is not set.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whose credentials calls are made with, in words.
pub(super) fn whose(access: &Access) -> String {
    let base = match &access.profile {
        Some(profile) => format!("profile {profile}"),
        None if environment("AWS_ACCESS_KEY_ID").is_some() => "the credentials in the environment".to_owned(),
        None => match environment("AWS_PROFILE") {
            Some(profile) => format!("profile {profile} (AWS_PROFILE)"),
            None => "the default credentials".to_owned(),
        },
    };
    match &access.role_arn {
        Some(role) => format!("role {role} by {base}"),
        None => base,
    }
}

/// The endpoint that environment or profile set for a service, found as the service's own client would find it.
pub(super) fn configured_endpoint(settings: &SdkConfig, service: &str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let of_service = key.ok().and_then(|key| settings.service_config()?.load_config(key));
    of_service.or_else(|| settings.endpoint_url().map(str::to_owned))
}

/// The region to sign for, and in words where calls go.
pub(super) fn place(settings: &SdkConfig, endpoint: Option<&str>) -> Result<(String, String)> {
    // Set to nothing is not set, as with every variable of AWS's.
    let region = match (settings.region().filter(|region| !region.as_ref().is_empty()), endpoint) {
        (Some(region), _) => region.to_string(),
        (None, Some(endpoint)) if !access::is_aws(endpoint) => ANY_REGION.to_owned(),
        (None, _) => return Err(no_region()),
    };
    // It becomes part of a host name.
    if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Error::usage(format!("{region:?} is no AWS region"))
            .hint("it looks like eu-west-1 (`region` in the job, or AWS_REGION)"));
    }
    let words = endpoint.map_or_else(|| format!("AWS in {region}"), str::to_owned);
    Ok((region, words))
}

fn no_region() -> Error {
    Error::failed("no AWS region is set")
        .hint("set `region` in the job, AWS_REGION, or a region in the profile (AWS_PROFILE)")
}
