//! The plan that an apply carries out: that of a file, that of an unfinished run, or one that is made now, shown, and asked about.

use std::io::{BufRead, IsTerminal};
use std::path::Path;

use tokio::sync::oneshot;

use super::followers::Named;
use super::kind::{self, FileKind};
use super::{job, plan as planning, read_bytes, runs, show, text_of, wiring};
use crate::apply::Stop;
use crate::cli::{ApplyArgs, Format, PlanFormat};
use crate::error::{Error, Result};
use crate::journal::{Location, Reader};
use crate::plan::{self, Plan};
use crate::view::output;
use crate::view::plan::headline;

/// The plan in a file, or that of a job. `None` where somebody was asked, and did not approve it.
pub(super) async fn plan_of(
    args: &ApplyArgs,
    file: &Path,
    reach: &wiring::Reach,
    journal: &Location,
    stop: &Stop,
) -> Result<Option<Plan>> {
    // Once: what is read may be a pipe.
    let bytes = read_bytes(file)?;
    if is_plan(file, &bytes)? {
        return Ok(Some(plan::parse(&bytes, &file.display().to_string())?));
    }
    plan_job(args, &file.display().to_string(), &text_of(file, bytes)?, reach, journal, stop).await
}

/// Whether it is a plan and not a job. A file that looks like neither is taken for what its name says.
fn is_plan(file: &Path, bytes: &[u8]) -> Result<bool> {
    match kind::of(bytes) {
        Some(FileKind::Plan) => Ok(true),
        Some(FileKind::Job) => Ok(false),
        Some(other) => Err(other.misplaced(FileKind::Plan, file)),
        None => Ok(match file.extension().and_then(|extension| extension.to_str()) {
            Some("json") => true,
            Some("toml") => false,
            // A job is TOML, which never begins with a brace.
            _ => bytes.trim_ascii_start().starts_with(b"{"),
        }),
    }
}

/// The plan of a job: that of its unfinished run, or a new one that was approved. `None` where it was not.
async fn plan_job(
    args: &ApplyArgs,
    file: &str,
    text: &str,
    reach: &wiring::Reach,
    journal: &Location,
    stop: &Stop,
) -> Result<Option<Plan>> {
    let compiled = job::compile_or_show(file, text)?;
    if let Some(plan) = unfinished(journal, text)? {
        output::note(&format!("run {} of this job is unfinished and is continued", plan.id()));
        return Ok(Some(plan));
    }
    if args.require_approvals > 0 {
        return Err(Error::plan_refused(
            "a plan that is made only now has no approvals, and --require-approvals asks for some",
        )
        .hint(
            "nothing was touched; save a plan with `redrive plan JOB --out FILE`, have that approved, and apply it",
        ));
    }
    let can_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !args.auto_approve && !can_ask {
        return Err(Error::usage("there is no terminal to ask for approval").hint(
            "nothing was touched; save a plan with `redrive plan JOB --out FILE` and apply that, or use --auto-approve",
        ));
    }
    // What can be known is refused before the sample.
    Named::of(args, &compiled.job, reach, true)?;
    let sample = (&args.sample, &args.detail);
    let plan = planning::make(&reach.aws, &compiled, file, text, None, sample, journal, stop).await?;
    if args.format == Format::Text {
        show::show_plan(&plan, PlanFormat::Text, None, &[], show::detail(&args.detail))?;
    }
    if plan.refusals.is_empty() {
        plan::require_bounds(&plan, compiled.job.limits.max_messages, args.allow_drift, file)?;
    }
    if args.auto_approve || !plan.refusals.is_empty() || ask(&plan, stop).await? {
        return Ok(Some(plan));
    }
    output::note("not applied: nothing was moved");
    Ok(None)
}

fn unfinished(journal: &Location, text: &str) -> Result<Option<Plan>> {
    let Some(reader) = Reader::open(journal)? else { return Ok(None) };
    let sha256 = plan::sha256(text.as_bytes());
    let run = reader.runs()?.into_iter().find(|run| run.ended.is_none() && run.job_sha256 == sha256);
    run.as_ref().map(runs::plan).transpose()
}

async fn ask(plan: &Plan, stop: &Stop) -> Result<bool> {
    output::prompt(&format!("\n{}\nApply this plan? Only 'yes' is taken as approval: ", headline(plan)));
    let (tell, told) = oneshot::channel();
    // A thread of its own, which nobody waits for: a read from a terminal cannot be broken off.
    std::thread::spawn(move || {
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        let _ = tell.send(read.map(|_| answer));
    });
    let answer = tokio::select! {
        answer = told => answer.unwrap_or_else(|_| Err(std::io::ErrorKind::UnexpectedEof.into())),
        () = stop.asked() => return Ok(false),
    };
    let answer =
        answer.map_err(|error| Error::failed(format!("the answer cannot be read from the terminal: {error}")))?;
    Ok(answer.trim() == "yes")
}
