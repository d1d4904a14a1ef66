//! The journal's files cut, flipped and full: what was committed is there, or the journal is refused in words. Never less.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::journal::front;
use crate::journal::lock::Lock;

/// Where files need no disk, since these tests make thousands of them.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let scratch = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    scratch.expect("directory")
}

/// Everything that the journal knows, as text, wherever it lies; nothing where there are no tables.
fn dump(connection: &Connection) -> String {
    let Ok(shown) = front::show(connection) else { return String::new() };
    assert!(shown, "what is on its way can be read");
    let lines = "SELECT printf('%s %d %d %s', CAST(id AS TEXT), state, doubts, hex(sent_as)) FROM message UNION ALL
        SELECT printf('%s %s', CAST(id AS TEXT), handle) FROM lease UNION ALL SELECT name FROM run";
    let mut lines: Vec<String> = connection
        .prepare(lines)
        .and_then(|mut lines| lines.query_map([], |row| row.get(0))?.collect())
        .expect("all lines");
    let handles = front::handles(connection).expect("handles").expect("sound");
    lines.extend(handles.into_iter().map(|(id, handle)| format!("{} {handle}", String::from_utf8_lossy(&id))));
    lines.sort();
    lines.join("\n")
}

/// A journal at work, as a kill leaves it: its files' bytes, and what it knew after each commit by the length of its
/// write-ahead log then. Small pages, so that a commit is few bytes.
async fn at_work() -> (Vec<u8>, Vec<u8>, BTreeMap<usize, String>) {
    let place = Place::new();
    let (path, log) = (place.path(), place.path().with_extension("db-wal"));
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    Connection::open(&path)
        .and_then(|c| c.execute_batch("PRAGMA page_size = 512; PRAGMA journal_mode = wal"))
        .expect("small pages");
    let (journal, _) = place.begin("run").await;
    let reader = Connection::open(&path).expect("open");
    let mut commits = BTreeMap::new();
    let mut note = || {
        commits.insert(fs::metadata(&log).expect("a log").len().try_into().expect("small"), dump(&reader));
    };
    note();
    for number in 0..6 {
        let claim = claim(&journal, &format!("m{number}")).await;
        note();
        let intended = intend(&journal, claim).await;
        note();
        let end = SendEnd::Acknowledged(Some(MessageId::new(format!("n{number}"))));
        let settled = journal.settle(vec![Settlement { intended, end }]).await.expect("settle").remove(0);
        note();
        let Settled::Sent(sent) = settled else { panic!("sent") };
        if number % 2 == 0 {
            journal.deleted(vec![(sent, DeleteEnd::Confirmed)]).await.expect("deleted");
            note();
        }
    }
    (fs::read(&path).expect("the journal"), fs::read(&log).expect("its log"), commits)
}

#[tokio::test]
async fn a_log_cut_anywhere_gives_what_was_committed_before_the_cut() {
    let (journal, log, commits) = at_work().await;
    let lengths: Vec<usize> = commits.keys().copied().collect();
    let last_three = lengths[lengths.len() - 4];
    let cuts = (0..last_three).step_by(61).chain(last_three..=log.len());
    let scratch = scratch();
    let path = scratch.path().join("journal.db");
    for cut in cuts {
        fs::write(&path, &journal).expect("write");
        fs::write(path.with_extension("db-wal"), &log[..cut]).expect("write");
        let connection = schema::open(&path).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        let expected = commits.range(..=cut).next_back().map_or("", |commit| commit.1.as_str());
        assert_eq!(dump(&connection), expected, "cut at {cut} of {}", log.len());
    }
}

