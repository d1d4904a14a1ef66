//! `redrive show`: a saved plan, as text, JSON or Markdown.

use crate::cli::{PlanFormat, ShowArgs};
use crate::error::Result;
use crate::exit::Exit;
use crate::plan::{self, Plan};
use crate::view::output;
use crate::view::text::Style;

pub(super) fn show(args: &ShowArgs) -> Result<Exit> {
    let name = args.plan.display().to_string();
    let plan = plan::parse(&super::read_bytes(&args.plan)?, &name)?;
    show_plan(&plan, args.format, Some(&name))?;
    Ok(Exit::Done)
}

/// Shows a plan; `file` is where it is saved, for the words on how to apply it.
pub(super) fn show_plan(plan: &Plan, format: PlanFormat, file: Option<&str>) -> Result<()> {
    output::out(&match format {
        PlanFormat::Text => crate::view::plan::text(plan, file, Style { colour: output::stdout_colour() }),
        PlanFormat::Json => plan::to_text(plan)?,
        PlanFormat::Markdown => crate::view::plan::markdown(plan, file),
    })
}
