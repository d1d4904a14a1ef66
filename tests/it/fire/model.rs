//! The reference model: what may be where, whatever was done to a run. It looks at the servers' side (the request log, the
//! queues, the archive) and at what the report lists; of the journal only at what a crash left of it on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use redrive::journal::{Journal, system_clock};
use redrive_store_tests::server::Server;
use serde_json::Value;

use super::{Archive, InDoubt, Scene};
use crate::end_to_end::expected;
use crate::support::stage::{Inventory, Ran, content, count};
use crate::two::{ANOTHER, there};

/// What a check found, for figures.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Messages that left the source for where they belong.
    pub(crate) moved: usize,
    /// Of these, those that are there more than once; all are listed as in doubt.
    pub(crate) repeated: usize,
}

impl Found {
    /// In words. What is not here has failed the test.
    pub(crate) fn told(self) -> String {
        let Self { moved, repeated } = self;
        format!("{moved} messages moved; lost: 0; twice and listed as in doubt: {repeated}; twice and not listed: 0")
    }
}

/// The sum.
pub(crate) fn total(found: Vec<Found>) -> Found {
    let add = |sum: Found, one: Found| Found { moved: sum.moved + one.moved, repeated: sum.repeated + one.repeated };
    found.into_iter().fold(Found::default(), add)
}

/// Who else has been at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    Nobody,
    /// Somebody emptied it: what is in no place any more is theirs to answer for.
    EmptiedIt,
}

impl Scene {
    /// Holds the end of a run against the model.
    pub(crate) async fn assert_holds(&self, ran: &Ran, others: Others, at: &str) -> Found {
        let at = format!("{at}, {:?}\n{}\n{}", self.setting, ran.stdout, ran.stderr);
        self.assert_deletes_are_proven(&at);
        let (listed, limbo) = (self.listed().await, self.limbo.lock().await);
        let deleted = self.deleted();
        let mut places: BTreeMap<&str, Inventory> =
            ["orders", "audit"].map(|queue| (queue, self.stage.inventory(queue))).into();
        places.insert("archive", self.archived());
        let source = self.stage.sandbox.queue("orders-dlq").expect("the source").messages;
        let in_source: BTreeMap<&str, _> = source.iter().map(|message| (message.id.as_str(), message)).collect();
        assert_eq!(in_source.len(), source.len(), "{at}");
        let inventory = self.stage.inventory("orders-dlq");

        let mut found = Found::default();
        for (number, id) in self.ids.iter().enumerate() {
            let (place, content) = expected(number);
            let stays = in_source.contains_key(id.as_str());
            if place == "orders-dlq" {
                assert!(stays || others == Others::EmptiedIt, "{id}, which no rule takes, is gone: {at}");
                assert!(!stays || inventory.get(&content) == Some(&1), "{id} is not as it was: {at}");
                assert!(!deleted.contains(id), "{id}, which no rule takes, was deleted: {at}");
                continue;
            }
            let copies = places.get_mut(place).and_then(|inventory| inventory.remove(&content)).unwrap_or(0);
            if deleted.contains(id) || others == Others::Nobody {
                assert!(copies > 0 || stays, "{id} is lost: {at}");
            }
            assert!(copies > 0 || !deleted.contains(id), "{id} was deleted, and is not at {place}: {at}");
            if copies > 1 && !limbo.contains(id) {
                assert_eq!(self.setting.in_doubt, InDoubt::Resend, "{id} is at {place} {copies} times: {at}");
                assert_ne!(place, "archive", "{id} is archived {copies} times: {at}");
                assert!(listed.contains(id), "{id} is at {place} {copies} times and not listed as in doubt: {at}");
                found.repeated += 1;
            }
            found.moved += usize::from(copies > 0 && !stays);
        }
        for (place, rest) in places {
            assert!(
                rest.is_empty(),
                "at {place} is what does not belong there, or is not as it was sent: {rest:?} {at}"
            );
        }
        let ids: BTreeSet<&str> = self.ids.iter().map(String::as_str).collect();
        assert!(in_source.keys().all(|id| ids.contains(id)), "in the source is what was not there: {at}");
        if let Some(limit) = self.setting.limit {
            let left = ["moved", "archived", "dropped"].map(|name| ran.summary()[name].as_u64().expect(name));
            assert!(left.iter().sum::<u64>() <= limit, "more than {limit} left: {at}");
        } else if others == Others::Nobody {
            self.assert_figures(&ran.summary(), source.len(), &at);
        }
        found
    }

