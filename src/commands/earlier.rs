//! What the journal knows of a plan that is applied: whether its run was begun, by whom it was approved then, whether it is over.

use super::approve;
use crate::cli::ApplyArgs;
use crate::error::{Error, Result};
use crate::journal::{Location, Reader};
use crate::plan::{self, Approver, Plan};

/// What the journal knows of a plan's run.
#[derive(Debug)]
pub(super) enum Earlier {
    None,
    /// With those who had approved it by then. One that was given up has messages parked, which are to be brought back.
    Begun {
        approvers: Vec<Approver>,
        given_up: bool,
    },
    Finished,
}

/// Looks it up. Fails on a run that was given up and is over.
pub(super) fn earlier(journal: &Location, plan: &Plan) -> Result<Earlier> {
    let runs = Reader::open(journal)?.map(|reader| reader.runs_like(plan.id())).transpose()?.unwrap_or_default();
    Ok(match runs.iter().find(|run| run.name == plan.id()) {
        None => Earlier::None,
        Some(run) if run.given_up.is_some() && run.ended.is_some() => {
            return Err(Error::plan_refused(format!("run {} was given up, and its plan with it", run.name))
                .hint("nothing was touched; make a new plan. What the run sent is known and is not sent again"));
        }
        Some(run) if run.ended.is_some() => Earlier::Finished,
        Some(run) => Earlier::Begun { approvers: super::runs::approvers(run)?, given_up: run.given_up.is_some() },
    })
}

/// Who approved the plan: by the files beside it, and by what the journal noted when the run was begun, for the plan of a run
/// that goes on may no longer be at hand. Fails where they are fewer than asked for.
pub(super) fn approvers(args: &ApplyArgs, plan: &Plan, earlier: &Earlier) -> Result<Vec<Approver>> {
    let beside = |file| approve::found(file, plan, args.allowed_signers.as_deref());
    let approve::Found { mut approvers, others } = args.file.as_deref().map(beside).transpose()?.unwrap_or_default();
    if let Earlier::Begun { approvers: noted, .. } = earlier {
        // What was not verified then does not become so by having been noted.
        let counts = |noted: &&Approver| args.allowed_signers.is_none() || noted.key.is_some();
        let is_new = |noted: &&Approver| approvers.iter().all(|found| found.by != noted.by);
        let more: Vec<Approver> = noted.iter().filter(counts).filter(is_new).cloned().collect();
        approvers.extend(more);
    }
    plan::require_approvals(plan, &approvers, args.require_approvals, &others)?;
    Ok(approvers)
}
