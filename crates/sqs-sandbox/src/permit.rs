//! Which IAM actions a request needs, and what a caller is told who lacks one of them.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>

use std::sync::{Arc, PoisonError};

use hyper::http::request::Parts;

use super::policy::{Denial, Policy};
use super::query::escape;
use super::s3::Refusal;
use super::shared::Shared;
use super::sqs::call::Call;
use super::sqs::failure::Failure;
use super::target::{Target, percent_decoded};

/// A request that a policy does not let through: its action and resource, and why.
struct Denied {
    action: String,
    resource: String,
    denial: Denial,
}

impl Denied {
    /// IAM's reason, which every service puts behind its own words.
    fn why(&self) -> String {
        match self.denial {
            Denial::Implicit => format!("because no identity-based policy allows the {} action", self.action),
            Denial::Explicit => "with an explicit deny in an identity-based policy".to_owned(),
        }
    }
}

fn permitted(policy: &Policy, action: String, resource: String) -> Result<(), Denied> {
    policy.permits(&action, &resource).map_err(|denial| Denied { action, resource, denial })
}

impl Shared {
    /// The policy that is enforced now.
    fn policy(&self) -> Option<Arc<Policy>> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the policy lets a call of SQS through, where there is one. `access_key` is the caller's.
    pub(super) fn permit_sqs(&self, action: &str, call: &Call, access_key: Option<&str>) -> Result<(), Failure> {
        let Some(policy) = self.policy() else { return Ok(()) };
        let setup = &self.account.setup;
        let queue = format!("arn:aws:sqs:{}:{}:{}", setup.region, setup.account, call.queue());
        // A batch call needs the permission of the single one. SQS writes its actions in small letters here.
        let single = action.strip_suffix("Batch").unwrap_or(action);
        permitted(&policy, format!("sqs:{}", single.to_ascii_lowercase()), queue).map_err(|denied| {
            let (caller, why) = (self.caller(access_key), denied.why());
            let Denied { action, resource, .. } = denied;
            Failure::denied(format!(
                "User: {caller} is not authorized to perform: {action} on resource: {resource} {why}"
            ))
        })?;
        let needed: &[&str] = match call {
            Call::ReceiveMessage(_) => &["kms:Decrypt"],
            Call::SendMessage(_) | Call::SendMessageBatch(_) => &["kms:GenerateDataKey", "kms:Decrypt"],
            _ => &[],
        };
        let Some(key) = self.key_of(call.queue()) else { return Ok(()) };
        for action in needed {
            permitted(&policy, (*action).to_owned(), key.clone()).map_err(|denied| {
                let (caller, why) = (self.caller(access_key), denied.why());
                Failure::kms_denied(format!(
                    "User: {caller} is not authorized to perform: {action} on resource: {key} {why}"
                ))
            })?;
        }
        Ok(())
    }

    /// Whether the policy lets a role be assumed. Who somebody is, everybody may ask.
    pub(super) fn permit_sts(&self, action: &str, role: &str, access_key: Option<&str>) -> Result<(), Failure> {
        let Some(policy) = self.policy().filter(|_| action == "AssumeRole") else { return Ok(()) };
        permitted(&policy, "sts:AssumeRole".to_owned(), role.to_owned()).map_err(|denied| {
            let explicit = if denied.denial == Denial::Explicit { " with an explicit deny" } else { "" };
            let caller = self.caller(access_key);
            Failure::denied(format!(
                "User: {caller} is not authorized to perform: sts:AssumeRole on resource: {role}{explicit}"
            ))
        })
    }

