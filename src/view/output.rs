//! The only place that prints: data on stdout, everything else on stderr.
//!
//! What comes in as a whole text is already safe to show, since it may hold colours of ours; single lines and notes are made
//! safe here.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use terminal_size::terminal_size_of;

use super::text::{Screen, Style, neutral, neutral_lines};
use super::wire;
use crate::error::{Error, Result};

/// Something that makes room on the terminal for what is printed.
type Detour = Box<dyn Fn(&mut dyn FnMut()) + Send>;

/// Set while bars are on the terminal: a text that went straight there would be drawn over.
static DETOUR: Mutex<Option<Detour>> = Mutex::new(None);

/// Writes data to stdout, with a line end at its end. A reader that went away, as `head` does, has what it wanted: that is no
/// error, and what a command still has to do it does.
pub fn out(text: &str) -> Result<()> {
    forgiving(write(&mut io::stdout().lock(), text))
}

/// Clears the terminal that stdout is, if it is one.
pub fn clear_screen() -> Result<()> {
    if !io::stdout().is_terminal() {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    forgiving(stdout.write_all(b"\x1b[2J\x1b[H").and_then(|()| stdout.flush()))
}

/// What a write to stdout gave. A reader that went away, as `head` does, has what it wanted.
fn forgiving(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::failed(format!("stdout cannot be written: {error}"))
                .hint("what was done is done; only its output is lost"))
        }
        _ => Ok(()),
    }
}

/// Stdout for what is long: it goes out piece by piece as it comes.
#[derive(Debug)]
pub struct Pieces(io::BufWriter<io::StdoutLock<'static>>);

impl Pieces {
    /// Nothing is written yet.
    pub fn to_stdout() -> Self {
        Self(io::BufWriter::new(io::stdout().lock()))
    }

    /// Writes the next piece.
    pub fn write(&mut self, piece: &str) -> Result<()> {
        forgiving(self.0.write_all(piece.as_bytes()))
    }

    /// Writes out what is still on its way. Without it the end may be lost unnoticed.
    pub fn finish(mut self) -> Result<()> {
        forgiving(self.0.flush())
    }
}

/// Writes one line to stdout.
pub fn line(text: &str) -> Result<()> {
    out(&format!("{}\n", neutral_lines(text)))
}

/// Writes one object as a line of JSON to stdout.
pub fn json_line(value: &impl Serialize) -> Result<()> {
    out(&wire::line(value))
}

/// Writes one object as a line of JSON to stderr.
pub fn json_note(value: &impl Serialize) {
    err(&wire::line(value));
}

/// Writes to stderr, with a line end at its end. A stderr that is closed or full has nobody to be told so.
pub fn err(text: &str) {
    beside_bars(&mut || drop(write(&mut io::stderr().lock(), text)));
}

fn beside_bars(print: &mut dyn FnMut()) {
    match DETOUR.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some(detour) => detour(print),
        None => print(),
    }
}

/// Writes one line about what goes on to stderr.
pub fn note(text: &str) {
    err(&neutral(text));
}

/// Writes a last line to stderr and ends the process.
pub fn last_note(text: &str, code: i32) -> ! {
    // Before bars that make room are drawn again.
    beside_bars(&mut || {
        drop(write(&mut io::stderr().lock(), &neutral(text)));
        std::process::exit(code)
    });
    std::process::exit(code)
}

/// Draws on the terminal that stderr is. One that is gone has nobody who looks.
pub(super) fn draw(drawing: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(drawing.as_bytes()).and_then(|()| stderr.flush());
}

/// Writes a question to stderr, and stays on its line for the answer.
pub fn prompt(text: &str) {
    let mut stderr = io::stderr().lock();
    // Where it cannot be shown, it cannot be answered either.
    let _ = stderr.write_all(neutral_lines(text).as_bytes()).and_then(|()| stderr.flush());
}

/// What a document on stdout is shown on.
pub fn screen() -> Screen {
    let style = Style { colour: takes_colour(io::stdout().is_terminal()) };
    if !io::stdout().is_terminal() {
        return Screen { style, ..Screen::PLAIN };
    }
    let width = terminal_size_of(io::stdout()).map_or(Screen::PLAIN.width, |(width, _)| usize::from(width.0));
    // Lines that are longer are hard to follow, and a terminal that claims to have no columns has some.
    Screen { width: width.clamp(40, 140), style }
}

/// Whether stderr takes colours.
pub fn stderr_colour() -> bool {
    takes_colour(is_stderr_a_terminal())
}

/// Whether somebody sees what moves on stderr.
pub fn is_stderr_a_terminal() -> bool {
    io::stderr().is_terminal()
}

/// The columns and lines of the terminal that stderr is.
pub(super) fn stderr_size() -> (u16, u16) {
    let known = terminal_size_of(io::stderr()).map(|(width, height)| (width.0, height.0));
    known.filter(|(width, height)| *width > 0 && *height > 0).unwrap_or((80, 24))
}

/// By <https://no-color.org> and <https://bixense.com/clicolors>: who refuses colours gets none, who insists gets them everywhere.
fn takes_colour(is_terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let is_forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    let is_dumb = set("TERM").is_some_and(|term| term == "dumb");
    set("NO_COLOR").is_none() && (is_forced || is_terminal && !is_dumb)
}

/// Sends what goes to stderr through this, until it is `None` again.
pub(super) fn divert(detour: Option<Detour>) {
    *DETOUR.lock().unwrap_or_else(PoisonError::into_inner) = detour;
}

fn write(to: &mut impl Write, text: &str) -> io::Result<()> {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let written = to.write_all(text.as_bytes()).and_then(|()| to.write_all(end.as_bytes())).and_then(|()| to.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_line_end_is_added_where_there_is_none() {
        for (text, expected) in [("a", "a\n"), ("a\n", "a\n"), ("", "")] {
            let mut to = Vec::new();
            write(&mut to, text).expect("written");
            assert_eq!(to, expected.as_bytes());
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_and_a_full_disk_is() {
        assert!(write(&mut Broken(ErrorKind::BrokenPipe), "a").is_ok());
        assert_eq!(write(&mut Broken(ErrorKind::StorageFull), "a").map_err(|e| e.kind()), Err(ErrorKind::StorageFull));
    }
}
