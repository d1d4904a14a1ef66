//! SQS's errors as clients see them: the shape in `__type`, the older code in `x-amzn-query-error`, words and status. SDKs make
//! their typed exceptions of one or the other, so both must be right. Knows nothing of queues or HTTP.

/// A call, or one entry of a batch, that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The shape's name with its namespace.
    pub(crate) shape: &'static str,
    /// The code of the older query protocol; also what a batch entry's `Code` holds.
    pub(crate) code: &'static str,
    /// SQS's words.
    pub(crate) message: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// Whether it is the sender's fault.
    pub(crate) sender: bool,
}

/// One constructor per error that takes its words.
macro_rules! failures {
    ($status:literal, $($name:ident: $shape:literal, $code:literal;)*) => {
        $(pub(crate) fn $name(message: impl Into<String>) -> Self {
            Self { shape: $shape, code: $code, message: message.into(), status: $status, sender: true }
        })*
    };
}

impl Failure {
    failures! { 400,
        invalid_value: "com.amazonaws.sqs#InvalidParameterValueException", "InvalidParameterValue";
        missing: "com.amazonaws.sqs#MissingRequiredParameterException", "MissingParameter";
        invalid_attribute_value: "com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue";
        queue_name_exists: "com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists";
        queue_deleted_recently: "com.amazonaws.sqs#QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently";
        not_in_flight: "com.amazonaws.sqs#MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight";
        empty_batch: "com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest";
        ids_not_distinct: "com.amazonaws.sqs#BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct";
        validation: "com.amazon.coral.service#ValidationException", "ValidationError";
        serialization: "com.amazon.coral.service#SerializationException", "SerializationException";
    }

    failures! { 404,
        resource_not_found: "com.amazonaws.sqs#ResourceNotFoundException", "ResourceNotFoundException";
    }

    // SQS's reference has 400 for the first two, but 403 is what it sends.
    failures! { 403,
        over_limit: "com.amazonaws.sqs#OverLimit", "OverLimit";
        purge_in_progress: "com.amazonaws.sqs#PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress";
        missing_token: "com.amazon.coral.service#MissingAuthenticationTokenException", "MissingAuthenticationToken";
        unknown_client: "com.amazon.coral.service#UnrecognizedClientException", "InvalidClientTokenId";
        bad_signature: "com.amazon.coral.service#InvalidSignatureException", "SignatureDoesNotMatch";
    }

    pub(crate) fn no_such_queue() -> Self {
        Self {
            shape: "com.amazonaws.sqs#QueueDoesNotExist",
            code: "AWS.SimpleQueueService.NonExistentQueue",
            message: "The specified queue does not exist.".to_owned(),
            status: 400,
            sender: true,
        }
    }

    pub(crate) fn bad_handle(handle: &str) -> Self {
        let shown: String = handle.chars().take(80).collect();
        Self {
            shape: "com.amazonaws.sqs#ReceiptHandleIsInvalid",
            code: "ReceiptHandleIsInvalid",
            message: format!("The input receipt handle \"{shown}\" is not a valid receipt handle."),
            status: 400,
            sender: true,
        }
    }

    pub(crate) fn two_encryptions() -> Self {
        Self {
            message: "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE."
                .to_owned(),
            ..Self::unknown_attribute("")
        }
    }

    pub(crate) fn only_fifo(name: &str) -> Self {
        let message = format!("You can specify the {name} only when FifoQueue is set to true.");
        Self { message, ..Self::unknown_attribute(name) }
    }

    pub(crate) fn unknown_attribute(name: &str) -> Self {
        Self {
            shape: "com.amazonaws.sqs#InvalidAttributeName",
            code: "InvalidAttributeName",
            message: format!("Unknown Attribute {name}."),
            status: 400,
            sender: true,
        }
    }

