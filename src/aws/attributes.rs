//! A queue's attributes as the service gives them, texts by name, read into what plan and apply look at. Pure.

use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use jiff::Timestamp;
use serde_json::Value;

use super::access::QueueUrl;
use crate::sqs::{Counts, QueueAttributes, RedrivePolicy};

/// Reads what the service said of a queue. Servers that are not AWS leave things out: a setting that is missing takes SQS's
/// default, while a count and a time of creation that are missing are unknown; what is there and unreadable is an error, because plan and apply lean on it.
pub(super) fn read(said: &HashMap<Name, String>, url: &str, region: &str) -> Result<QueueAttributes, String> {
    let text = |name: &Name| said.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let known = |name: &Name| -> Result<Option<u64>, String> {
        let number =
            |value: &str| value.parse().map_err(|_| format!("{name} is {value:?}, which is not a whole number"));
        text(name).map(number).transpose()
    };
    let number = |name: &Name, default: u64| known(name).map(|number| number.unwrap_or(default));
    let created = text(&Name::CreatedTimestamp).and_then(|seconds| {
        // Some servers give fractions of a second.
        let whole = seconds.split('.').next().unwrap_or(seconds);
        Timestamp::from_second(whole.parse().ok()?).ok()
    });
    let redrive_policy = text(&Name::RedrivePolicy).map(read_redrive_policy).transpose()?;
    Ok(QueueAttributes {
        arn: text(&Name::QueueArn).map_or_else(|| arn_by_url(url, region), str::to_owned),
        url: url.to_owned(),
        fifo: text(&Name::FifoQueue).map_or_else(|| is_fifo_url(url), |fifo| fifo == "true"),
        created,
        redrive_policy,
        redrive_allow_policy: text(&Name::RedriveAllowPolicy).map(str::to_owned),
        // Where a server does not say, the limit that every server keeps.
        maximum_message_size: number(&Name::MaximumMessageSize, 256 * 1024)?,
        message_retention_seconds: number(&Name::MessageRetentionPeriod, 4 * 24 * 60 * 60)?,
        visibility_timeout_seconds: number(&Name::VisibilityTimeout, 30)?,
        kms_key: text(&Name::KmsMasterKeyId).map(str::to_owned),
        content_based_deduplication: text(&Name::ContentBasedDeduplication) == Some("true"),
        counts: Counts {
            visible: known(&Name::ApproximateNumberOfMessages)?,
            in_flight: known(&Name::ApproximateNumberOfMessagesNotVisible)?,
            delayed: known(&Name::ApproximateNumberOfMessagesDelayed)?,
        },
    })
}

fn arn_by_url(url: &str, region: &str) -> String {
    let account = QueueUrl::account(url).unwrap_or("000000000000");
    format!("arn:aws:sqs:{region}:{account}:{}", QueueUrl::name(url))
}

#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "SQS's suffix is lower case, and no file's")]
fn is_fifo_url(url: &str) -> bool {
    url.ends_with(".fifo")
}

/// The policy as SQS writes it: JSON, with a count that some clients and servers write as text.
fn read_redrive_policy(json: &str) -> Result<RedrivePolicy, String> {
    let unreadable = || format!("RedrivePolicy is {json:?}, which is not a redrive policy");
    let policy: Value = serde_json::from_str(json).map_err(|_| unreadable())?;
    let target = policy.get("deadLetterTargetArn").and_then(Value::as_str).ok_or_else(unreadable)?;
    let count = match policy.get("maxReceiveCount") {
        Some(Value::String(count)) => count.parse().ok(),
        Some(count) => count.as_u64().and_then(|count| u32::try_from(count).ok()),
        None => None,
    };
    let max_receive_count = count.ok_or_else(unreadable)?;
    Ok(RedrivePolicy { dead_letter_target_arn: target.to_owned(), max_receive_count })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(said: &[(Name, &str)]) -> Result<QueueAttributes, String> {
        let said = said.iter().map(|(name, text)| (name.clone(), (*text).to_owned())).collect();
        read(&said, "http://localhost:4566/123456789012/orders.fifo", "eu-west-1")
    }

    #[test]
    fn what_a_server_leaves_out_takes_its_default() {
        let read = attributes(&[(Name::CreatedTimestamp, "1700000000.25"), (Name::KmsMasterKeyId, "")]).unwrap();
        assert_eq!(read.arn, "arn:aws:sqs:eu-west-1:123456789012:orders.fifo");
        assert!(read.fifo);
        assert_eq!(read.created.unwrap().as_second(), 1_700_000_000);
        assert_eq!((read.maximum_message_size, read.kms_key, read.redrive_policy), (262_144, None, None));
    }

    #[test]
    fn a_count_that_is_left_out_is_unknown_and_not_zero() {
        assert_eq!(attributes(&[(Name::QueueArn, "arn")]).unwrap().counts, Counts::default());
        let read = attributes(&[(Name::ApproximateNumberOfMessages, "0")]).unwrap();
        assert_eq!((read.counts.visible, read.counts.in_flight, read.created), (Some(0), None, None));
        assert_eq!(read.counts.all(), None);
    }

    #[test]
    fn a_redrive_policy_may_count_in_text_or_numbers() {
        for count in ["3", "\"3\""] {
            let json = format!(r#"{{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:1:dlq","maxReceiveCount":{count}}}"#);
            let policy = attributes(&[(Name::RedrivePolicy, &json)]).unwrap().redrive_policy.unwrap();
            assert_eq!(
                (policy.dead_letter_target_arn.as_str(), policy.max_receive_count),
                ("arn:aws:sqs:eu-west-1:1:dlq", 3)
            );
        }
    }

    #[test]
    fn what_is_there_and_unreadable_is_an_error() {
        for (name, text) in [
            (Name::MaximumMessageSize, "many"),
            (Name::ApproximateNumberOfMessages, "-1"),
            (Name::RedrivePolicy, "nonsense"),
            (Name::RedrivePolicy, "[]"),
            (Name::RedrivePolicy, r#"{"deadLetterTargetArn":"a"}"#),
            (Name::RedrivePolicy, r#"{"deadLetterTargetArn":"a","maxReceiveCount":-1}"#),
            (Name::RedrivePolicy, r#"{"deadLetterTargetArn":1,"maxReceiveCount":1}"#),
        ] {
            assert!(attributes(&[(name.clone(), text)]).is_err(), "{name} {text}");
        }
    }
}
