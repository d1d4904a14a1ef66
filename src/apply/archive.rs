//! Archiving: one object per message in S3, or lines in a file. Both can be made again without a second copy: the key of an
//! object, and the message ID of a line, say whether it is there already.

use std::collections::BTreeMap;
use std::sync::Arc;

use redrive_protocol::target::Reason;

use super::deliver::{Content, Ended, Parcel, stopped};
use super::files::FileArchive;
use super::hands::Hands;
use super::shared::Shared;
use crate::error::{Error, Kind};
use crate::journal::SendEnd;
use crate::retry;
use crate::sqs::{CallError, Fault};
use crate::store::{Bucket, NewObject, Put};

/// Puts each parcel as an object.
pub(super) async fn put(shared: &Shared, bucket: &dyn Bucket, hands: &Hands, parcels: Vec<Parcel>) -> Vec<Ended> {
    let mut ended = Vec::with_capacity(parcels.len());
    for mut parcel in parcels {
        let end = match &mut parcel.content {
            Content::Envelope { key, envelope } => {
                let object = NewObject {
                    key: std::mem::take(key),
                    content: std::mem::take(envelope).into_bytes(),
                    content_type: "application/json",
                    metadata: BTreeMap::from([
                        ("redrive-message-id", parcel.ticket.intended.id().to_string()),
                        ("redrive-run", shared.setting.run.clone()),
                    ]),
                };
                put_one(shared, bucket, hands, &object).await
            }
            // The rules give a bucket nothing else.
            Content::Message(_) => SendEnd::Withdrawn,
        };
        ended.push((parcel, end));
    }
    ended
}

pub(super) async fn put_one(shared: &Shared, bucket: &dyn Bucket, hands: &Hands, object: &NewObject) -> SendEnd {
    // Whether an earlier try may have written the object, so that giving up leaves a doubt.
    let mut maybe_there = false;
    let mut tries = 1;
    loop {
        let result = match bucket.put_new(object).await {
            Ok(Put::Created) => return SendEnd::Acknowledged(None),
            Ok(Put::Exists) => match bucket.get(&object.key, object.content.len()).await {
                Ok(Some(content)) if content == object.content => return SendEnd::Acknowledged(None),
                Ok(Some(_)) | Err(CallError { fault: Fault::TooLong, .. }) => {
                    return SendEnd::Refused(Reason::KeyTaken, format!("s3://{}/{}", bucket.name(), object.key));
                }
                // It was deleted between the put and the look; the next put decides.
                Ok(None) => None,
                Err(error) => Some(error),
            },
            Err(error) => Some(error),
        };
        if let Some(error) = &result {
            hands.heed(error.fault);
        }
        maybe_there |= matches!(&result, Some(error) if error.fault == Fault::NoAnswer);
        let unsettled = if maybe_there { SendEnd::AnswerLost } else { SendEnd::Withdrawn };
        match result {
            Some(error) if error.fault == Fault::Refused => {
                return SendEnd::Refused(Reason::Refused, error.to_string());
            }
            Some(error) if !error.fault.is_transient() => {
                shared.fail(stopped(error));
                return unsettled;
            }
            _ => {}
        }
        if tries >= retry::MAX_TRIES {
            shared.fail(
                Error::new(Kind::Stopped, format!("the bucket {} does not answer", bucket.name()))
                    .hint("nothing is lost; the same command goes on when it does"),
            );
        }
        if shared.is_halting() {
            return unsettled;
        }
        shared.retries.wait(tries).await;
        tries += 1;
    }
}

/// Appends the parcels to a file and syncs it.
pub(super) async fn append(shared: &Shared, file: &Arc<FileArchive>, parcels: Vec<Parcel>) -> Vec<Ended> {
    let mut lines = Vec::with_capacity(parcels.len());
    for parcel in &parcels {
        if let Content::Envelope { envelope, .. } = &parcel.content {
            lines.push((parcel.ticket.intended.id().clone(), envelope.clone()));
        }
    }
    let target = Arc::clone(file);
    let written = tokio::task::spawn_blocking(move || target.append(&lines)).await;
    let written = written.unwrap_or_else(|_| Err(Error::failed("writing the file ended unexpectedly")));
    let end = |parcel| match &written {
        Ok(()) => (parcel, SendEnd::Acknowledged(None)),
        // Some of it may be in the file; the next session looks.
        Err(_) => (parcel, SendEnd::AnswerLost),
    };
    let ended = parcels.into_iter().map(end).collect();
    if let Err(error) = written {
        shared.fail(error);
    }
    ended
}
