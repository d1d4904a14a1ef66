//! `redrive journal`: makes a journal ahead of its first run, and says how it is.

use redrive_protocol::protocol::State;

use crate::cli::{CheckJournalArgs, Format, InitJournalArgs};
use crate::error::Result;
use crate::exit::Exit;
use crate::journal::{self, Location, Reader};
use crate::view::journal::{self as view, Content, Standing};
use crate::view::output;

pub(super) fn init(args: &InitJournalArgs, location: &Location) -> Result<Exit> {
    let grants = journal::init(location, &args.role)?;
    output::note(&format!("the journal {location} is ready"));
    if let Some(grants) = grants {
        output::out(&grants)?;
    }
    Ok(Exit::Done)
}

pub(super) fn check(args: &CheckJournalArgs, location: &Location) -> Result<Exit> {
    let server = journal::check(location)?;
    let content = Reader::open(location)?.map(|reader| content(&reader)).transpose()?;
    let standing = Standing { location: location.to_string(), server, content };
    output::out(&match args.format {
        Format::Text => view::standing(&standing).text(output::screen()),
        Format::Json => view::standing_json(&standing),
    })?;
    Ok(if standing.is_usable() { Exit::Done } else { Exit::Failed })
}

fn content(reader: &Reader) -> Result<Content> {
    let mut content = Content::default();
    for run in reader.runs()? {
        content.runs += 1;
        content.unfinished += u64::from(run.ended.is_none());
        content.at_work += u64::from(run.process.is_some_and(|process| process.is_alive));
        let open = [State::Sending, State::Resending, State::InDoubt, State::Held];
        content.in_doubt += reader.tally(&run.name)?.count(|key| open.contains(&key.state));
    }
    Ok(content)
}