    /// Whether the policy lets a request of S3 through.
    pub(super) fn permit_s3(&self, parts: &Parts, target: &Target, access_key: Option<&str>) -> Result<(), Refusal> {
        let Some(policy) = self.policy() else { return Ok(()) };
        let bucket = format!("arn:aws:s3:::{}", target.bucket);
        let object = format!("{bucket}/{}", target.key.as_deref().unwrap_or("*"));
        let (action, resource) = match target.action {
            "GetObject" | "HeadObject" => ("s3:GetObject", object),
            "PutObject"
            | "CopyObject"
            | "CreateMultipartUpload"
            | "UploadPart"
            | "UploadPartCopy"
            | "CompleteMultipartUpload" => ("s3:PutObject", object),
            "AbortMultipartUpload" => ("s3:AbortMultipartUpload", object),
            "ListParts" => ("s3:ListMultipartUploadParts", object),
            // Of several, S3 judges each; here who deletes several needs the right to delete them all.
            "DeleteObject" | "DeleteObjects" => ("s3:DeleteObject", object),
            "HeadBucket" | "ListObjects" | "ListObjectsV2" => ("s3:ListBucket", bucket),
            "ListMultipartUploads" => ("s3:ListBucketMultipartUploads", bucket),
            "GetBucketLocation" => ("s3:GetBucketLocation", bucket),
            "GetBucketEncryption" => ("s3:GetEncryptionConfiguration", bucket),
            "CreateBucket" => ("s3:CreateBucket", bucket),
            "DeleteBucket" => ("s3:DeleteBucket", bucket),
            "ListBuckets" => ("s3:ListAllMyBuckets", "*".to_owned()),
            // Refused later, as what the sandbox does not have.
            _ => return Ok(()),
        };
        let copied = parts.headers.get("x-amz-copy-source").and_then(|value| value.to_str().ok());
        let copied = copied.map(|source| {
            let path = percent_decoded(source.split('?').next().unwrap_or(source));
            ("s3:GetObject", format!("arn:aws:s3:::{}", path.trim_start_matches('/')))
        });
        let key = self.store.key_of(&target.bucket).and_then(|key| self.key_arn(&key));
        let key = key.and_then(|key| match action {
            "s3:PutObject" => Some(("kms:GenerateDataKey", key)),
            "s3:GetObject" => Some(("kms:Decrypt", key)),
            _ => None,
        });
        for (action, resource) in std::iter::once((action, resource)).chain(copied).chain(key) {
            permitted(&policy, action.to_owned(), resource).map_err(|denied| self.refused(&denied, access_key))?;
        }
        Ok(())
    }

    /// What somebody is told who asked for an object that is not there: whether it is there, only who may list the bucket learns.
    pub(super) fn permit_absence(&self, target: &Target, access_key: Option<&str>) -> Result<(), Refusal> {
        let policy = self.policy().filter(|_| matches!(target.action, "GetObject" | "HeadObject"));
        let Some(policy) = policy else { return Ok(()) };
        let listed = permitted(&policy, "s3:ListBucket".to_owned(), format!("arn:aws:s3:::{}", target.bucket));
        listed.map_err(|denied| self.refused(&denied, access_key))
    }

    fn refused(&self, denied: &Denied, access_key: Option<&str>) -> Refusal {
        let message = format!(
            "User: {} is not authorized to perform: {} on resource: \"{}\" {}",
            self.caller(access_key),
            denied.action,
            denied.resource,
            denied.why()
        );
        // A key may hold what XML takes for its own.
        Refusal::new(403, "AccessDenied", escape(&message))
    }

    fn caller(&self, access_key: Option<&str>) -> String {
        let session = access_key.and_then(|key| self.keys.session(key));
        session
            .map_or_else(|| format!("arn:aws:iam::{}:user/sandbox", self.account.setup.account), |session| session.arn)
    }

    /// The KMS key that a queue is encrypted with, by ARN.
    fn key_of(&self, queue: &str) -> Option<String> {
        let key = self.account.by_name(queue)?.lock().settings.kms_key.clone()?;
        self.key_arn(&key)
    }

    /// The ARN of a key. AWS's own keys need no permission, and what an alias stands for nobody here knows.
    fn key_arn(&self, key: &str) -> Option<String> {
        if key.starts_with("alias/") || key.contains(":alias/") {
            return None;
        }
        let setup = &self.account.setup;
        let arn = || format!("arn:aws:kms:{}:{}:key/{key}", setup.region, setup.account);
        Some(if key.starts_with("arn:") { key.to_owned() } else { arn() })
    }
}