    /// A finished run met all messages, and says of as many as are in the source that they stay.
    fn assert_figures(&self, summary: &Value, in_source: usize, at: &str) {
        let number = |name: &str| usize::try_from(summary[name].as_u64().expect(name)).expect("a small number");
        assert_eq!(number("received"), self.ids.len(), "{at}");
        let stay = ["kept", "blocked", "held", "failed"].map(number).iter().sum::<usize>();
        assert_eq!(stay, in_source, "{at}");
    }

    /// No delete had an effect before the destination had acknowledged the message, by the servers' own log.
    pub(crate) fn assert_deletes_are_proven(&self, at: &str) {
        let numbers: BTreeMap<&str, usize> =
            self.ids.iter().enumerate().map(|(number, id)| (id.as_str(), number)).collect();
        let (mut acknowledged, mut objects) = (BTreeSet::new(), BTreeSet::new());
        for entry in self.stage.sandbox.log() {
            let answered = entry.status == 200 && !entry.faults.iter().any(|fault| fault == "corrupt md5");
            match entry.action.as_str() {
                "SendMessageBatch" if answered => {
                    let digests = entry.messages.into_iter().filter_map(|message| message.body_md5);
                    acknowledged.extend(digests.map(|digest| (entry.resource.clone(), digest)));
                }
                // What is read back is compared byte for byte.
                "PutObject" | "GetObject" if answered => drop(objects.insert(entry.key.expect("a key"))),
                "DeleteMessageBatch" => {
                    for message in entry.messages {
                        let (place, (body, _)) = expected(numbers[message.id.as_str()]);
                        let proven = match (place, self.setting.archive) {
                            ("archive", Archive::S3) => {
                                objects.iter().any(|key| key.ends_with(&format!("{}.json", message.id)))
                            }
                            // A line is in no log; it is in the file in the end, or counted as lost.
                            ("archive", Archive::File) => true,
                            _ => acknowledged.contains(&(place.to_owned(), redrive::md5::of_body(&body))),
                        };
                        assert!(proven, "request {} deleted {} before its proof: {at}", entry.number, message.id);
                    }
                }
                _ => {}
            }
        }
    }

    /// Right after a crash: whatever was deleted, the journal on disk knows to be sent.
    pub(crate) fn assert_deleted_is_on_disk(&self, at: &str) {
        let (deleted, states) = (self.deleted(), self.states_on_disk());
        let archive = self.archive_files();
        let numbers: BTreeMap<&str, usize> =
            self.ids.iter().enumerate().map(|(number, id)| (id.as_str(), number)).collect();
        for id in deleted {
            let is_line = self.setting.archive == Archive::File && expected(numbers[id.as_str()]).0 == "archive";
            let lines = is_line.then_some(archive.as_str());
            let state = states.get(&id).copied();
            // Sent, or done.
            assert!(matches!(state, Some(2 | 3)), "{id} was deleted, and is {state:?} on disk: {at}");
            assert!(lines.is_none_or(|lines| lines.contains(id.as_str())), "{id} was deleted, and has no line: {at}");
        }
    }

    /// Messages that deletes took out of the source.
    fn deleted(&self) -> BTreeSet<String> {
        let log = self.stage.sandbox.log().into_iter().filter(|entry| entry.action == "DeleteMessageBatch");
        log.flat_map(|entry| entry.messages).map(|message| message.id).collect()
    }

