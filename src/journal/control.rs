//! Asking a run that is under way for something by way of its journal on a server, from any machine.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::server;
use crate::error::Result;

/// How often the answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What became of what was asked.
#[derive(Debug)]
pub enum Heard {
    /// It was taken up, and this is the answer.
    Answer(String),
    /// Nobody took it up in time, and nobody will.
    Nobody,
    /// It was taken up, and there is no answer.
    Unanswered,
}

/// Asks the process at work on a run of the journal at this URL, and waits for its answer as long as this.
pub async fn control(url: &str, run: &str, request: &str, patience: Duration) -> Result<Heard> {
    let asker = server::ask(url, run, request)?;
    let until = Instant::now() + patience;
    loop {
        if let Some(answer) = asker.answer()? {
            return Ok(Heard::Answer(answer));
        }
        let is_late = Instant::now() >= until;
        if is_late && asker.take_back()? {
            return Ok(Heard::Nobody);
        }
        // What was taken up at the last moment gets as long again.
        if Instant::now() >= until + patience {
            return Ok(Heard::Unanswered);
        }
        sleep(LOOK_EVERY).await;
    }
}
