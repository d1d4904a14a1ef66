//! `redrive resolve`: lists what of a run is in doubt, and takes decisions about it. Nothing is sent or deleted here: the next
//! apply carries out what was decided.

use redrive_protocol::message::MessageId;

use super::runs;
use crate::cli::{DecisionArgs, Format, ResolveArgs};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::journal::{Journal, Location, Marks, system_clock};
use crate::view::report::MANY;
use crate::view::{output, resolve as view};
use redrive_protocol::protocol::{Resolution, Resolve};

pub(super) async fn resolve(args: ResolveArgs, journal: &Location) -> Result<Exit> {
    let (reader, record) = runs::find(Some(&args.run), journal)?;
    let run = record.name.clone();
    let Some(resolution) = resolution(&args.decision) else {
        if args.all || !args.messages.is_empty() {
            return Err(Error::usage("no decision given for these messages")
                .hint("pass --resend, --discard or --release; without messages, the command lists what is in doubt"));
        }
        let mut report = runs::load(&reader, record)?;
        match args.format {
            Format::Text => {
                report.troubles = runs::gather(MANY, &report.plan, |each| reader.doubts(&run, each))?;
                output::out(&view::doubts(&report).text(output::screen()))?;
            }
            Format::Json => runs::list(view::json(&report), |each| reader.doubts(&run, each))?,
        }
        return Ok(Exit::Done);
    };
    let about_messages = resolution != Resolution::Abandon;
    if about_messages && !args.all && args.messages.is_empty() {
        return Err(Error::usage("no messages selected")
            .hint("pass their IDs, or --all; without a decision, the command lists what is in doubt"));
    }
    let messages = about_messages && !args.all;
    let resolve = Resolve {
        run: run.clone(),
        messages: messages.then(|| args.messages.iter().map(|id| MessageId::new(id.as_str())).collect()),
        resolution,
        who: user(),
        reason: args.reason,
    };
    let messages = Journal::open(journal, system_clock(|| None))?.resolve(resolve).await?;
    let record = runs::find(Some(&run), journal)?.1;
    if let Some(marks) = Marks::of_user().filter(|_| !about_messages && record.ended.is_some()) {
        marks.forget_run(&run);
    }
    let report = runs::load(&reader, record)?;
    output::out(&match args.format {
        Format::Text => view::decided(&report, resolution, messages).text(output::screen()),
        Format::Json => view::decided_json(&report, resolution, messages),
    })?;
    Ok(Exit::Done)
}

fn resolution(args: &DecisionArgs) -> Option<Resolution> {
    let said = [
        (args.resend, Resolution::Resend),
        (args.discard, Resolution::Discard),
        (args.release, Resolution::Release),
        (args.abandon, Resolution::Abandon),
    ];
    said.into_iter().find(|(said, _)| *said).map(|(_, resolution)| resolution)
}

/// Who decides, as far as the environment says.
pub(super) fn user() -> String {
    let named = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    named.unwrap_or_else(|| "an unknown user".to_owned())
}