#[tokio::test]
async fn a_run_goes_on_from_every_commit_with_its_sums_right() {
    let (journal, log, commits) = at_work().await;
    for cut in commits.keys() {
        let place = Place::new();
        fs::create_dir_all(place.path().parent().expect("a directory")).expect("a directory");
        fs::write(place.path(), &journal).expect("write");
        fs::write(place.path().with_extension("db-wal"), &log[..*cut]).expect("write");
        let known = dump(&Connection::open(place.path()).expect("open"));
        let (journal, begun) = place.begin("run").await;
        assert!(begun.resumed && begun.interrupted, "cut at {cut}");
        let mut to_delete: BTreeMap<_, _> =
            begun.to_delete.into_iter().map(|sent| (sent.id().to_string(), sent)).collect();
        for number in 0..6 {
            let id = format!("m{number}");
            let state = known.lines().find_map(|line| {
                let (first, rest) = line.split_once(' ')?;
                let state = rest.split(' ').next()?.parse().ok().and_then(State::from_number);
                state.filter(|_| first == id)
            });
            let was_sent = matches!(state, Some(State::Sent | State::Done));
            let sent = match (to_delete.remove(&id), was_sent) {
                (Some(sent), true) => sent,
                (None, true) => match admit(&journal, &id, "newer").await {
                    Admitted::Sent(sent) => sent,
                    other => panic!("cut at {cut}: {id} was sent, and is {other:?}"),
                },
                (None, false) => {
                    let claim = match (admit(&journal, &id, "newer").await, state) {
                        (Admitted::Doubtful(doubtful), Some(State::Sending)) => doubtful.judge_again(),
                        (Admitted::New(claim), None) => claim,
                        (other, state) => panic!("cut at {cut}: {id} was {state:?}, and is {other:?}"),
                    };
                    let end = SendEnd::Acknowledged(Some(MessageId::new(format!("again{number}"))));
                    let intended = intend(&journal, claim).await;
                    match journal.settle(vec![Settlement { intended, end }]).await.expect("settle").remove(0) {
                        Settled::Sent(sent) => sent,
                        other => panic!("{other:?}"),
                    }
                }
                (Some(_), false) => panic!("cut at {cut}: {id} is to be deleted without a proof"),
            };
            let mut left = vec![sent];
            while let Some(sent) = left.pop() {
                left = journal.deleted(vec![(sent, DeleteEnd::Confirmed)]).await.expect("deleted");
            }
        }
        assert_eq!(journal.tally().count(|key| key.state == State::Done), 6, "cut at {cut}");
        assert_eq!(counted_anew(&place).0, 6);
    }
}

/// A closed journal with twenty messages that are sent and not deleted, and without free pages, of which none would be missed.
async fn closed() -> Vec<u8> {
    let place = Place::new();
    let (journal, _) = place.begin("run").await;
    for number in 0..20 {
        drop(send(&journal, &format!("m{number}"), &format!("n{number}")).await);
    }
    drop(journal);
    Connection::open(place.path()).and_then(|c| c.execute_batch("VACUUM")).expect("no free pages");
    fs::read(place.path()).expect("the journal")
}

#[tokio::test]
async fn a_file_that_was_cut_is_refused_wherever_it_was() {
    let whole = closed().await;
    let scratch = scratch();
    let path = scratch.path().join("journal.db");
    let last = whole.len() - 3 * 4096;
    for cut in (1..last).step_by(509).chain((4096..last).step_by(4096)).chain(last..whole.len()) {
        fs::write(&path, &whole[..cut]).expect("write");
        let error = schema::open(&path).err().unwrap_or_else(|| panic!("cut at {cut} of {}: taken", whole.len()));
        assert!(error.message().contains("damaged"), "cut at {cut}: {error}");
        assert_eq!(fs::metadata(&path).expect("there").len(), cut as u64, "it is left as it is");
    }
}

#[tokio::test]
async fn a_page_or_a_byte_that_is_another_costs_one_message_at_most_or_is_refused() {
    let whole = closed().await;
    let pages = (0..whole.len() / 4096).flat_map(|page| [(page * 4096, 4096, 0), (page * 4096, 4096, 0xA5)]);
    let bytes = (0..whole.len()).step_by(97).map(|at| (at, 1, !whole[at]));
    let refused = refused_of(&whole, pages.chain(bytes)).await;
    assert!(refused > 50, "{refused} were refused");
}

/// How many of these changes to a journal, each of so many bytes from somewhere on, have it refused. None of the others may
/// cost more than one of its first twenty messages.
async fn refused_of(whole: &[u8], changes: impl Iterator<Item = (usize, usize, u8)>) -> usize {
    let scratch = scratch();
    let path = scratch.path().join("journal.db");
    let mut refused = 0;
    for (at, length, value) in changes {
        let mut damaged = whole.to_vec();
        damaged[at..at + length].fill(value);
        if damaged == whole {
            continue;
        }
        for suffix in ["db-wal", "db-shm"] {
            let _ = fs::remove_file(path.with_extension(suffix));
        }
        fs::write(&path, &damaged).expect("write");
        let known = recognised(&path).await;
        refused += usize::from(known.is_none());
        assert!(known.is_none_or(|known| known >= 19), "{length} bytes at {at}: {known:?} of 20 are known");
    }
    refused
}