    pub(crate) fn invalid_characters() -> Self {
        Self {
            shape: "com.amazonaws.sqs#InvalidMessageContents",
            code: "InvalidMessageContents",
            message: "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | \
                      #xE000 to #xFFFD | #x10000 to #x10FFFF"
                .to_owned(),
            status: 400,
            sender: true,
        }
    }

    pub(crate) fn too_many_entries(count: usize) -> Self {
        Self {
            shape: "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
            code: "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            message: format!("Maximum number of entries per request are 10. You have sent {count}."),
            status: 400,
            sender: true,
        }
    }

    pub(crate) fn invalid_entry_id() -> Self {
        Self {
            shape: "com.amazonaws.sqs#InvalidBatchEntryId",
            code: "AWS.SimpleQueueService.InvalidBatchEntryId",
            message: "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
                      It can be at most 80 letters long."
                .to_owned(),
            status: 400,
            sender: true,
        }
    }

    pub(crate) fn batch_too_long(limit: usize, sent: usize) -> Self {
        Self {
            shape: "com.amazonaws.sqs#BatchRequestTooLong",
            code: "AWS.SimpleQueueService.BatchRequestTooLong",
            message: format!("Batch requests cannot be longer than {limit} bytes. You have sent {sent} bytes."),
            status: 400,
            sender: true,
        }
    }

    pub(crate) fn unknown_action(action: &str) -> Self {
        let shown: String = action.chars().filter(char::is_ascii_graphic).take(80).collect();
        Self {
            shape: "com.amazon.coral.service#UnknownOperationException",
            code: "InvalidAction",
            message: format!("The action {shown} is not valid for this endpoint."),
            status: 400,
            sender: true,
        }
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        Self {
            shape: "com.amazon.coral.service#RequestEntityTooLargeException",
            code: "RequestEntityTooLarge",
            message: format!("The request body is longer than {limit} bytes."),
            status: 413,
            sender: true,
        }
    }

    pub(crate) fn throttled() -> Self {
        Self {
            shape: "com.amazonaws.sqs#RequestThrottled",
            code: "RequestThrottled",
            message: "Request is throttled.".to_owned(),
            status: 403,
            sender: true,
        }
    }

    pub(crate) fn access_denied(action: &str, resource: &str) -> Self {
        Self {
            shape: "com.amazonaws.sqs#AccessDeniedException",
            code: "AccessDenied",
            message: format!("User is not authorized to perform: {action} on resource: {resource}"),
            status: 403,
            sender: true,
        }
    }

    /// A policy does not allow it, in IAM's words.
    pub(crate) fn denied(message: String) -> Self {
        Self { message, ..Self::access_denied("", "") }
    }

    /// A policy does not allow the use of the queue's key.
    pub(crate) fn kms_denied(message: String) -> Self {
        Self {
            shape: "com.amazonaws.sqs#KmsAccessDenied",
            code: "KMS.AccessDeniedException",
            message,
            status: 400,
            sender: true,
        }
    }

    pub(crate) fn expired_token() -> Self {
        Self {
            shape: "com.amazon.coral.service#ExpiredTokenException",
            code: "ExpiredToken",
            message: "The security token included in the request is expired".to_owned(),
            status: 403,
            sender: true,
        }
    }

    pub(crate) fn server(status: u16) -> Self {
        let unavailable = status == 503;
        Self {
            shape: if unavailable {
                "com.amazon.coral.service#ServiceUnavailableException"
            } else {
                "com.amazon.coral.service#InternalFailure"
            },
            code: if unavailable { "ServiceUnavailable" } else { "InternalFailure" },
            message: "We encountered an internal error. Please try again.".to_owned(),
            status,
            sender: false,
        }
    }

    /// The value of `x-amzn-query-error`.
    pub(crate) fn query_error(&self) -> String {
        format!("{};{}", self.code, if self.sender { "Sender" } else { "Receiver" })
    }

    /// The body of the answer.
    pub(crate) fn body(&self) -> Vec<u8> {
        serde_json::json!({"__type": self.shape, "message": self.message}).to_string().into_bytes()
    }
}
