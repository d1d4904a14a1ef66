//! The terminal that bars are drawn on. Between two drawings the cursor rests at the beginning of their last line: what the
//! terminal echoes by itself, such as `^C`, would otherwise push them down a line, and they could not be cleared whole.

use std::fmt::Write as _;
use std::io;
use std::mem::take;
use std::sync::{Mutex, PoisonError};

use indicatif::TermLike;

use super::super::output;

/// Stderr. What is drawn at once is written at once.
#[derive(Debug, Default)]
pub(super) struct Stderr {
    drawing: Mutex<String>,
}

impl Stderr {
    fn add(&self, parts: std::fmt::Arguments<'_>) -> io::Result<()> {
        let mut drawing = self.drawing.lock().unwrap_or_else(PoisonError::into_inner);
        drawing.write_fmt(parts).map_err(io::Error::other)
    }

    /// Control sequences take zero for one.
    fn move_by(&self, number: usize, way: char) -> io::Result<()> {
        if number == 0 { Ok(()) } else { self.add(format_args!("\x1b[{number}{way}")) }
    }
}

impl TermLike for Stderr {
    fn width(&self) -> u16 {
        output::stderr_size().0
    }

    fn height(&self) -> u16 {
        output::stderr_size().1
    }

    fn move_cursor_up(&self, number: usize) -> io::Result<()> {
        self.move_by(number, 'A')
    }

    fn move_cursor_down(&self, number: usize) -> io::Result<()> {
        self.move_by(number, 'B')
    }

    fn move_cursor_right(&self, number: usize) -> io::Result<()> {
        self.move_by(number, 'C')
    }

    fn move_cursor_left(&self, number: usize) -> io::Result<()> {
        self.move_by(number, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(format_args!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(format_args!("{text}"))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add(format_args!("\r\x1b[2K"))
    }

    fn flush(&self) -> io::Result<()> {
        let drawing = take(&mut *self.drawing.lock().unwrap_or_else(PoisonError::into_inner));
        output::draw(&(drawing + "\r"));
        Ok(())
    }
}
