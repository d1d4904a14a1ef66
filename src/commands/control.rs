//! `redrive control`: a person's word to a run that is under way, through the socket beside its journal.

use redrive_rules::job::Rate;

use super::{resolve, runs};
use crate::cli::{ControlArgs, Format, OrderName};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::guard::{Order, Request, Unheard, request, socket_of};
use crate::journal::Location;
use crate::view::{guards, output};

pub(super) async fn control(args: ControlArgs, journal: &Location) -> Result<Exit> {
    let order = order(&args)?;
    let (_, record) = runs::find(Some(&args.run), journal)?;
    let asked = Request { run: record.name.clone(), order, who: resolve::user(), reason: args.reason };
    let socket = journal.file().map(socket_of).ok_or_else(|| {
        Error::usage("a run whose journal is on a server cannot be controlled from here")
            .hint("nothing was changed; stop its process with SIGINT: the same command goes on")
    })?;
    match request(&socket, &asked).await {
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
