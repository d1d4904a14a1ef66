//! What the system says of a process: its processor time and its memory.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// What a process has cost.
pub(crate) struct Cost {
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
    pub(crate) cpu: Duration,
    pub(crate) peak_kib: usize,
}

/// Waits for the end of a process, and measures it meanwhile.
pub(crate) fn wait(mut child: Child, started: Instant) -> Cost {
    let mut peak_kib = 0;
    loop {
        // A process that has ended is a zombie until it is waited for, and its time can still be read.
        let ended = state(child.id()).is_none_or(|state| state == "Z");
        if ended {
            let took = started.elapsed();
            let cpu = cpu(child.id()).unwrap_or_default();
            return Cost { status: child.wait().expect("its end"), took, cpu, peak_kib };
        }
        peak_kib = peak_kib.max(memory(child.id(), "VmHWM:").unwrap_or_default());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn state(pid: u32) -> Option<String> {
    fields(pid)?.first().cloned()
}

/// User and system time of a process until now.
pub(crate) fn cpu(pid: u32) -> Option<Duration> {
    // The 14th and 15th of all fields, in hundredths of a second.
    let ticks: u64 = fields(pid)?.iter().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * 10))
}

/// The fields after the name, which may hold spaces.
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit(')').next()?.split_whitespace().map(str::to_owned).collect())
}

fn memory(pid: u32, name: &str) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find(|line| line.starts_with(name))?.split_whitespace().nth(1)?.parse().ok()
}
