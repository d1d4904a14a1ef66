//! One S3 bucket through the SDK: conditional puts with a checksum, reads, and whether it is there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;

use super::answer::{ANSWER, within};
use super::fault::Site;
use crate::retry::Retries;
use crate::sqs::{CallError, Fault};
use crate::store::{Bucket, NewObject, Put};

/// How long an object may take: the largest is a message of 1 MiB in an envelope.
const OBJECT: Duration = Duration::from_mins(1);

/// One bucket.
#[derive(Clone)]
pub(super) struct S3Bucket {
    pub(super) client: Client,
    pub(super) name: String,
    pub(super) site: Site,
    pub(super) retries: Arc<Retries>,
}

impl fmt::Debug for S3Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Bucket({})", self.name)
    }
}

impl S3Bucket {
    /// The KMS key that it is encrypted with, as its owner wrote it; `None` for S3's or AWS's own key.
    pub(super) async fn key(&self) -> Result<Option<String>, CallError> {
        let get = || self.client.get_bucket_encryption().bucket(&self.name).send();
        let call = || within(&self.site, "GetBucketEncryption", ANSWER, get());
        let answer = match self.retries.repeat(call).await {
            // A bucket from before 2023 may have none.
            Err(error) if error.code.as_deref() == Some("ServerSideEncryptionConfigurationNotFoundError") => {
                return Ok(None);
            }
            answer => answer?,
        };
        let rules = answer.server_side_encryption_configuration.map(|configuration| configuration.rules);
        let default = rules.into_iter().flatten().find_map(|rule| rule.apply_server_side_encryption_by_default);
        Ok(default.and_then(|default| default.kms_master_key_id))
    }
}

#[async_trait]
impl Bucket for S3Bucket {
    fn name(&self) -> &str {
        &self.name
    }

    async fn check(&self) -> Result<(), CallError> {
        let call = || within(&self.site, "HeadBucket", ANSWER, self.client.head_bucket().bucket(&self.name).send());
        self.retries.repeat(call).await?;
        Ok(())
    }

    async fn put_new(&self, object: &NewObject) -> Result<Put, CallError> {
        let mut call = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(&object.key)
            .if_none_match("*")
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .content_type(object.content_type)
            .body(ByteStream::from(object.content.clone()));
        for (name, value) in &object.metadata {
            call = call.metadata(*name, value);
        }
        match within(&self.site, "PutObject", OBJECT, Box::pin(call.send())).await {
            Ok(_) => Ok(Put::Created),
            Err(error) if error.code.as_deref() == Some("PreconditionFailed") => Ok(Put::Exists),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, key: &str, most: usize) -> Result<Option<Vec<u8>>, CallError> {
        const ACTION: &str = "GetObject";
        let read = async {
            let mut answer = match self.client.get_object().bucket(&self.name).key(key).send().await {
                Ok(answer) => answer,
                Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
                Err(error) => return Err(self.site.failed(ACTION, &error)),
            };
            let mut content = Vec::new();
            loop {
                match answer.body.try_next().await {
                    Ok(None) => return Ok(Some(content)),
                    Ok(Some(part)) if part.len() > most - content.len() => {
                        let words = format!("the object is longer than {most} bytes");
                        return Err(self.site.error(Fault::TooLong, ACTION, None, words));
                    }
                    Ok(Some(part)) => content.extend_from_slice(&part),
                    Err(error) => {
                        return Err(self.site.unreadable(ACTION, format!("the object broke off: {error}")));
                    }
                }
            }
        };
        tokio::time::timeout(OBJECT, read).await.unwrap_or_else(|_| Err(self.site.timed_out(ACTION, OBJECT.as_secs())))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::canned::{Answer, serve};
    use super::super::{Access, Aws};
    use super::*;

    async fn bucket(answer: Answer) -> (Aws, Arc<dyn Bucket>) {
        let aws = Aws::local(serve(answer).await);
        let bucket = aws.bucket("archive", &Access::default()).await.unwrap();
        (aws, bucket)
    }

    fn object() -> NewObject {
        NewObject {
            key: "2026/m 1+ä.json".to_owned(),
            content: b"{}".to_vec(),
            content_type: "application/json",
            metadata: BTreeMap::from([("redrive-message-id", "m1".to_owned())]),
        }
    }

    #[tokio::test]
    async fn a_key_that_is_taken_is_told_from_a_failure() {
        let xml = "<Error><Code>PreconditionFailed</Code><Message>x</Message></Error>";
        for body in [xml, ""] {
            let (aws, bucket) = bucket(Answer::http("412 Precondition Failed", "", body)).await;
            assert_eq!(bucket.put_new(&object()).await.unwrap(), Put::Exists);
            assert_eq!((aws.requests().sqs, aws.requests().s3), (0, 1));
        }
        let conflict = "<Error><Code>ConditionalRequestConflict</Code><Message>x</Message></Error>";
        let (_, racing) = bucket(Answer::http("409 Conflict", "", conflict)).await;
        assert_eq!(racing.put_new(&object()).await.unwrap_err().fault, Fault::Throttled);
        let (_, silent) = bucket(Answer::HangUp).await;
        assert_eq!(silent.put_new(&object()).await.unwrap_err().fault, Fault::NoAnswer);
    }

    #[tokio::test]
    async fn no_object_and_no_bucket_are_two_things() {
        let error = |code: &str| Answer::http("404 Not Found", "", &format!("<Error><Code>{code}</Code></Error>"));
        let (_, without_key) = bucket(error("NoSuchKey")).await;
        assert_eq!(without_key.get("k", 1000).await.unwrap(), None);
        let (_, without_bucket) = bucket(error("NoSuchBucket")).await;
        assert_eq!(without_bucket.get("k", 1000).await.unwrap_err().fault, Fault::NotFound);
    }

    #[tokio::test]
    async fn an_object_that_breaks_off_is_no_object() {
        let (_, bucket) = bucket(Answer::Bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned())).await;
        assert_eq!(bucket.get("k", 1000).await.unwrap_err().fault, Fault::NoAnswer);
    }

    #[tokio::test]
    async fn a_head_without_a_body_still_says_what_is_wrong() {
        for (status, headers, fault, word) in [
            ("404 Not Found", "", Fault::NotFound, "404"),
            ("403 Forbidden", "", Fault::Denied, "403"),
            ("301 Moved Permanently", "x-amz-bucket-region: eu-west-3\r\n", Fault::Refused, "eu-west-3"),
        ] {
            let (_, bucket) =
                bucket(Answer::Bytes(format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n"))).await;
            let error = bucket.check().await.unwrap_err();
            assert_eq!(error.fault, fault, "{error}");
            assert!(error.message.contains(word), "{error}");
        }
    }
}
