//! How the parts of a job reach AWS: the settings that each of them may have, seen alike.

use super::types::{S3Destination, Source, SqsDestination};
use super::unmatched::Parking;

/// Where and as whom to call. What is `None` comes from the AWS default chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Access<'j> {
    /// The AWS region.
    pub region: Option<&'j str>,
    /// The profile of the shared AWS configuration.
    pub profile: Option<&'j str>,
    /// The endpoint's URL, for a server that is not AWS.
    pub endpoint_url: Option<&'j str>,
    /// A role to assume, by ARN.
    pub role_arn: Option<&'j str>,
}

macro_rules! access {
    ($($part:ty),*) => {$(
        impl $part {
            /// How it is reached.
            pub fn access(&self) -> Access<'_> {
                Access {
                    region: self.region.as_deref(),
                    profile: self.profile.as_deref(),
                    endpoint_url: self.endpoint_url.as_deref(),
                    role_arn: self.role_arn.as_deref(),
                }
            }
        }
    )*};
}

access!(Source, SqsDestination, S3Destination, Parking);
