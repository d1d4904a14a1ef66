//! What a history is carried out with: a store with the protocol over it. The plainest is in memory.

use jiff::Timestamp;
use redrive_protocol::protocol::{
    Admitted, Begun, DeleteEnd, Delivery, Judged, Judgement, MemoryStore, Protocol, Resolve, RunSpec, Sent, SessionEnd,
    Settled, Settlement, Tally,
};

/// A store with the protocol over it, in whatever process or thread, committed after each call.
pub trait Subject {
    /// A process begins a session of this run.
    fn begin(&mut self, spec: RunSpec, now: Timestamp) -> Begun;
    /// The process is gone.
    fn kill(&mut self);
    /// See [`Protocol::admit`]; and so on.
    fn admit(&mut self, deliveries: Vec<Delivery>, now: Timestamp) -> Vec<Admitted>;
    /// See above.
    fn judge(&mut self, judgements: Vec<Judgement>, now: Timestamp) -> Vec<Judged>;
    /// See above.
    fn settle(&mut self, settlements: Vec<Settlement>, now: Timestamp) -> Vec<Settled>;
    /// See above.
    fn deleted(&mut self, deletes: Vec<(Sent, DeleteEnd)>, now: Timestamp) -> Vec<Sent>;
    /// See above.
    fn vanish(&mut self, now: Timestamp);
    /// See above.
    fn end(&mut self, end: &SessionEnd, now: Timestamp);
    /// Between two sessions.
    fn resolve(&mut self, resolve: &Resolve, now: Timestamp) -> u64;
    /// See above.
    fn tally(&mut self) -> Tally;
    /// See above.
    fn lease_count(&mut self, now: Timestamp) -> u64;
}

/// The protocol over a store, driven as the journal drives it.
#[derive(Debug, Default)]
pub struct InMemory(Option<Protocol<MemoryStore>>, MemoryStore);

impl InMemory {
    fn at(&mut self, now: Timestamp) -> &mut Protocol<MemoryStore> {
        let protocol = self.0.as_mut().expect("a session");
        protocol.set_time(now.as_millisecond());
        protocol
    }
}

impl Subject for InMemory {
    fn begin(&mut self, spec: RunSpec, now: Timestamp) -> Begun {
        self.0 = Some(Protocol::new(std::mem::take(&mut self.1)));
        self.at(now).begin(&spec).expect("begun")
    }

    fn kill(&mut self) {
        self.1 = self.0.take().expect("a session").store().clone();
    }

    fn admit(&mut self, deliveries: Vec<Delivery>, now: Timestamp) -> Vec<Admitted> {
        self.at(now).admit(deliveries).expect("admitted")
    }

    fn judge(&mut self, judgements: Vec<Judgement>, now: Timestamp) -> Vec<Judged> {
        self.at(now).judge(judgements).expect("judged")
    }

    fn settle(&mut self, settlements: Vec<Settlement>, now: Timestamp) -> Vec<Settled> {
        self.at(now).settle(settlements).expect("settled")
    }

    fn deleted(&mut self, deletes: Vec<(Sent, DeleteEnd)>, now: Timestamp) -> Vec<Sent> {
        self.at(now).deleted(deletes).expect("deleted")
    }

    fn vanish(&mut self, now: Timestamp) {
        self.at(now).vanish().expect("vanished");
    }

    fn end(&mut self, end: &SessionEnd, now: Timestamp) {
        self.at(now).end(end).expect("ended");
    }

    fn resolve(&mut self, resolve: &Resolve, now: Timestamp) -> u64 {
        let mut protocol = Protocol::new(std::mem::take(&mut self.1));
        protocol.set_time(now.as_millisecond());
        let count = protocol.resolve(resolve).expect("resolved");
        self.1 = protocol.store().clone();
        count
    }

    fn tally(&mut self) -> Tally {
        self.0.as_ref().expect("a session").tally().folded()
    }

    fn lease_count(&mut self, now: Timestamp) -> u64 {
        self.at(now).lease_count().expect("leases")
    }
}
