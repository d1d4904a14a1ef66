//! Changed bodies that the Extended Client keeps in S3: each is an object before the message that points to it is sent. Putting one
//! again makes no second: its key is the message's own in this run, and nothing that is there already is written over.

use std::collections::BTreeMap;

use redrive_protocol::message::NewPayload;

use super::archive::put_one;
use super::hands::Hands;
use super::parcel::{Content, Ended, Parcel};
use super::shared::Shared;
use crate::store::NewObject;
use redrive_protocol::protocol::SendEnd;

/// Puts what these parcels point to. Gives those that may be sent now, and how it ended for the others.
pub(super) async fn put(shared: &Shared, hands: &Hands, parcels: Vec<Parcel>) -> (Vec<Parcel>, Vec<Ended>) {
    let (mut ready, mut ended) = (Vec::with_capacity(parcels.len()), Vec::new());
    for mut parcel in parcels {
        let payload = match &mut parcel.content {
            Content::Message(outgoing) => outgoing.payload.take(),
            Content::Envelope { .. } => None,
        };
        let end = match payload {
            Some(payload) => put_payload(shared, hands, &parcel, payload).await,
            None => SendEnd::Acknowledged(None),
        };
        match end {
            SendEnd::Acknowledged(_) => ready.push(parcel),
            // The object may be there; the message was surely not sent.
            SendEnd::AnswerLost => ended.push((parcel, SendEnd::Withdrawn)),
            other => ended.push((parcel, other)),
        }
    }
    (ready, ended)
}

async fn put_payload(shared: &Shared, hands: &Hands, parcel: &Parcel, payload: NewPayload) -> SendEnd {
    // A job that does not follow pointers changes none.
    let Some(payloads) = &shared.options.payloads else { return SendEnd::Withdrawn };
    let bucket = match payloads.bucket(&payload.bucket).await {
        Ok(bucket) => bucket,
        Err(error) => {
            shared.fail(error.resumable());
            return SendEnd::Withdrawn;
        }
    };
    let object = NewObject {
        key: payload.key,
        content: payload.text.into_bytes(),
        content_type: "text/plain; charset=utf-8",
        metadata: BTreeMap::from([
            ("redrive-message-id", parcel.ticket.intended.id().to_string()),
            ("redrive-run", shared.setting.run.clone()),
        ]),
    };
    put_one(shared, bucket.as_ref(), hands, &object, &parcel.ticket.hold).await
}
