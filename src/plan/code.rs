//! What a hazard is about, and how much attention it needs: a closed list, so that one without a severity does not compile.
//! No imports of this crate.

use serde::{Deserialize, Serialize};

/// How much attention a hazard needs, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Messages can be lost, doubled or sent where they should not go, or the plan cannot know what it says.
    Danger,
    /// Something may not be as the job means it.
    Caution,
    /// True of nearly every such plan, and good to know.
    Note,
}

impl Severity {
    /// One word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Danger => "danger",
            Self::Caution => "caution",
            Self::Note => "note",
        }
    }
}

/// What a hazard is about; a stable code in the plan file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each stands beside its severity below and has its words where it is found")]
pub enum HazardCode {
    AgesSeen,
    AwsCould,
    CommandMissing,
    ConsumerActive,
    CountsApproximate,
    DeduplicationReused,
    Delayed,
    DestinationIsSource,
    Dropped,
    EncryptionDiffers,
    Expiring,
    ExtendedClient,
    FifoSample,
    FifoToStandard,
    FileOutside,
    GroupMissing,
    GroupsStop,
    Guarded,
    IdleRule,
    InDoubtResend,
    LambdaEnvelope,
    LambdaError,
    LoopCapped,
    LoopUncapped,
    ManyMayStay,
    MoveTaskAtWork,
    MoveTaskUnseen,
    NearSizeLimit,
    NewerExcluded,
    NotCounted,
    NotJson,
    NotGivenBack,
    NothingComesBack,
    NothingSampled,
    OriginMissing,
    OriginUnreachable,
    OriginsNotListed,
    Parked,
    ParkingExpires,
    ParkingIsDestination,
    ParkingNotEmpty,
    ParkingRedrives,
    ReachedByJob,
    RunsCommand,
    SampleCut,
    SampleUneven,
    Notifies,
    SamplingEffect,
    SamplingMovesMessages,
    SentAnew,
    SeveralOrigins,
    SnsEnvelope,
    SourceRedrives,
    StandardToFifo,
    TooManyStay,
    TraceHeader,
}

impl HazardCode {
    /// The code as the plan file has it.
    pub fn as_str(self) -> &'static str {
        self.name_and_severity().0
    }

    /// How much attention it needs.
    pub fn severity(self) -> Severity {
        self.name_and_severity().1
    }

    fn name_and_severity(self) -> (&'static str, Severity) {
        match self {
            Self::DeduplicationReused => ("deduplication_reused", Severity::Danger),
            Self::DestinationIsSource => ("destination_is_source", Severity::Danger),
            Self::Dropped => ("dropped", Severity::Danger),
            Self::Expiring => ("expiring", Severity::Danger),
            Self::GroupMissing => ("group_missing", Severity::Danger),
            Self::LoopUncapped => ("loop_uncapped", Severity::Danger),
            Self::MoveTaskAtWork => ("move_task_at_work", Severity::Danger),
            Self::NotCounted => ("not_counted", Severity::Danger),
            Self::NothingSampled => ("nothing_sampled", Severity::Danger),
            Self::ParkingExpires => ("parking_expires", Severity::Danger),
            Self::ParkingIsDestination => ("parking_is_destination", Severity::Danger),
            Self::ParkingNotEmpty => ("parking_not_empty", Severity::Danger),
            Self::ParkingRedrives => ("parking_redrives", Severity::Danger),
            Self::SampleUneven => ("sample_uneven", Severity::Danger),
            Self::SamplingMovesMessages => ("sampling_moves_messages", Severity::Danger),
            Self::SourceRedrives => ("source_redrives", Severity::Danger),
            Self::TooManyStay => ("too_many_stay", Severity::Danger),
            Self::CommandMissing => ("command_missing", Severity::Caution),
            Self::ConsumerActive => ("consumer_active", Severity::Caution),
            Self::EncryptionDiffers => ("encryption_differs", Severity::Caution),
            Self::ExtendedClient => ("extended_client", Severity::Caution),
            Self::FifoSample => ("fifo_sample", Severity::Caution),
            Self::FifoToStandard => ("fifo_to_standard", Severity::Caution),
            Self::FileOutside => ("file_outside", Severity::Caution),
            Self::GroupsStop => ("groups_stop", Severity::Caution),
            Self::IdleRule => ("idle_rule", Severity::Caution),
            Self::LambdaEnvelope => ("lambda_envelope", Severity::Caution),
            Self::LoopCapped => ("loop_capped", Severity::Caution),
            Self::ManyMayStay => ("many_may_stay", Severity::Caution),
            Self::MoveTaskUnseen => ("move_task_unseen", Severity::Caution),
            Self::NearSizeLimit => ("near_size_limit", Severity::Caution),
            Self::NotGivenBack => ("not_given_back", Severity::Caution),
            Self::NothingComesBack => ("nothing_comes_back", Severity::Caution),
            Self::OriginMissing => ("origin_missing", Severity::Caution),
            Self::OriginUnreachable => ("origin_unreachable", Severity::Caution),
            Self::OriginsNotListed => ("origins_not_listed", Severity::Caution),
            Self::Parked => ("parked", Severity::Caution),
            Self::ReachedByJob => ("reached_by_job", Severity::Caution),
            Self::RunsCommand => ("runs_command", Severity::Caution),
            Self::SampleCut => ("sample_cut", Severity::Caution),
            Self::SeveralOrigins => ("several_origins", Severity::Caution),
            Self::StandardToFifo => ("standard_to_fifo", Severity::Caution),
            Self::AgesSeen => ("ages_seen", Severity::Note),
            Self::AwsCould => ("aws_could", Severity::Note),
            Self::CountsApproximate => ("counts_approximate", Severity::Note),
            Self::Delayed => ("delayed", Severity::Note),
            Self::Guarded => ("guarded", Severity::Note),
            Self::InDoubtResend => ("in_doubt_resend", Severity::Note),
            Self::LambdaError => ("lambda_error", Severity::Note),
            Self::NewerExcluded => ("newer_excluded", Severity::Note),
            Self::NotJson => ("not_json", Severity::Note),
            Self::Notifies => ("notifies", Severity::Note),
            Self::SamplingEffect => ("sampling_effect", Severity::Note),
            Self::SentAnew => ("sent_anew", Severity::Note),
            Self::SnsEnvelope => ("sns_envelope", Severity::Note),
            Self::TraceHeader => ("trace_header", Severity::Note),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_shown_as_the_plan_file_has_it() {
        let all = [HazardCode::SampleUneven, HazardCode::FifoToStandard, HazardCode::OriginsNotListed];
        for code in all {
            assert_eq!(serde_json::to_value(code).expect("a string"), code.as_str());
        }
    }

    #[test]
    fn a_sample_that_does_not_speak_for_the_queue_is_a_danger() {
        assert_eq!(HazardCode::SampleUneven.severity(), Severity::Danger);
        assert_eq!(HazardCode::LoopCapped.severity(), Severity::Caution);
        assert_eq!(HazardCode::SentAnew.severity(), Severity::Note);
    }
}
