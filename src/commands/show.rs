//! `redrive show`: a saved plan, as text, JSON or Markdown.

use super::print;
use crate::cli::{PlanFormat, ShowArgs};
use crate::error::Result;
use crate::exit::Exit;
use crate::plan::{self, Plan};

pub(super) fn show(args: &ShowArgs) -> Result<Exit> {
    let plan = plan::read(&args.plan)?;
    show_plan(&plan, args.format, Some(&args.plan.display().to_string()))?;
    Ok(Exit::Done)
}

/// Shows a plan; `file` is where it is saved, for the words on how to apply it.
pub(super) fn show_plan(plan: &Plan, format: PlanFormat, file: Option<&str>) -> Result<()> {
    print::out(&match format {
        PlanFormat::Text => crate::view::plan::text(plan, file, print::stdout_style()),
        PlanFormat::Json => plan::to_text(plan)?,
        PlanFormat::Markdown => crate::view::plan::markdown(plan),
    })
}
