//! `redrive runs`, `status` and `report`: what the journal says. They read only, while another process may write.

use std::path::Path;

use super::print;
use crate::cli::{Format, ReportArgs, ReportFormat, RunArgs, RunsArgs};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::journal::{Reader, RunRecord};
use crate::view::report::{self, Report};
use crate::view::runs::{self as view, Run};

/// Messages in trouble that a report lists; it says how many there are beyond.
const MOST_TROUBLES: usize = 1000;

pub(super) fn runs(args: &RunsArgs, journal: &Path) -> Result<Exit> {
    let mut runs = Vec::new();
    if let Some(reader) = Reader::open(journal)? {
        for record in reader.runs()? {
            runs.push(load(&reader, &record)?);
        }
    }
    print::out(&match args.format {
        Format::Text => view::list_text(&runs),
        Format::Json => view::list_json(&runs),
    })?;
    Ok(Exit::Done)
}

pub(super) fn status(args: &RunArgs, journal: &Path) -> Result<Exit> {
    let (_, run) = find(args.run.as_deref(), journal)?;
    print::out(&match args.format {
        Format::Text => view::status_text(&run, resume(&run).as_deref()),
        Format::Json => view::status_json(&run),
    })?;
    Ok(Exit::Done)
}

pub(super) fn report(args: &ReportArgs, journal: &Path) -> Result<Exit> {
    let (reader, run) = find(args.run.as_deref(), journal)?;
    let (troubles, troubles_total) = reader.troubles(&run.figures.run, MOST_TROUBLES)?;
    let report = Report {
        resume: resume(&run),
        figures: run.figures,
        outcome: run.outcome,
        started: run.started,
        ended: run.ended,
        plan: &run.plan,
        description: run.description,
        troubles,
        troubles_total,
    };
    print::out(&match args.format {
        ReportFormat::Text => report::text(&report),
        ReportFormat::Json => report::json(&report),
        ReportFormat::Markdown => report::markdown(&report),
        ReportFormat::Html => report::html(&report),
    })?;
    Ok(Exit::Done)
}

/// The command that goes on with an unfinished run.
fn resume(run: &Run) -> Option<String> {
    run.ended.is_none().then(|| format!("redrive apply {}", run.plan.job.file))
}

/// The run whose identity begins so; the newest where nothing is said.
fn find(name: Option<&str>, journal: &Path) -> Result<(Reader, Run)> {
    let none = || {
        Error::usage(format!("there are no runs in the journal {}", journal.display()))
            .hint("`redrive apply` makes one; --journal names another journal")
    };
    let reader = Reader::open(journal)?.ok_or_else(none)?;
    let found = reader.runs_like(name.unwrap_or_default())?;
    let record = match (&found[..], name) {
        ([], Some(name)) => {
            return Err(Error::usage(format!("no run in the journal {} begins with {name:?}", journal.display()))
                .hint("`redrive runs` lists them"));
        }
        ([], None) => return Err(none()),
        ([_, _, ..], Some(name)) if found.iter().all(|record| record.name != name) => {
            let names: Vec<&str> = found.iter().map(|record| record.name.as_str()).collect();
            return Err(Error::usage(format!("several runs begin with {name:?}: {}", names.join(", "))));
        }
        ([record, ..], _) => record,
    };
    let run = load(&reader, record)?;
    Ok((reader, run))
}

/// A run with its figures.
pub(super) fn load(reader: &Reader, record: &RunRecord) -> Result<Run> {
    Run::new(record, &reader.tally(&record.name)?)
}
