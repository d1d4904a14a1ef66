//! `redrive runs prune`: forgets runs that nobody needs any more.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use redrive_rules::job::Age;

use super::runs;
use crate::cli::{Format, PruneArgs};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::journal::{self, Location, Marks, Pruned, Reader, RunRecord};
use crate::view::{output, runs as view};
use redrive_protocol::protocol::State;

pub(super) fn prune(args: &PruneArgs, journal: &Location) -> Result<Exit> {
    let chosen = match (&args.run, &args.older_than) {
        (Some(run), _) => named(run, args.force, journal)?,
        (None, Some(age)) => old(age, journal)?,
        (None, None) => Vec::new(),
    };
    for (marks, run) in Marks::of_user().iter().flat_map(|marks| chosen.iter().map(move |run| (marks, run))) {
        marks.forget_run(run);
    }
    let pruned = if chosen.is_empty() { None } else { Some(journal::prune(journal, &chosen)?) };
    let pruned = pruned.unwrap_or(Pruned { messages: 0, before: 0, after: 0 });
    output::out(&match args.format {
        Format::Text => view::pruned(&chosen, pruned).text(output::screen()),
        Format::Json => view::pruned_json(&chosen, pruned),
    })?;
    Ok(Exit::Done)
}

/// The run with this name, where it may be forgotten.
fn named(run: &str, force: bool, journal: &Location) -> Result<Vec<String>> {
    let (reader, record) = runs::find(Some(run), journal)?;
    if !force && let Some(need) = needed(&reader, &record)? {
        return Err(Error::usage(format!("run {} {need}", record.name)).hint(
            "nothing was changed. Once it is forgotten, its messages are new ones to every later run: what it had sent and not \
             yet deleted would be sent again. --force forgets it all the same",
        ));
    }
    Ok(vec![record.name])
}

/// Runs that ended longer ago than this and are not needed any more.
fn old(age: &str, journal: &Location) -> Result<Vec<String>> {
    let age = Age::from_str(age).map_err(|error| Error::usage(format!("--older-than: {error}")))?;
    let now = Timestamp::now();
    let Some(reader) = Reader::open(journal)? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for record in reader.runs()? {
        if record.ended.is_some_and(|ended| has_age(ended, now, age)) && needed(&reader, &record)?.is_none() {
            names.push(record.name);
        }
    }
    Ok(names)
}

/// Whether a run that ended then is so old now. By the journal's clock, which follows the servers', it can have ended in the
/// future: then it has no age.
fn has_age(ended: Timestamp, now: Timestamp, age: Age) -> bool {
    Duration::try_from(now.duration_since(ended)).unwrap_or_default() >= age.0
}

/// Why a run should not be forgotten yet.
fn needed(reader: &Reader, record: &RunRecord) -> Result<Option<&'static str>> {
    if record.ended.is_none() {
        return Ok(Some("is not finished"));
    }
    // A run that was given up can have some of each on its way.
    let open = [State::Sending, State::Resending, State::Sent, State::InDoubt, State::Held];
    let open = reader.tally(&record.name)?.count(|key| open.contains(&key.state));
    Ok((open > 0).then_some("has messages in doubt, or still to be deleted from the source"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_that_has_ended_is_older_than_nothing() {
        let has_age = |ended, age| {
            let at = |second| Timestamp::from_second(second).unwrap();
            super::has_age(at(ended), at(1_000_000), Age::from_str(age).unwrap())
        };
        assert!(has_age(999_999, "0s") && has_age(1_000_000, "0s") && has_age(1_000_005, "0s"));
        assert!(has_age(999_940, "1m") && !has_age(999_941, "1m") && !has_age(1_000_005, "1m"));
    }
}
