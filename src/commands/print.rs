//! Printing, as commands do it: data on stdout, remarks on stderr, colour where a terminal is and nobody said no.

use std::io::IsTerminal;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::view::output::{self, Written};
use crate::view::text::{Style, neutral};

/// Prints data. A reader that went away has what it wanted: the command goes on to its own end.
pub(super) fn out(text: &str) -> Result<()> {
    match output::out(text) {
        Ok(Written::Whole | Written::ReaderGone) => Ok(()),
        Err(error) => Err(Error::failed(format!("the output cannot be written: {error}"))),
    }
}

/// Prints one JSON object as a line.
pub(super) fn json_line(object: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(object)
        .map_err(|error| Error::failed(format!("the output cannot be written as JSON: {error}")))?;
    out(&line)
}

/// A remark on stderr.
pub(super) fn note(text: &str) {
    output::err(&neutral(text));
}

/// How text on stdout looks.
pub(super) fn stdout_style() -> Style {
    Style { colour: std::io::stdout().is_terminal() && colour_is_welcome() }
}

/// How text on stderr looks.
pub(super) fn stderr_style() -> Style {
    Style { colour: std::io::stderr().is_terminal() && colour_is_welcome() }
}

/// `NO_COLOR` (<https://no-color.org>) and `TERM=dumb` say no.
fn colour_is_welcome() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
}