    /// Messages that are at their destination and in the source.
    pub(super) fn sent_and_in_source(&self) -> Vec<String> {
        let source = self.stage.sandbox.queue("orders-dlq").expect("the source").messages;
        let in_source: BTreeSet<String> = source.into_iter().map(|message| message.id).collect();
        let mut places: BTreeMap<&str, Inventory> =
            ["orders", "audit"].map(|queue| (queue, self.stage.inventory(queue))).into();
        places.insert("archive", self.archived());
        let is_sent = |number| {
            let (place, content) = expected(number);
            places.get(place).is_some_and(|inventory| inventory.contains_key(&content))
        };
        let ids = self.ids.iter().enumerate().filter(|(number, id)| in_source.contains(*id) && is_sent(*number));
        ids.map(|(_, id)| id.clone()).collect()
    }

    /// The states in the journals, that of another machine included.
    fn states_on_disk(&self) -> BTreeMap<String, u8> {
        if let Some(url) = &self.stage.journal {
            let server = Server::shared();
            if server.rows(url, "SELECT to_regclass('message') IS NOT NULL") == [["f"]] {
                return BTreeMap::new();
            }
            let rows = server.rows(url, "SELECT encode(id, 'hex'), state FROM message");
            return rows.into_iter().map(|row| (with_hyphens(&row[0]), row[1].parse().expect("a number"))).collect();
        }
        let mut states = states_in(&self.stage.path(ANOTHER).join(".redrive"));
        for (id, state) in states_in(&self.stage.path(".redrive")) {
            // Whoever deleted it knows it to be sent.
            let known = states.entry(id).or_insert(state);
            *known = if matches!(state, 2 | 3) { state } else { *known };
        }
        states
    }

    /// Messages that the report lists as once in doubt.
    async fn listed(&self) -> BTreeSet<String> {
        let arguments = ["report", "--format", "json"];
        let mut reports = vec![self.stage.redrive(&arguments).await.expect(0)];
        if self.stage.path(ANOTHER).exists() {
            reports.push(there(&self.stage, &arguments).await.expect(0));
        }
        let mut listed = BTreeSet::new();
        for report in reports {
            let report: Value = serde_json::from_str(&report.stdout).expect("JSON");
            let troubles = report["troubles"].as_array().expect("troubles").iter();
            let doubted = troubles.filter(|trouble| trouble["doubts"].as_u64().expect("doubts") > 0);
            listed.extend(doubted.map(|trouble| trouble["message_id"].as_str().expect("an ID").to_owned()));
        }
        listed
    }

    /// The archive files of this machine and of another.
    fn archive_files(&self) -> String {
        let folders = [self.stage.directory.path().to_owned(), self.stage.path(ANOTHER)];
        folders.map(|folder| std::fs::read_to_string(folder.join("archive.jsonl")).unwrap_or_default()).concat()
    }

    fn archived(&self) -> Inventory {
        match self.setting.archive {
            Archive::S3 => count(self.stage.envelopes("archive").iter().map(content)),
            Archive::File => {
                let text = self.archive_files();
                let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a whole line"));
                count(lines.collect::<Vec<_>>().iter().map(content))
            }
        }
    }
}

/// The states in a journal as a crash left it. A copy is looked at: opening the journal itself would mend it.
fn states_in(folder: &Path) -> BTreeMap<String, u8> {
    let copy = tempfile::tempdir().expect("a directory");
    for name in ["journal.db", "journal.db-wal"] {
        let file = folder.join(name);
        if file.exists() {
            std::fs::copy(file, copy.path().join(name)).expect("a copy");
        }
    }
    let path = copy.path().join("journal.db");
    if !path.exists() {
        return BTreeMap::new();
    }
    // Opening it puts to rest what was on its way.
    drop(Journal::open(&path.clone().into(), system_clock(|| None)).expect("a journal"));
    let journal = rusqlite::Connection::open(path).expect("a database");
    let mut rows = journal.prepare("SELECT lower(hex(id)), state FROM rested").expect("rows");
    let states = rows.query_map([], |row| Ok((with_hyphens(&row.get::<_, String>(0)?), row.get(1)?)));
    states.expect("states").collect::<Result<_, _>>().expect("states")
}

/// A UUID, from its digits.
fn with_hyphens(id: &str) -> String {
    [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-")
}
