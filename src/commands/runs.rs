//! `redrive runs`, `status` and `report`: what the journal says. They read only, while another process may write.

use std::path::Path;

use crate::apply::{Figures, Totals};
use crate::cli::{Format, ReportArgs, ReportFormat, RunArgs, RunsArgs};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::journal::{Reader, RunRecord};
use crate::plan::{self, Approver, Plan};
use crate::view::output;
use crate::view::report::{self, Report};
use crate::view::runs as view;

/// Messages in trouble that a report lists; its figures say how many there are.
const MOST_TROUBLES: usize = 1000;

pub(super) fn runs(args: &RunsArgs, journal: &Path) -> Result<Exit> {
    let mut runs = Vec::new();
    if let Some(reader) = Reader::open(journal)? {
        for record in reader.runs()? {
            runs.push(load(&reader, record, 0)?);
        }
    }
    output::out(&match args.format {
        Format::Text => view::list(&runs).text(output::screen()),
        Format::Json => view::json(&runs),
    })?;
    Ok(Exit::Done)
}

pub(super) fn status(args: &RunArgs, journal: &Path) -> Result<Exit> {
    let (reader, record) = find(args.run.as_deref(), journal)?;
    let run = load(&reader, record, MOST_TROUBLES)?;
    output::out(&match args.format {
        Format::Text => view::status(&run).text(output::screen()),
        Format::Json => view::status_json(&run),
    })?;
    Ok(Exit::Done)
}

pub(super) fn report(args: &ReportArgs, journal: &Path) -> Result<Exit> {
    let (reader, record) = find(args.run.as_deref(), journal)?;
    let run = load(&reader, record, MOST_TROUBLES)?;
    output::out(&match args.format {
        ReportFormat::Text => report::document(&run).text(output::screen()),
        ReportFormat::Json => report::json(&run),
        ReportFormat::Markdown => report::document(&run).markdown(),
        ReportFormat::Html => report::document(&run).html(),
    })?;
    Ok(Exit::Done)
}

/// The run whose identity begins so; the newest where nothing is said.
pub(super) fn find(name: Option<&str>, journal: &Path) -> Result<(Reader, RunRecord)> {
    let none = || {
        Error::usage(format!("there are no runs in the journal {}", journal.display()))
            .hint("`redrive apply` makes one; --journal names another journal")
    };
    let reader = Reader::open(journal)?.ok_or_else(none)?;
    let mut found = reader.runs_like(name.unwrap_or_default())?;
    let exact = name.and_then(|name| found.iter().position(|record| record.name == name));
    match (found.len(), name) {
        (0, Some(name)) => {
            Err(Error::usage(format!("no run in the journal {} begins with {name:?}", journal.display()))
                .hint("`redrive runs` lists them"))
        }
        (0, None) => Err(none()),
        (2.., Some(name)) if exact.is_none() => {
            let names: Vec<&str> = found.iter().map(|record| record.name.as_str()).collect();
            Err(Error::usage(format!("several runs begin with {name:?}: {}", names.join(", ")))
                .hint("give more of its identity"))
        }
        // The newest is the first.
        _ => {
            let record = found.swap_remove(exact.unwrap_or(0));
            Ok((reader, record))
        }
    }
}

/// A run with its figures and the messages in trouble.
pub(super) fn load(reader: &Reader, record: RunRecord, most_troubles: usize) -> Result<Report> {
    let plan: Plan = plan::parse_kept(record.plan.as_bytes(), &format!("the plan of run {}", record.name))?;
    let totals = Totals { requests: record.requests, elapsed_ms: record.elapsed_ms, ..Totals::default() };
    let figures = Figures::new(&plan, &reader.tally(&record.name)?, totals);
    let troubles = if most_troubles > 0 { reader.troubles(&record.name, most_troubles)? } else { Vec::new() };
    let approvers = approvers(&record)?;
    Ok(Report { figures, troubles, plan, approvers, record })
}

/// Who had approved the plan of a run when it was last begun.
pub(super) fn approvers(record: &RunRecord) -> Result<Vec<Approver>> {
    serde_json::from_str(&record.approvals).map_err(|error| {
        Error::failed(format!("the approvals of run {} in the journal cannot be read: {error}", record.name))
    })
}
