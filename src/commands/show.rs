//! `redrive show`: a saved plan, as text, JSON, Markdown or HTML.

use super::{approve, read_plan};
use crate::cli::{DetailArgs, PlanFormat, ShowArgs};
use crate::error::Result;
use crate::exit::Exit;
use crate::plan::{self, Approver, Plan};
use crate::view::{compare, output, plan as view};

pub(super) fn show(args: &ShowArgs) -> Result<Exit> {
    let plan = read_plan(&args.plan)?;
    if let Some(older) = &args.diff {
        show_changes(&read_plan(older)?, &plan, args.format)?;
        return Ok(Exit::Done);
    }
    let name = args.plan.display().to_string();
    let found = approve::found(&args.plan, &plan, args.allowed_signers.as_deref())?;
    for why in &found.others {
        output::note(&format!("an approval that does not count: {why}"));
    }
    show_plan(&plan, args.format, Some(&name), &found.approvers, detail(&args.detail))?;
    Ok(Exit::Done)
}

/// What the command line asks to see of a plan.
pub(super) fn detail(args: &DetailArgs) -> view::Detail {
    view::Detail { full: args.full, examples: args.examples.map(usize::from) }
}

/// Shows what changed between two plans.
pub(super) fn show_changes(older: &Plan, plan: &Plan, format: PlanFormat) -> Result<()> {
    let comparison = plan::compare(older, plan);
    output::out(&match format {
        PlanFormat::Text => compare::document(&comparison).text(output::screen()),
        PlanFormat::Json => compare::json(&comparison),
        PlanFormat::Markdown => compare::document(&comparison).markdown(),
        PlanFormat::Html => compare::document(&comparison).html(),
    })
}

/// Shows a plan; `file` is where it is saved, for the words on how to apply it. The JSON is the plan alone, as it was saved.
pub(super) fn show_plan(
    plan: &Plan,
    format: PlanFormat,
    file: Option<&str>,
    approvers: &[Approver],
    detail: view::Detail,
) -> Result<()> {
    let document = || view::document(plan, file, approvers, detail);
    output::out(&match format {
        PlanFormat::Text => document().text(output::screen()),
        PlanFormat::Json => view::json(plan)?,
        PlanFormat::Markdown => document().markdown(),
        PlanFormat::Html => document().html(),
    })
}
