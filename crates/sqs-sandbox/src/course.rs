//! Carrying out the faults that hit a request: before its effect, inside it, and after.

use std::time::Duration;

use super::faults::{Fault, Signal, When};
use super::shared::Shared;
use super::sqs::{FailEntry, Tamper};

/// What comes before and after the effect of a request.
pub(super) struct Course<'a> {
    shared: &'a Shared,
    faults: Vec<Fault>,
}

/// How a fault ends a request early.
#[derive(Clone, Copy)]
pub(super) enum End {
    Cut,
    Throttled,
    Denied,
    Expired,
    NotFound,
    Status(u16),
}

impl<'a> Course<'a> {
    /// What happens to a request that these faults hit.
    pub(super) fn new(shared: &'a Shared, faults: Vec<Fault>) -> Self {
        Self { shared, faults }
    }

    /// Carries out the faults of one phase, in the order of the rules.
    pub(super) async fn run(&self, phase: When) -> Option<End> {
        for fault in &self.faults {
            let before = phase == When::Before;
            match fault {
                Fault::Latency { ms, jitter_ms, when } if *when == phase => {
                    let pause = ms.saturating_add(self.shared.faults.jitter(*jitter_ms));
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                Fault::Cut { when } if *when == phase => return Some(End::Cut),
                Fault::Silence { when } if *when == phase => std::future::pending().await,
                Fault::Status { code, when } if *when == phase => return Some(End::Status(*code)),
                Fault::Kill { pid, signal, when } if *when == phase => {
                    if self.shared.signals {
                        send_signal(*pid, *signal).await;
                    }
                    if *signal == Signal::Kill {
                        return Some(End::Cut);
                    }
                }
                Fault::Throttle if before => return Some(End::Throttled),
                Fault::AccessDenied if before => return Some(End::Denied),
                Fault::ExpiredToken if before => return Some(End::Expired),
                Fault::NotFound if before => return Some(End::NotFound),
                _ => {}
            }
        }
        None
    }

    pub(super) fn tamper(&self) -> Tamper {
        let mut tamper = Tamper::default();
        for fault in &self.faults {
            match fault {
                Fault::FailEntry { index, sender_fault, code } => {
                    tamper.fail.push(FailEntry { index: *index, sender: *sender_fault, code: code.clone() });
                }
                Fault::CorruptMd5 => tamper.corrupt_md5 = true,
                Fault::Duplicate => tamper.duplicate = true,
                Fault::IgnoreStaleHandle => tamper.ignore_stale = true,
                _ => {}
            }
        }
        tamper
    }
}

async fn send_signal(pid: u32, signal: Signal) {
    // 0 and its like mean whole groups of processes.
    if pid > 1 {
        let _ = tokio::process::Command::new("kill").arg(signal.option()).arg(pid.to_string()).status().await;
    }
}