/// How many of the messages the journal still recognises as sent; `None` where it is refused.
async fn recognised(path: &Path) -> Option<usize> {
    let journal = Journal::open(&path.to_owned().into(), system_clock(|| None)).ok()?;
    journal.begin(spec("run")).await.ok()?;
    let deliveries = (0..20).map(|number| delivery(&format!("m{number}"), "newer")).collect();
    let admitted = journal.admit(deliveries).await.ok()?;
    // A duplicate is one that the beginning of the run gave to be deleted.
    Some(admitted.iter().filter(|admitted| matches!(admitted, Admitted::Sent(_) | Admitted::Duplicate)).count())
}

#[tokio::test]
async fn a_byte_of_many_at_rest_that_is_another_costs_one_message_at_most_or_is_refused() {
    let place = Place::new();
    super::front::at_rest(&place, "run", 0..super::front::MANY).await;
    let connection = Connection::open(place.path()).expect("open");
    connection.execute_batch("VACUUM").expect("no free pages");
    let page_of = |table: &str| -> usize {
        let leaf = "SELECT min(pageno) FROM dbstat WHERE name = ?1 AND pagetype = 'leaf'";
        connection.query_row(leaf, [table], |row| row.get(0)).expect("a page")
    };
    // A leaf of each of what leads to a message.
    let pages = ["rested", "entries", "segment"].map(page_of);
    drop(connection);
    let whole = fs::read(place.path()).expect("the journal");
    let bytes = pages.iter().flat_map(|page| ((page - 1) * 4096..page * 4096).step_by(29));
    let refused = refused_of(&whole, bytes.map(|at| (at, 1, !whole[at]))).await;
    assert!(refused > 100, "{refused} were refused");
}

#[tokio::test]
async fn a_full_disk_stops_the_run_and_what_was_answered_is_there_afterwards() {
    let place = Place::new();
    drop(place.begin("run").await);
    let connection = schema::open(&place.path()).expect("open");
    let pages: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).expect("pages");
    connection.pragma_update(None, "max_page_count", pages + 2).expect("a limit");
    let lock = Lock::take(&place.path()).expect("a lock");
    let journal = Journal::of_file(&place.path(), lock, connection, system_clock(|| None)).expect("started");
    journal.begin(spec("run")).await.expect("begun");
    let mut intended = 0;
    let error = loop {
        let admitted = match journal.admit(vec![delivery(&format!("m{intended}"), &"h".repeat(300))]).await {
            Ok(mut admitted) => admitted.remove(0),
            Err(error) => break error,
        };
        let Admitted::New(claim) = admitted else { panic!("{admitted:?}") };
        let judgement = Judgement { claim, rule: RULE, exhausted: false, decision: Decided::Send(TARGET) };
        match journal.judge(vec![judgement]).await {
            Ok(_) => intended += 1,
            Err(error) => break error,
        }
        assert!(intended < 1000, "the limit holds");
    };
    assert!(error.message().contains("full"), "{error}");
    assert!(error.hint_text().is_some_and(|hint| hint.contains("free some space")), "{error:?}");
    let after = journal.admit(vec![delivery("later", "h")]).await.expect_err("refused");
    assert!(after.message().contains("full"), "nothing goes on after it: {after}");
    drop(journal);
    let (_, begun) = place.begin("run").await;
    assert_eq!(begun.in_doubt, intended, "every intent that was answered");
}

#[tokio::test]
async fn a_journal_that_another_program_has_locked_is_waited_for_and_then_refused() {
    let place = Place::new();
    drop(place.begin("run").await);
    let other = Connection::open(place.path()).expect("open");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let journal = Journal::open(&place.location(), system_clock(|| None)).expect("open");
    let error = journal.begin(spec("run")).await.expect_err("refused");
    assert!(error.message().contains("locked by another program"), "{error}");
}
