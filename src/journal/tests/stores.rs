//! A batch of operations means on disk what it means in memory.

use proptest::prelude::*;
use redrive_store_tests::histories::{compare, histories};
use redrive_store_tests::subject::Subject;
use tokio::runtime::Runtime;

use super::*;

/// A process at work on a journal, by a clock that the history sets.
struct OnDisk {
    place: Place,
    now: Arc<Mutex<Timestamp>>,
    journal: Option<Journal>,
    runtime: Runtime,
}

impl OnDisk {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { place: Place::new(), now: Arc::default(), journal: None, runtime }
    }

    fn open(&mut self, now: Timestamp) {
        let time = Arc::clone(&self.now);
        let clock: Clock = Arc::new(move || *time.lock().expect("the time"));
        *self.now.lock().expect("the time") = now;
        self.journal = Some(Journal::open(&self.place.location(), clock).expect("open"));
    }

    fn does<T>(&mut self, now: Timestamp, does: impl AsyncFnOnce(&Journal) -> Result<T>) -> T {
        *self.now.lock().expect("the time") = now;
        self.runtime.block_on(does(self.journal.as_ref().expect("open"))).expect("done")
    }
}

impl Subject for OnDisk {
    fn begin(&mut self, spec: RunSpec, now: Timestamp) -> Begun {
        self.open(now);
        self.does(now, async |journal| journal.begin(spec).await)
    }

    fn kill(&mut self) {
        self.journal = None;
    }

    fn admit(&mut self, deliveries: Vec<Delivery>, now: Timestamp) -> Vec<Admitted> {
        self.does(now, async |journal| journal.admit(deliveries).await)
    }

    fn judge(&mut self, judgements: Vec<Judgement>, now: Timestamp) -> Vec<Judged> {
        self.does(now, async |journal| journal.judge(judgements).await)
    }

    fn settle(&mut self, settlements: Vec<Settlement>, now: Timestamp) -> Vec<Settled> {
        self.does(now, async |journal| journal.settle(settlements).await)
    }

    fn deleted(&mut self, deletes: Vec<(Sent, DeleteEnd)>, now: Timestamp) -> Vec<Sent> {
        self.does(now, async |journal| journal.deleted(deletes).await)
    }

    fn vanish(&mut self, now: Timestamp) {
        self.does(now, async |journal| journal.vanish().await);
    }

    fn end(&mut self, end: &SessionEnd, now: Timestamp) {
        self.does(now, async |journal| journal.end(end.clone()).await);
    }

    fn resolve(&mut self, resolve: &Resolve, now: Timestamp) -> u64 {
        self.open(now);
        let count = self.does(now, async |journal| journal.resolve(resolve.clone()).await);
        self.kill();
        count
    }

    fn tally(&mut self) -> Tally {
        self.journal.as_ref().expect("open").tally()
    }

    fn lease_count(&mut self, now: Timestamp) -> u64 {
        self.does(now, async |journal| journal.lease_count().await)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_history_means_the_same_on_disk_and_in_memory(acts in histories(1..60)) {
        compare(&acts, &mut OnDisk::new());
    }
}
