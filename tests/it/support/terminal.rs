//! A terminal for the real program: a pseudo-terminal that is its controlling one, so that Ctrl-C and hanging up are what they
//! are to a person.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use tokio::process::{Child, Command};

use super::stage::Stage;

const COLUMNS: u16 = 80;

/// See the module.
pub(crate) struct Terminal {
    keyboard: File,
    screen: OwnedFd,
    /// Everything that was written to it.
    pub(crate) shown: String,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&keyboard).expect("ours");
        unlockpt(&keyboard).expect("unlocked");
        let name = ptsname(&keyboard, Vec::new()).expect("a name");
        // Not for the programs of other tests: a terminal is lost when nobody holds it any more.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let screen = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).expect("the other side");
        let size = Winsize { ws_row: 24, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&keyboard, size).expect("a size");
        rustix::fs::fcntl_setfl(&keyboard, OFlags::RDWR | OFlags::NONBLOCK).expect("never waits");
        Self { keyboard: File::from(keyboard), screen, shown: String::new() }
    }

    /// Starts the program on this terminal.
    pub(crate) fn spawn(&self, stage: &Stage, arguments: &[&str]) -> Child {
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(env!("CARGO_BIN_EXE_redrive")).args(arguments).current_dir(stage.directory.path());
        command.env_clear().env("HOME", stage.directory.path()).env("TERM", "xterm");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(stage.sandbox.environment());
        let side = || self.screen.try_clone().expect("another handle");
        command.stdin(side()).stdout(side()).stderr(side()).kill_on_drop(true).spawn().expect("the program starts")
    }

    pub(crate) fn settings(&self) -> Termios {
        tcgetattr(&self.screen).expect("settings")
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("typed");
    }

    /// Reads until these words were shown.
    pub(crate) async fn until(&mut self, words: &str) {
        let started = Instant::now();
        while !self.shown.contains(words) {
            assert!(started.elapsed() < Duration::from_mins(2), "{words:?} is not shown: {}", self.shown);
            self.look();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the program has ended, and reads what it shows; gives its exit code.
    pub(crate) async fn ended(&mut self, mut child: Child) -> Option<i32> {
        loop {
            let status = child.try_wait().expect("waited for");
            self.look();
            if let Some(status) = status {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What a person sees by now: all that was written, with what was written over or cleared gone.
    pub(crate) fn screen(&self) -> String {
        let mut rows: Vec<Vec<char>> = vec![Vec::new()];
        let (mut row, mut column) = (0_usize, 0_usize);
        let mut rest = self.shown.chars();
        while let Some(character) = rest.next() {
            match character {
                '\r' => column = 0,
                '\n' => row += 1,
                '\u{7}' => {}
                '\u{1b}' => {
                    assert_eq!(rest.next(), Some('['), "another escape sequence: {:?}", self.shown);
                    let mut number = String::new();
                    let what = loop {
                        match rest.next() {
                            Some(part) if part.is_ascii_alphabetic() => break part,
                            Some(part) => number.push(part),
                            None => panic!("half an escape sequence: {:?}", self.shown),
                        }
                    };
                    let number = number.parse().unwrap_or(1);
                    match what {
                        'A' => row = row.saturating_sub(number),
                        'B' => row += number,
                        'K' => rows[row].clear(),
                        _ => {}
                    }
                }
                _ => {
                    // A line that is full is left only when one more character comes.
                    if column == usize::from(COLUMNS) {
                        (row, column) = (row + 1, 0);
                    }
                    rows.resize(rows.len().max(row + 1), Vec::new());
                    let line = &mut rows[row];
                    line.resize(line.len().max(column + 1), ' ');
                    line[column] = character;
                    column += 1;
                }
            }
            rows.resize(rows.len().max(row + 1), Vec::new());
        }
        rows.into_iter().map(|row| String::from_iter(row).trim_end().to_owned() + "\n").collect()
    }

    fn look(&mut self) {
        let mut bytes = [0; 4096];
        loop {
            match self.keyboard.read(&mut bytes) {
                Ok(0) => return,
                Ok(read) => self.shown.push_str(&String::from_utf8_lossy(&bytes[..read])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the terminal cannot be read: {error}"),
            }
        }
    }
}
