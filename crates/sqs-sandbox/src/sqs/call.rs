//! The requests of the AWS JSON protocol, as typed values: one for each action. Members that we do not know are ignored, as SQS
//! does; a member of the wrong type is a `SerializationException`.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::message::WireAttribute;
use super::settings::AttributeMap;

/// Declares the requests, the enum over them, and its parsing by the action's name.
macro_rules! calls {
    ($($action:ident { $($(#[$meta:meta])? $field:ident: $type:ty),* $(,)? })*) => {
        $(
            #[derive(Deserialize)]
            #[serde(rename_all = "PascalCase")]
            pub(crate) struct $action { $(#[serde(default)] $(#[$meta])? pub(crate) $field: $type),* }
        )*

        /// The actions, by name.
        pub(crate) const ACTIONS: &[&str] = &[$(stringify!($action)),*];

        /// One request.
        pub(crate) enum Call { $($action($action)),* }

        impl Call {
            /// Reads the request of an action.
            ///
            /// `trace` is the header that a traced HTTP request has: a message that is sent by it is traced too, unless it says
            /// otherwise itself.
            pub(crate) fn parse(action: &str, body: &[u8], trace: Option<&str>) -> Result<Self, Failure> {
                let mut call = match action {
                    $(stringify!($action) => read(body).map(Self::$action),)*
                    _ => Err(Failure::unknown_action(action)),
                }?;
                call.trace(trace);
                Ok(call)
            }
        }
    };
}

calls! {
    CreateQueue { queue_name: String, attributes: AttributeMap, #[serde(rename = "tags")] tags: AttributeMap }
    GetQueueUrl { queue_name: String }
    GetQueueAttributes { queue_url: String, attribute_names: Vec<String> }
    SetQueueAttributes { queue_url: String, attributes: AttributeMap }
    ListQueues { queue_name_prefix: String, max_results: Option<i64>, next_token: Option<String> }
    DeleteQueue { queue_url: String }
    PurgeQueue { queue_url: String }
    TagQueue { queue_url: String, tags: AttributeMap }
    UntagQueue { queue_url: String, tag_keys: Vec<String> }
    ListQueueTags { queue_url: String }
    SendMessage {
        queue_url: String,
        message_body: String,
        message_attributes: BTreeMap<String, WireAttribute>,
        message_system_attributes: BTreeMap<String, WireAttribute>,
        delay_seconds: Option<i64>,
        message_group_id: Option<String>,
        message_deduplication_id: Option<String>,
    }
    SendMessageBatch { queue_url: String, entries: Vec<SendEntry> }
    ReceiveMessage {
        queue_url: String,
        attribute_names: Vec<String>,
        message_system_attribute_names: Vec<String>,
        message_attribute_names: Vec<String>,
        max_number_of_messages: Option<i64>,
        visibility_timeout: Option<i64>,
        wait_time_seconds: Option<i64>,
    }
    DeleteMessage { queue_url: String, receipt_handle: String }
    DeleteMessageBatch { queue_url: String, entries: Vec<HandleEntry> }
    ChangeMessageVisibility { queue_url: String, receipt_handle: String, visibility_timeout: Option<i64> }
    ChangeMessageVisibilityBatch { queue_url: String, entries: Vec<HandleEntry> }
    ListDeadLetterSourceQueues { queue_url: String, max_results: Option<i64>, next_token: Option<String> }
    StartMessageMoveTask {
        source_arn: String,
        destination_arn: Option<String>,
        max_number_of_messages_per_second: Option<i64>,
    }
    ListMessageMoveTasks { source_arn: String, max_results: Option<i64> }
    CancelMessageMoveTask { task_handle: String }
    AddPermission {
        queue_url: String,
        label: String,
        #[serde(rename = "AWSAccountIds")] accounts: Vec<String>,
        actions: Vec<String>,
    }
    RemovePermission { queue_url: String, label: String }
}

/// One entry of a send batch: a message with an ID for the answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(crate) struct SendEntry {
    pub(crate) id: String,
    pub(crate) message_body: String,
    pub(crate) message_attributes: BTreeMap<String, WireAttribute>,
    pub(crate) message_system_attributes: BTreeMap<String, WireAttribute>,
    pub(crate) delay_seconds: Option<i64>,
    pub(crate) message_group_id: Option<String>,
    pub(crate) message_deduplication_id: Option<String>,
}

/// One entry of a batch of deletes or of changes of visibility.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(crate) struct HandleEntry {
    pub(crate) id: String,
    pub(crate) receipt_handle: String,
    pub(crate) visibility_timeout: Option<i64>,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    // serde_json's own words may hold a value of the request, and message bodies are private: only the place is told.
    serde_json::from_slice(body).map_err(|error| {
        let what = if error.is_data() { "a member of the wrong type" } else { "not valid JSON" };
        Failure::serialization(format!("The request is {what}, at line {} column {}.", error.line(), error.column()))
    })
}

impl Call {
    /// Makes the trace of the HTTP request the messages' own.
    fn trace(&mut self, trace: Option<&str>) {
        let Some(trace) = trace else { return };
        let attribute = || WireAttribute {
            data_type: "String".to_owned(),
            string_value: Some(trace.to_owned()),
            binary_value: None,
        };
        let attributes: Vec<&mut BTreeMap<String, WireAttribute>> = match self {
            Self::SendMessage(call) => vec![&mut call.message_system_attributes],
            Self::SendMessageBatch(call) => {
                call.entries.iter_mut().map(|entry| &mut entry.message_system_attributes).collect()
            }
            _ => return,
        };
        for attributes in attributes {
            attributes.entry("AWSTraceHeader".to_owned()).or_insert_with(attribute);
        }
    }

    /// The queue that the request is about, by name: for the log and for faults.
    pub(crate) fn queue(&self) -> &str {
        match self {
            Self::CreateQueue(call) => &call.queue_name,
            Self::GetQueueUrl(call) => &call.queue_name,
            Self::StartMessageMoveTask(call) => last_part(&call.source_arn, ':'),
            Self::ListMessageMoveTasks(call) => last_part(&call.source_arn, ':'),
            Self::ListQueues(_) | Self::CancelMessageMoveTask(_) => "",
            Self::GetQueueAttributes(GetQueueAttributes { queue_url, .. })
            | Self::SetQueueAttributes(SetQueueAttributes { queue_url, .. })
            | Self::DeleteQueue(DeleteQueue { queue_url })
            | Self::PurgeQueue(PurgeQueue { queue_url })
            | Self::TagQueue(TagQueue { queue_url, .. })
            | Self::UntagQueue(UntagQueue { queue_url, .. })
            | Self::ListQueueTags(ListQueueTags { queue_url })
            | Self::AddPermission(AddPermission { queue_url, .. })
            | Self::RemovePermission(RemovePermission { queue_url, .. })
            | Self::SendMessage(SendMessage { queue_url, .. })
            | Self::SendMessageBatch(SendMessageBatch { queue_url, .. })
            | Self::ReceiveMessage(ReceiveMessage { queue_url, .. })
            | Self::DeleteMessage(DeleteMessage { queue_url, .. })
            | Self::DeleteMessageBatch(DeleteMessageBatch { queue_url, .. })
            | Self::ChangeMessageVisibility(ChangeMessageVisibility { queue_url, .. })
            | Self::ChangeMessageVisibilityBatch(ChangeMessageVisibilityBatch { queue_url, .. })
            | Self::ListDeadLetterSourceQueues(ListDeadLetterSourceQueues { queue_url, .. }) => {
                last_part(queue_url, '/')
            }
        }
    }
}

fn last_part(text: &str, separator: char) -> &str {
    text.rsplit(separator).next().unwrap_or(text)
}

impl From<SendMessage> for SendEntry {
    fn from(call: SendMessage) -> Self {
        Self {
            id: String::new(),
            message_body: call.message_body,
            message_attributes: call.message_attributes,
            message_system_attributes: call.message_system_attributes,
            delay_seconds: call.delay_seconds,
            message_group_id: call.message_group_id,
            message_deduplication_id: call.message_deduplication_id,
        }
    }
}
