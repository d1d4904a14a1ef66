//! `redrive control`: a person's word to a run that is under way, through the socket beside its journal or, if that is on a
//! server, through the journal.

use std::io;

use redrive_rules::job::Rate;

use super::{resolve, runs};
use crate::cli::{ControlArgs, Format, OrderName};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::guard::{Order, PATIENCE, Request, Unheard, request, socket_of, understand};
use crate::journal::{self, Heard, Location};
use crate::view::{guards, output};

pub(super) async fn control(args: ControlArgs, journal: &Location) -> Result<Exit> {
    let order = order(&args)?;
    let (_, record) = runs::find(Some(&args.run), journal)?;
    let asked = Request { run: record.name.clone(), order, who: resolve::user(), reason: args.reason };
    let heard = match journal {
        Location::File(file) => request(&socket_of(file), &asked).await,
        Location::Server(_) if !record.process.as_ref().is_some_and(|process| process.is_alive) => {
            Err(Unheard::Nobody(io::ErrorKind::NotConnected.into()))
        }
        Location::Server(url) => through(url, &asked).await?,
    };
    match heard {
        Ok(words) => {
            output::out(&match args.format {
                Format::Text => guards::told(&record.name, &words),
                Format::Json => guards::told_json(&record.name, &words),
            })?;
            Ok(Exit::Done)
        }
        Err(Unheard::Refused(words)) => Err(Error::failed(words).hint("nothing was changed")),
        Err(Unheard::Nobody(error)) => {
            let words = format!("no process is at work on run {}: {error}", record.name);
            Err(Error::failed(words).hint("nothing was changed; `redrive status` says how the run stands"))
        }
    }
}

/// Asks by way of the journal, from whichever machine.
async fn through(url: &str, asked: &Request) -> Result<Result<String, Unheard>> {
    let text = serde_json::to_string(asked)
        .map_err(|error| Error::failed(format!("what is asked cannot be written as JSON: {error}")))?;
    match journal::control(url, &asked.run, &text, PATIENCE).await? {
        Heard::Answer(reply) => Ok(understand(&reply)),
        Heard::Nobody => Ok(Err(Unheard::Nobody(io::ErrorKind::TimedOut.into()))),
        Heard::Unanswered => Err(Error::failed(format!(
            "the process at work on run {} has heard it, and did not say what it did",
            asked.run
        ))
        .hint("`redrive status` says what was done to the run, and whether its process is still heard of")),
    }
}

fn order(args: &ControlArgs) -> Result<Order> {
    Ok(match (args.order, &args.rate) {
        (OrderName::Rate, Some(rate)) => {
            Order::Rate(rate.parse::<Rate>().map_err(|error| Error::usage(format!("the rate: {error}")))?.0)
        }
        (OrderName::Rate, None) => {
            return Err(Error::usage("no rate given").hint("such as `redrive control RUN rate 50/s`"));
        }
        (_, Some(rate)) => return Err(Error::usage(format!("{rate:?} is only for `rate`"))),
        (OrderName::Pause, None) => Order::Pause,
        (OrderName::Resume, None) => Order::Resume,
        (OrderName::Stop, None) => Order::Stop,
    })
}
