//! What the views know of a run.

use crate::apply::Figures;
use crate::journal::{RunRecord, Trouble};
use crate::plan::{Approver, Plan};

/// Everything a report says.
#[derive(Debug)]
pub struct Report {
    /// The figures.
    pub figures: Figures,
    /// Messages that are in doubt, held, failed or blocked; perhaps not all of them.
    pub troubles: Vec<Trouble>,
    /// The plan that the run carried out.
    pub plan: Plan,
    /// Who had approved it.
    pub approvers: Vec<Approver>,
    /// What the journal says of the run.
    pub record: RunRecord,
}

impl Report {
    /// The code of the outcome; `unfinished` while a session is under way, or after one that was killed.
    pub(super) fn outcome(&self) -> &str {
        self.record.outcome.as_deref().unwrap_or("unfinished")
    }
}
