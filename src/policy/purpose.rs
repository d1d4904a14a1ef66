//! The one list of what this program asks of AWS and why. Policies, the hints of errors and the how-to on permissions go by it.

/// Each request that this program makes, by its service's name, with the IAM action that allows it. IAM has no actions for batches.
pub const CALLS: [(&str, &str); 15] = [
    ("AssumeRole", "sts:AssumeRole"),
    ("ChangeMessageVisibility", "sqs:ChangeMessageVisibility"),
    ("ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility"),
    ("DeleteMessageBatch", "sqs:DeleteMessage"),
    ("GetBucketEncryption", "s3:GetEncryptionConfiguration"),
    ("GetObject", "s3:GetObject"),
    ("GetQueueAttributes", "sqs:GetQueueAttributes"),
    ("GetQueueUrl", "sqs:GetQueueUrl"),
    ("HeadBucket", "s3:ListBucket"),
    ("ListDeadLetterSourceQueues", "sqs:ListDeadLetterSourceQueues"),
    ("ListMessageMoveTasks", "sqs:ListMessageMoveTasks"),
    ("ListQueues", "sqs:ListQueues"),
    ("PutObject", "s3:PutObject"),
    ("ReceiveMessage", "sqs:ReceiveMessage"),
    ("SendMessageBatch", "sqs:SendMessage"),
];

/// The IAM action that a request needs.
pub fn action_of(call: &str) -> Option<&'static str> {
    CALLS.iter().find(|(name, _)| *name == call).map(|(_, action)| *action)
}

/// What a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `redrive plan`.
    Plan,
    /// `redrive apply` of a saved plan.
    Apply,
}

/// What actions are allowed for: one statement of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// From a queue's name to its URL.
    FindQueues,
    /// What the queues are.
    ReadQueueAttributes,
    /// Which queues redrive to the source.
    FindOriginQueues,
    /// Whether AWS's own redrive is at work on the source.
    SeeMoveTasks,
    /// Receiving, extending and giving back.
    ReceiveMessages,
    /// Deleting what is elsewhere.
    DeleteMessages,
    /// Looking at what came back.
    WatchDeadLetters,
    /// Sending to queues.
    SendMessages,
    /// Whether the buckets are there.
    FindBuckets,
    /// Writing archived messages.
    ArchiveMessages,
    /// Comparing an archived message with what is there already.
    CompareArchivedMessages,
    /// Reading bodies that the Extended Client keeps in S3.
    ReadBodiesInS3,
    /// Writing such bodies when they were changed.
    WriteBodiesInS3,
    /// Receiving from encrypted queues.
    DecryptMessages,
    /// Sending to encrypted queues.
    EncryptMessages,
    /// Becoming the roles that the job names.
    AssumeRoles,
}

impl Purpose {
    /// All of them, in the order in which a policy has them.
    pub const ALL: [Self; 16] = [
        Self::FindQueues,
        Self::ReadQueueAttributes,
        Self::FindOriginQueues,
        Self::SeeMoveTasks,
        Self::ReceiveMessages,
        Self::DeleteMessages,
        Self::WatchDeadLetters,
        Self::SendMessages,
        Self::FindBuckets,
        Self::ArchiveMessages,
        Self::CompareArchivedMessages,
        Self::ReadBodiesInS3,
        Self::WriteBodiesInS3,
        Self::DecryptMessages,
        Self::EncryptMessages,
        Self::AssumeRoles,
    ];

