//! The valve: closed by whoever wants the run to pause, open when nobody does. Receivers wait at it before they receive, and
//! batches before they are sent. What is on its way meanwhile stays ours, since its leases are extended.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// Who holds it closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    /// The canary, which is being judged.
    Canary,
    /// A person.
    Person,
    /// The command of the job.
    Command,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Valve {
    closed: Mutex<BTreeMap<By, String>>,
    open: watch::Sender<Open>,
}

/// For whom it is open.
#[derive(Debug, Clone, Copy)]
struct Open {
    receives: bool,
    /// The canary itself has to be sent before it can be judged.
    sends: bool,
}

impl Default for Valve {
    fn default() -> Self {
        Self { closed: Mutex::default(), open: watch::channel(Open { receives: true, sends: true }).0 }
    }
}

impl Valve {
    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<By, String>) -> T) -> T {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let given = change(&mut closed);
        let sends = closed.keys().all(|by| *by == By::Canary);
        self.open.send_replace(Open { receives: closed.is_empty(), sends });
        given
    }

    /// Closes it; says whether this one had not closed it before.
    pub(super) fn close(&self, by: By, why: &str) -> bool {
        self.change(|closed| closed.insert(by, why.to_owned()).is_none())
    }

    /// This one closes it no longer; says whether it did.
    pub(super) fn open(&self, by: By) -> bool {
        self.change(|closed| closed.remove(&by).is_some())
    }

    /// Why it is closed, if it is.
    pub(super) fn why(&self) -> Option<String> {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        (!closed.is_empty()).then(|| closed.values().map(String::as_str).collect::<Vec<_>>().join("; "))
    }

    /// Waits until something may be received.
    pub(super) async fn may_receive(&self) {
        self.until(|open| open.receives).await;
    }

    /// Waits until something may be sent.
    pub(super) async fn may_send(&self) {
        self.until(|open| open.sends).await;
    }

    async fn until(&self, is_open: impl Fn(Open) -> bool) {
        let mut open = self.open.subscribe();
        // The sender lives as long as `self`.
        let _ = open.wait_for(|open| is_open(*open)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_open_when_nobody_holds_it_closed() {
        let valve = Valve::default();
        valve.may_receive().await;
        valve.close(By::Canary, "judged");
        valve.may_send().await;
        valve.open(By::Canary);
        assert!(
            valve.close(By::Person, "lunch") && valve.close(By::Command, "busy") && !valve.close(By::Person, "tea")
        );
        assert_eq!(valve.why().as_deref(), Some("tea; busy"));
        assert!(valve.open(By::Person) && !valve.open(By::Person) && !valve.open(By::Canary));
        let mut waiting = std::pin::pin!(valve.may_send());
        let passed = tokio::select! { biased; () = waiting.as_mut() => true, () = std::future::ready(()) => false };
        assert!(!passed, "the command still holds it");
        valve.open(By::Command);
        waiting.await;
        assert_eq!(valve.why(), None);
    }
}
