//! A profile of the shared AWS configuration that somebody named: that it exists, and credentials by it.

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use crate::error::{Error, Result};

/// Fails where there is no profile of this name, which `by` names: a job's setting, or a variable of the environment.
pub(super) async fn find(name: &str, by: &str) -> Result<()> {
    let looked_at = format!(
        "looked in {} and {}",
        file("AWS_CONFIG_FILE", "~/.aws/config"),
        file("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    );
    let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), None).await;
    let profiles = profiles.map_err(|error| {
        Error::failed(format!("the AWS configuration cannot be read: {error}")).hint(looked_at.clone())
    })?;
    if profiles.get_profile(name).is_some() {
        return Ok(());
    }
    Err(Error::failed(format!("there is no AWS profile {name:?}, which {by} names"))
        .hint(format!("{looked_at}; `aws configure list-profiles` shows those that there are")))
}

fn file(variable: &str, default: &str) -> String {
    std::env::var(variable).ok().filter(|path| !path.is_empty()).unwrap_or_else(|| default.to_owned())
}

/// Credentials by this profile. As in the AWS CLI, those in the environment do not count where a profile is named; those of the
/// machine do where the profile has none.
pub(super) fn credentials(name: &str, config: &ProviderConfig) -> CredentialsProviderChain {
    let profile = ProfileFileCredentialsProvider::builder().configure(config).profile_name(name).build();
    CredentialsProviderChain::first_try("Profile", profile)
        .or_else("EcsContainer", EcsCredentialsProvider::builder().configure(config).build())
        .or_else("Ec2InstanceMetadata", ImdsCredentialsProvider::builder().configure(config).build())
}
