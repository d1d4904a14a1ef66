//! Signals that end a command.

use tokio::signal::unix::{SignalKind, signal};

use crate::apply::{Signal, Stop};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::view::output;

/// Counts SIGINT, SIGTERM and SIGHUP. The second ends the process at once: the journal knows where it was.
pub(super) fn listen(stop: &Stop) -> Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut signals = signal(kind).map_err(|error| Error::failed(format!("cannot listen for signals: {error}")))?;
        let stop = stop.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                match stop.signal() {
                    Signal::Now => output::last_note(
                        "stopped at once; the journal knows where, and the same command continues",
                        Exit::Stopped as i32,
                    ),
                    Signal::Finish | Signal::None => output::note(
                        "stopping: finishing what is in progress and giving back the rest; press Ctrl-C again to stop at once",
                    ),
                }
            }
        });
    }
    Ok(())
}
