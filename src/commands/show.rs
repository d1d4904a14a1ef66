//! `redrive show`: a saved plan, as text, JSON or Markdown.

use crate::cli::{PlanFormat, ShowArgs};
use crate::error::Result;
use crate::exit::Exit;
use crate::plan::{self, Plan};
use crate::view::output;

pub(super) fn show(args: &ShowArgs) -> Result<Exit> {
    let plan = plan::read(&args.plan)?;
    print(&plan, args.format, Some(&args.plan.display().to_string()))?;
    Ok(Exit::Done)
}

/// Prints a plan; `file` is where it is saved, for the words on how to apply it.
pub(super) fn print(plan: &Plan, format: PlanFormat, file: Option<&str>) -> Result<()> {
    output::out(&match format {
        PlanFormat::Text => crate::view::plan::text(plan, file, output::stdout_colour()),
        PlanFormat::Json => plan::to_text(plan)?,
        PlanFormat::Markdown => crate::view::plan::markdown(plan),
    })
}
