//! What the views know of a run.

use super::troubles::Troubles;
use crate::apply::Figures;
use crate::journal::{CameBack, GuardEvent, RunRecord, Timeline};
use crate::plan::{Approver, Plan};

/// Everything a report says.
#[derive(Debug)]
pub struct Report {
    /// The figures.
    pub figures: Figures,
    /// How the run went over time.
    pub timeline: Timeline,
    /// Messages that are in doubt, held, failed or blocked.
    pub troubles: Troubles,
    /// The plan that the run carried out.
    pub plan: Plan,
    /// Who had approved it.
    pub approvers: Vec<Approver>,
    /// The words of the command that goes on with it.
    pub command: Vec<String>,
    /// What guards and people did to it, in order.
    pub guards: Vec<GuardEvent>,
    /// What came back of the messages that it sent, by rule.
    pub came_back: Vec<CameBack>,
    /// What the journal says of the run.
    pub record: RunRecord,
}

impl Report {
    /// The code of the outcome; `running` while a session is under way, `unfinished` after one that was killed.
    pub(super) fn outcome(&self) -> &str {
        let is_running = self.record.process.as_ref().is_some_and(|process| process.is_alive);
        self.record.outcome.as_deref().unwrap_or(if is_running { "running" } else { "unfinished" })
    }
}
