//! What a batch of operations means on a server, held against the store in memory.

use jiff::Timestamp;
use proptest::prelude::*;
use redrive_postgres::{Error, PostgresStore};
use redrive_protocol::protocol::{
    Admitted, Begun, DeleteEnd, Delivery, Judged, Judgement, Keeper as _, Problem, Protocol, Resolve, RunSpec, Sent,
    SessionEnd, Settled, Settlement, Tally,
};
use redrive_store_tests::histories::{compare, histories};
use redrive_store_tests::server::Server;
use redrive_store_tests::subject::Subject;

/// A process at work on a journal on a server.
struct OnServer {
    database: String,
    protocol: Option<Protocol<PostgresStore>>,
}

impl OnServer {
    /// One operation, committed.
    fn does<T>(
        &mut self,
        now: Timestamp,
        operation: impl FnOnce(&mut Protocol<PostgresStore>) -> Result<T, Problem<Error>>,
    ) -> T {
        let store = || PostgresStore::open(&redrive_postgres::config(&self.database).expect("a URL")).expect("open");
        let protocol = self.protocol.get_or_insert_with(|| Protocol::new(store()));
        protocol.set_time(now.as_millisecond());
        protocol.store_mut().begin().expect("begun");
        let answer = operation(protocol).expect("done");
        let (run, figures) = (protocol.run(), protocol.uncommitted());
        protocol.store_mut().write(run, &figures).expect("written");
        protocol.store_mut().commit().expect("committed");
        protocol.committed();
        answer
    }
}

impl Subject for OnServer {
    fn begin(&mut self, spec: RunSpec, now: Timestamp) -> Begun {
        self.does(now, |protocol| protocol.begin(&spec))
    }

    fn kill(&mut self) {
        self.protocol = None;
        // It is of this process, which lives: nobody would take it for dead as yet.
        Server::shared().execute(&self.database, "UPDATE run SET beat = 0").expect("given up");
    }

    fn admit(&mut self, deliveries: Vec<Delivery>, now: Timestamp) -> Vec<Admitted> {
        self.does(now, |protocol| Ok(protocol.admit(deliveries)?))
    }

    fn judge(&mut self, judgements: Vec<Judgement>, now: Timestamp) -> Vec<Judged> {
        self.does(now, |protocol| protocol.judge(judgements))
    }

    fn settle(&mut self, settlements: Vec<Settlement>, now: Timestamp) -> Vec<Settled> {
        self.does(now, |protocol| protocol.settle(settlements))
    }

    fn deleted(&mut self, deletes: Vec<(Sent, DeleteEnd)>, now: Timestamp) -> Vec<Sent> {
        self.does(now, |protocol| protocol.deleted(deletes))
    }

    fn vanish(&mut self, now: Timestamp) {
        self.does(now, Protocol::vanish);
    }

    fn end(&mut self, end: &SessionEnd, now: Timestamp) {
        self.does(now, |protocol| Ok(protocol.end(end)?));
    }

    fn resolve(&mut self, resolve: &Resolve, now: Timestamp) -> u64 {
        let count = self.does(now, |protocol| protocol.resolve(resolve));
        self.kill();
        count
    }

    fn tally(&mut self) -> Tally {
        self.protocol.as_ref().expect("a session").tally().folded()
    }

    fn lease_count(&mut self, now: Timestamp) -> u64 {
        self.does(now, |protocol| Ok(protocol.lease_count()?))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_history_means_the_same_on_a_server_and_in_memory(acts in histories(1..60)) {
        compare(&acts, &mut OnServer { database: Server::shared().database(), protocol: None });
    }
}
