//! The servers that are measured, each in a process of its own, and what the system says of it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server in its own process. Its end comes with the value's.
pub(crate) struct Server {
    pub(crate) port: u16,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn has_taskset() -> bool {
    Command::new("taskset").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Keeps this process on one core, where that can be done.
pub(crate) fn pin_this(core: &str) {
    let id = std::process::id().to_string();
    let _ = Command::new("taskset").args(["-pc", core, &id]).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

fn this_program() -> PathBuf {
    std::env::current_exe().expect("this program")
}

impl Server {
    /// The sandbox, empty, with room for as many messages in flight as the measurements want.
    pub(crate) fn sandbox() -> Self {
        Self::start(&this_program(), "--sandbox")
    }

    /// The sandbox of another version.
    pub(crate) fn other(program: &Path) -> Self {
        Self::start(program, "--sandbox")
    }

    /// The server that does nothing.
    pub(crate) fn ceiling() -> Self {
        Self::start(&this_program(), "--ceiling")
    }

    /// This program or its like once more, as the server that this argument means.
    fn start(program: &Path, argument: &str) -> Self {
        let mut command = if has_taskset() {
            let mut pinned = Command::new("taskset");
            pinned.args(["-c", "0"]).arg(program);
            pinned
        } else {
            Command::new(program)
        };
        let mut child =
            command.arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let port = loop {
            let line = lines.next().expect("the server says where it is").expect("text");
            let digits = line
                .split("http://127.0.0.1:")
                .nth(1)
                .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
            if let Some(port) = digits.and_then(|digits| digits.parse().ok()) {
                break port;
            }
        };
        // What it prints later must have a place to go.
        std::thread::spawn(move || lines.for_each(drop));
        Self { port, child }
    }

    /// The memory that it holds, in bytes; `None` where the system does not say.
    pub(crate) fn memory(&self) -> Option<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kib: usize = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib * 1024)
    }

    /// The processor time that its threads have used; zero if the system does not say.
    pub(crate) fn cpu(&self) -> Duration {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.child.id())) else { return Duration::ZERO };
        let used = threads.flatten().filter_map(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            stat.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(used.sum())
    }
}

/// The machine, in words.
pub(crate) fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown").to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let pinned = if has_taskset() { "server and generator on a core each" } else { "not pinned to cores" };
    format!("{} ({} MHz), {cores} cores, {pinned}", field("model name"), field("cpu MHz"))
}
