//! `redrive show`: a saved plan, as text, JSON or Markdown.

use super::approve;
use crate::cli::{PlanFormat, ShowArgs};
use crate::error::Result;
use crate::exit::Exit;
use crate::plan::{self, Approver, Plan};
use crate::view::output;
use crate::view::text::Style;

pub(super) fn show(args: &ShowArgs) -> Result<Exit> {
    let name = args.plan.display().to_string();
    let plan = plan::parse(&super::read_bytes(&args.plan)?, &name)?;
    let found = approve::found(&args.plan, &plan, args.allowed_signers.as_deref())?;
    for why in &found.others {
        output::note(&format!("an approval that does not count: {why}"));
    }
    show_plan(&plan, args.format, Some(&name), &found.approvers)?;
    Ok(Exit::Done)
}

/// Shows a plan; `file` is where it is saved, for the words on how to apply it. The JSON is the plan alone, as it was saved.
pub(super) fn show_plan(plan: &Plan, format: PlanFormat, file: Option<&str>, approvers: &[Approver]) -> Result<()> {
    output::out(&match format {
        PlanFormat::Text => crate::view::plan::text(plan, file, approvers, Style { colour: output::stdout_colour() }),
        PlanFormat::Json => plan::to_text(plan)?,
        PlanFormat::Markdown => crate::view::plan::markdown(plan, file, approvers),
    })
}
