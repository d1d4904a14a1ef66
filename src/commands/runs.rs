//! `redrive runs`, `status` and `report`: what the journal says. They read only, while another process may write.

use std::time::Duration;

use crate::apply::Figures;
use crate::cli::{Format, ReportArgs, ReportFormat, RunArgs, RunsArgs};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::journal::{Location, Reader, RunRecord, Trouble};
use crate::plan::{self, Approver, Plan};
use crate::view::output;
use crate::view::report::{self, Listing, Report, Troubles};
use crate::view::runs as view;

pub(super) fn runs(args: &RunsArgs, journal: &Location) -> Result<Exit> {
    let mut runs = Vec::new();
    if let Some(reader) = Reader::open(journal)? {
        for record in reader.runs()? {
            runs.push(load(&reader, record)?);
        }
    }
    output::out(&match args.format {
        Format::Text => view::list(&runs).text(output::screen()),
        Format::Json => view::json(&runs),
    })?;
    Ok(Exit::Done)
}

pub(super) async fn status(args: &RunArgs, journal: &Location) -> Result<Exit> {
    let mut name = args.run.clone();
    let mut shown = String::new();
    loop {
        let (reader, record) = find(name.as_deref(), journal)?;
        name = Some(record.name.clone());
        let is_at_work = record.process.as_ref().is_some_and(|process| process.is_alive);
        let mut run = load(&reader, record)?;
        if args.format == Format::Text && run.figures.in_doubt > 0 {
            run.troubles = gather(report::FEW, &run.plan, |each| {
                reader.troubles(&run.record.name, |trouble| if trouble.doubts > 0 { each(trouble) } else { Ok(()) })
            })?;
        }
        let text = match args.format {
            Format::Text => view::status(&run).text(output::screen()),
            Format::Json => view::status_json(&run),
        };
        if text != shown {
            if args.watch && args.format == Format::Text {
                output::clear_screen()?;
            }
            output::out(&text)?;
            shown = text;
        }
        if !args.watch || !is_at_work {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(STATUS_EVERY).await;
    }
}

pub(super) fn report(args: &ReportArgs, journal: &Location) -> Result<Exit> {
    let (reader, record) = find(args.run.as_deref(), journal)?;
    let mut run = load(&reader, record)?;
    let name = run.record.name.clone();
    if args.format == ReportFormat::Json {
        list(report::json(&run), |each| reader.troubles(&name, each))?;
        return Ok(Exit::Done);
    }
    run.troubles = gather(report::MANY, &run.plan, |each| reader.troubles(&name, each))?;
    output::out(&match args.format {
        ReportFormat::Html => report::document(&run).html(),
        ReportFormat::Markdown => report::document(&run).markdown(),
        ReportFormat::Text | ReportFormat::Json => report::document(&run).text(output::screen()),
    })?;
    Ok(Exit::Done)
}

/// How often the status of a run is looked at that is watched.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Takes messages as a journal gives them.
type Each<'a> = &'a mut dyn FnMut(Trouble) -> Result<()>;

/// Writes an object with all messages that the journal gives, one after the other.
pub(super) fn list(mut listing: Listing<'_>, all: impl FnOnce(Each<'_>) -> Result<()>) -> Result<()> {
    let mut pieces = output::Pieces::to_stdout();
    pieces.write(listing.head())?;
    all(&mut |trouble| pieces.write(&listing.item(&trouble)))?;
    pieces.write(Listing::END)?;
    pieces.finish()
}

/// Gathers the messages that the journal gives, for people: of each group at most so many.
pub(super) fn gather(few: usize, plan: &Plan, all: impl FnOnce(Each<'_>) -> Result<()>) -> Result<Troubles> {
    let mut troubles = Troubles::new(few);
    all(&mut |trouble| {
        troubles.add(plan, &trouble);
        Ok(())
    })?;
    Ok(troubles)
}

/// The run whose identity begins so; the newest where nothing is said.
pub(super) fn find(name: Option<&str>, journal: &Location) -> Result<(Reader, RunRecord)> {
    let none = || {
        Error::usage(format!("there are no runs in the journal {journal}"))
            .hint("`redrive apply` makes one; --journal names another journal")
    };
    let reader = Reader::open(journal)?.ok_or_else(none)?;
    let mut found = reader.runs_like(name.unwrap_or_default())?;
    let exact = name.and_then(|name| found.iter().position(|record| record.name == name));
    match (found.len(), name) {
        (0, Some(name)) => Err(Error::usage(format!("no run in the journal {journal} begins with {name:?}"))
            .hint("`redrive runs` lists them")),
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

/// The plan of a run.
pub(super) fn plan(record: &RunRecord) -> Result<Plan> {
    plan::parse_kept(record.plan.as_bytes(), &format!("the plan of run {}", record.name))
}

/// A run with its figures, and without the messages in trouble.
pub(super) fn load(reader: &Reader, record: RunRecord) -> Result<Report> {
    let plan = plan(&record)?;
    let figures = Figures::new(&plan, &reader.tally(&record.name)?, record.totals);
    let (approvers, command) = (approvers(&record)?, command(&record)?);
    let (guards, came_back) = (reader.guard_events(&record.name)?, reader.came_back(&record.name)?);
    let timeline = reader.timeline(&record.name)?;
    Ok(Report { figures, timeline, troubles: Troubles::default(), plan, approvers, command, guards, came_back, record })
}

/// The words of the command that goes on with a run.
fn command(record: &RunRecord) -> Result<Vec<String>> {
    serde_json::from_str(&record.command).map_err(|error| {
        Error::failed(format!("the command of run {} in the journal cannot be read: {error}", record.name))
    })
}

/// Who had approved the plan of a run when it was last begun.
pub(super) fn approvers(record: &RunRecord) -> Result<Vec<Approver>> {
    serde_json::from_str(&record.approvals).map_err(|error| {
        Error::failed(format!("the approvals of run {} in the journal cannot be read: {error}", record.name))
    })
}