    /// The statement's `Sid`.
    pub fn sid(self) -> &'static str {
        match self {
            Self::FindQueues => "FindQueues",
            Self::ReadQueueAttributes => "ReadQueueAttributes",
            Self::FindOriginQueues => "FindOriginQueues",
            Self::SeeMoveTasks => "SeeMoveTasks",
            Self::ReceiveMessages => "ReceiveMessages",
            Self::DeleteMessages => "DeleteMessages",
            Self::WatchDeadLetters => "WatchDeadLetters",
            Self::SendMessages => "SendMessages",
            Self::FindBuckets => "FindBuckets",
            Self::ArchiveMessages => "ArchiveMessages",
            Self::CompareArchivedMessages => "CompareArchivedMessages",
            Self::ReadBodiesInS3 => "ReadBodiesInS3",
            Self::WriteBodiesInS3 => "WriteBodiesInS3",
            Self::DecryptMessages => "DecryptMessages",
            Self::EncryptMessages => "EncryptMessages",
            Self::AssumeRoles => "AssumeRoles",
        }
    }

    /// What is allowed.
    pub fn actions(self) -> &'static [&'static str] {
        match self {
            Self::FindQueues => &["sqs:GetQueueUrl"],
            Self::ReadQueueAttributes => &["sqs:GetQueueAttributes"],
            Self::FindOriginQueues => &["sqs:ListDeadLetterSourceQueues"],
            Self::SeeMoveTasks => &["sqs:ListMessageMoveTasks"],
            Self::ReceiveMessages => &["sqs:ChangeMessageVisibility", "sqs:ReceiveMessage"],
            Self::DeleteMessages => &["sqs:DeleteMessage"],
            Self::WatchDeadLetters => {
                &["sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"]
            }
            Self::SendMessages => &["sqs:SendMessage"],
            Self::FindBuckets => &["s3:ListBucket"],
            Self::ArchiveMessages | Self::WriteBodiesInS3 => &["s3:PutObject"],
            Self::CompareArchivedMessages | Self::ReadBodiesInS3 => &["s3:GetObject"],
            Self::DecryptMessages => &["kms:Decrypt"],
            Self::EncryptMessages => &["kms:Decrypt", "kms:GenerateDataKey"],
            Self::AssumeRoles => &["sts:AssumeRole"],
        }
    }

    /// On what.
    pub fn place(self) -> &'static str {
        match self {
            Self::FindQueues => "queues that the job names by name or ARN, origin queues",
            Self::ReadQueueAttributes => "all queues",
            Self::FindOriginQueues => "the source, if a rule sends to `origin`",
            Self::SeeMoveTasks => "the source",
            Self::ReceiveMessages | Self::DeleteMessages => "the source, the parking queue",
            Self::WatchDeadLetters => {
                "dead-letter queues of the destinations, if `[guard]` has `canary` or `max_bounced`"
            }
            Self::SendMessages => "destination, origin and parking queues; the source, if there is a parking queue",
            Self::FindBuckets => "buckets of archives and of bodies in S3",
            Self::ArchiveMessages | Self::CompareArchivedMessages => "objects under the archive's key prefix",
            Self::ReadBodiesInS3 => "objects that the Extended Client wrote, if `extended_client = true`",
            Self::WriteBodiesInS3 => "the same buckets, if a transform changes bodies",
            Self::DecryptMessages => {
                "KMS keys of the queues that messages are received from, and of buckets with bodies in S3"
            }
            Self::EncryptMessages => "KMS keys of the queues and buckets that messages and bodies are sent to",
            Self::AssumeRoles => "each `role_arn` of the job",
        }
    }

    /// Why it is needed.
    pub fn reason(self) -> &'static str {
        match self {
            Self::FindQueues => "to find a queue by its name; a queue named by URL needs none",
            Self::ReadQueueAttributes => "to compare each queue with the plan, and to know when the source is empty",
            Self::FindOriginQueues => {
                "to find the queues that messages go back to; without it the plan knows only those of its sample, and says so"
            }
            Self::SeeMoveTasks => {
                "to see whether AWS's own redrive is taking messages from the source, too; without it the run goes on, and says so"
            }
            Self::ReceiveMessages => {
                "to look at messages, to hold them while they are moved, and to give back what stays"
            }
            Self::DeleteMessages => "to delete what is confirmed elsewhere, or dropped",
            Self::WatchDeadLetters => "to see which messages came back; each is given back at once",
            Self::SendMessages => "to send messages",
            Self::FindBuckets => "to check that the bucket exists, and to tell a missing object from a forbidden one",
            Self::ArchiveMessages => "to write one object a message, only if there is none yet",
            Self::CompareArchivedMessages => {
                "to check, if the key is taken already, that the object is this message's own"
            }
            Self::ReadBodiesInS3 => "to read the bodies that rules look at",
            Self::WriteBodiesInS3 => "to write a changed body as a new object beside the old one",
            Self::DecryptMessages => "to receive from an encrypted queue, and to read from an encrypted bucket",
            Self::EncryptMessages => "to send to an encrypted queue or bucket",
            Self::AssumeRoles => "to become the role that the job names; the role's trust policy has to allow it too",
        }
    }

    /// Whether a command needs it at all.
    pub fn is_for(self, phase: Phase) -> bool {
        match self {
            Self::FindOriginQueues => phase == Phase::Plan,
            Self::DeleteMessages
            | Self::WatchDeadLetters
            | Self::SendMessages
            | Self::ArchiveMessages
            | Self::CompareArchivedMessages
            | Self::WriteBodiesInS3
            | Self::EncryptMessages => phase == Phase::Apply,
            _ => true,
        }
    }
}
