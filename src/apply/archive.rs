//! Archiving: one object per message in S3, or lines in a file. Both can be made again without a second copy: the key of an
//! object, and the message ID of a line, say whether it is there already. What goes here is an envelope, by its type.

use std::collections::BTreeMap;
use std::sync::Arc;

use redrive_protocol::target::{Reason, TargetId};

use super::files::{Appended, FileArchive};
use super::hands::Hands;
use super::hold::Hold;
use super::parcel::{Ended, Sealed, stopped};
use super::shared::Shared;
use crate::error::{Error, Kind};
use crate::retry;
use crate::sqs::{CallError, Fault};
use crate::store::{Bucket, NewObject, Put};
use redrive_protocol::protocol::SendEnd;

/// Puts each envelope as an object.
pub(super) async fn put(shared: &Shared, bucket: &dyn Bucket, hands: &Hands, sealed: Vec<Sealed>) -> Vec<Ended> {
    let mut ended = Vec::with_capacity(sealed.len());
    for mut one in sealed {
        let object = NewObject {
            key: std::mem::take(&mut one.key),
            content: std::mem::take(&mut one.envelope).into_bytes(),
            content_type: "application/json",
            metadata: BTreeMap::from([
                ("redrive-message-id", one.ticket.intended.id().to_string()),
                ("redrive-run", shared.setting.run.clone()),
            ]),
        };
        let end = put_one(shared, bucket, hands, &object, &one.ticket.hold).await;
        ended.push((one.into(), end));
    }
    ended
}

/// Puts an object for as long as the message that it is of is ours.
pub(super) async fn put_one(
    shared: &Shared,
    bucket: &dyn Bucket,
    hands: &Hands,
    object: &NewObject,
    hold: &Hold,
) -> SendEnd {
    // Whether an earlier try may have written the object, so that giving up leaves a doubt.
    let mut maybe_there = false;
    let mut tries = 1;
    loop {
        if !hold.is_sure(shared.journal.now()) {
            return if maybe_there { SendEnd::AnswerLost } else { SendEnd::Lapsed };
        }
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
            shared.heed(hands, error.fault);
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
                    .hint("nothing is lost; the same command continues when it does"),
            );
        }
        if shared.is_halting() {
            return unsettled;
        }
        shared.retries.wait(tries).await;
        tries += 1;
    }
}

/// What this run wrote to a file with an append, for the commit that settles its messages.
pub(super) type Written = Option<(TargetId, u64)>;

/// Appends envelopes to a file and syncs it.
pub(super) async fn append(shared: &Shared, file: &Arc<FileArchive>, sealed: Vec<Sealed>) -> (Vec<Ended>, Written) {
    let all = |sealed: Vec<Sealed>, end: fn() -> SendEnd| sealed.into_iter().map(|one| (one.into(), end())).collect();
    let lines = sealed.iter().map(|one| (one.ticket.intended.id(), one.envelope.as_str())).collect();
    let draft = match file.draft(lines) {
        Ok(Some(draft)) => draft,
        // An earlier session has written all of it.
        Ok(None) => return (all(sealed, || SendEnd::Acknowledged(None)), None),
        Err(error) => {
            shared.fail(error.resumable());
            return (all(sealed, || SendEnd::Withdrawn), None);
        }
    };
    if shared.journaled(shared.journal.writing(draft.piece.clone()).await).is_none() {
        return (all(sealed, || SendEnd::Withdrawn), None);
    }
    let (target, start) = (draft.piece.target, draft.piece.start);
    let writing = Arc::clone(file);
    let appended = tokio::task::spawn_blocking(move || writing.append(&draft)).await;
    match appended {
        Ok(Appended::Synced) => (all(sealed, || SendEnd::Acknowledged(None)), Some((target, start))),
        Ok(Appended::NotWritten(error)) => {
            shared.fail(error.resumable());
            (all(sealed, || SendEnd::Withdrawn), None)
        }
        Ok(Appended::Unknown(error)) => {
            shared.fail(error.resumable());
            (all(sealed, || SendEnd::AnswerLost), None)
        }
        Err(error) => {
            shared.fail(Error::failed(format!("writing an archive ended unexpectedly: {error}")));
            (all(sealed, || SendEnd::AnswerLost), None)
        }
    }
}
