//! The journal's tables, as migrations: append-only over `user_version`, all that are due in one transaction.

/// In order; never changed once released.
pub(super) const MIGRATIONS: &[&str] = &["
-- Queues by ARN: sources, and those that messages came from.
CREATE TABLE queue (
    id INTEGER PRIMARY KEY,
    arn TEXT NOT NULL UNIQUE
);
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,      -- the plan's identity
    source INTEGER NOT NULL REFERENCES queue(id),
    job_sha256 TEXT NOT NULL,
    plan TEXT NOT NULL,             -- the whole plan document
    started INTEGER NOT NULL,       -- all times in milliseconds since 1970
    ended INTEGER,                  -- null: unfinished
    outcome TEXT,                   -- how its last session ended
    requests INTEGER NOT NULL DEFAULT 0,
    elapsed_ms INTEGER NOT NULL DEFAULT 0,
    deleted_for_others INTEGER NOT NULL DEFAULT 0, -- messages that other runs had sent and this one deleted
    in_session INTEGER NOT NULL DEFAULT 0 -- a process is at work on it, or died at it
);
-- One row a message and run. The key lets every run find what others did with the same message of the same queue.
CREATE TABLE message (
    source INTEGER NOT NULL,
    id BLOB NOT NULL,               -- 16 bytes where it is a UUID, else its text
    run INTEGER NOT NULL,
    state INTEGER NOT NULL,
    rule INTEGER NOT NULL,
    target INTEGER,
    exhausted INTEGER NOT NULL,
    reason INTEGER,
    doubts INTEGER NOT NULL,        -- how often the answer to a send never came
    since INTEGER,                  -- when the first of those sends was intended, or the one under way
    sent_as BLOB,                   -- the new message ID
    receive_count INTEGER,
    origin INTEGER,                 -- the queue of its DeadLetterQueueSourceArn, which no send can pass on
    at INTEGER NOT NULL,
    PRIMARY KEY (source, id, run)
) WITHOUT ROWID;
-- What came back is recognised by the ID that our send returned.
CREATE INDEX message_sent_as ON message (sent_as) WHERE sent_as IS NOT NULL;
CREATE INDEX message_doubts ON message (run) WHERE doubts > 0;
-- Details in words for the few that need them.
CREATE TABLE note (
    source INTEGER NOT NULL,
    id BLOB NOT NULL,
    run INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (source, id, run)
) WITHOUT ROWID;
-- Receipt handles of what is in flight with us; gone when it is not. A message that was delivered twice has two: which of
-- them is the newest, and so the one that counts, cannot always be known.
CREATE TABLE lease (
    source INTEGER NOT NULL,
    id BLOB NOT NULL,
    run INTEGER NOT NULL,
    handle TEXT NOT NULL,
    received INTEGER NOT NULL,
    until INTEGER NOT NULL
);
CREATE INDEX lease_id ON lease (source, id);
CREATE INDEX lease_until ON lease (until);
", "
ALTER TABLE run ADD COLUMN approvals TEXT NOT NULL DEFAULT '[]'; -- who approved the plan, as JSON
", "
-- What somebody decided about a message in doubt, or about a whole run.
CREATE TABLE resolution (
    run INTEGER NOT NULL,
    id BLOB NOT NULL,               -- the message; empty: the run itself was given up
    decision INTEGER NOT NULL,
    doubts INTEGER NOT NULL,        -- the doubts that are settled by it: one that comes later is new
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (run, id)
) WITHOUT ROWID;
", "
-- How many messages of a run stand where: to count five million of them anew takes seconds.
CREATE TABLE tally (
    run INTEGER NOT NULL,
    state INTEGER NOT NULL,
    rule INTEGER NOT NULL,
    target INTEGER NOT NULL,        -- -1: none
    exhausted INTEGER NOT NULL,
    reason INTEGER NOT NULL,        -- 0: none
    messages INTEGER NOT NULL,
    PRIMARY KEY (run, state, rule, target, exhausted, reason)
) WITHOUT ROWID;
INSERT INTO tally SELECT run, state, rule, coalesce(target, -1), exhausted, coalesce(reason, 0), count(*)
    FROM message GROUP BY 1, 2, 3, 4, 5, 6;
ALTER TABLE run ADD COLUMN doubted INTEGER NOT NULL DEFAULT 0;
UPDATE run SET doubted = (SELECT count(*) FROM message WHERE run = run.id AND doubts > 0);
-- What is neither done nor settled: few at any time, and found at once among millions.
CREATE INDEX message_open ON message (run) WHERE state IN (1, 2, 4, 5, 6, 10);
", "
-- Where a run parks messages: it has gone through its source, and what is left is to bring them back.
ALTER TABLE run ADD COLUMN drained INTEGER NOT NULL DEFAULT 0;
", "
-- Which queue the message was in: one that was parked can be in doubt on its way out and on its way back.
ALTER TABLE resolution ADD COLUMN source INTEGER NOT NULL DEFAULT 0;
UPDATE resolution SET source = (SELECT source FROM run WHERE run.id = resolution.run);
", "
-- Messages at rest, and those on their way: see front.rs. Whoever reads sees both as one.
ALTER TABLE message RENAME TO rested;
CREATE TABLE front (
    seq INTEGER PRIMARY KEY,        -- in the order in which they were delivered
    source INTEGER NOT NULL,
    id BLOB NOT NULL,
    run INTEGER NOT NULL,
    state INTEGER,                  -- null: delivered, and not judged yet
    rule INTEGER,
    target INTEGER,
    exhausted INTEGER,
    reason INTEGER,
    doubts INTEGER,
    since INTEGER,
    sent_as BLOB,
    receive_count INTEGER,
    origin INTEGER,
    at INTEGER,
    handle TEXT,                    -- of its only delivery; null: not in flight with us any more
    received INTEGER NOT NULL,
    until INTEGER NOT NULL
);
CREATE VIEW message AS
    SELECT source, id, run, state, rule, target, exhausted, reason, doubts, since, sent_as, receive_count, origin, at
    FROM rested UNION ALL
    SELECT source, id, run, state, rule, target, exhausted, reason, doubts, since, sent_as, receive_count, origin, at
    FROM front WHERE state IS NOT NULL;
", "
-- Rows in the order in which messages came to rest, two narrow indexes, and a log of what is on its way: see rested.rs, front.rs.
INSERT INTO rested SELECT source, id, run, state, rule, target, exhausted, reason, doubts, since, sent_as, receive_count, origin,
    at FROM front WHERE state IS NOT NULL;
INSERT INTO lease (source, id, run, handle, received, until)
    SELECT source, id, run, handle, received, until FROM front WHERE handle IS NOT NULL ORDER BY seq;
DROP VIEW message;
DROP TABLE front;
ALTER TABLE rested RENAME TO before;
CREATE TABLE rested (
    seq INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    id BLOB NOT NULL,               -- 16 bytes where it is a UUID, else its text
    run INTEGER NOT NULL,
    state INTEGER NOT NULL,
    rule INTEGER NOT NULL,
    target INTEGER,
    exhausted INTEGER NOT NULL,
    reason INTEGER,
    doubts INTEGER NOT NULL,        -- how often the answer to a send never came
    since INTEGER,                  -- when the first of those sends was intended, or the one under way
    sent_as BLOB,                   -- the new message ID
    receive_count INTEGER,
    origin INTEGER,                 -- the queue of its DeadLetterQueueSourceArn, which no send can pass on
    at INTEGER NOT NULL
);
INSERT INTO rested SELECT NULL, source, id, run, state, rule, target, exhausted, reason, doubts, since, sent_as, receive_count,
    origin, at FROM before;
DROP TABLE before;
CREATE INDEX message_doubts ON rested (run) WHERE doubts > 0;
CREATE INDEX message_open ON rested (run) WHERE state IN (1, 2, 4, 5, 6, 10);
-- By the first eight bytes of an ID. Source, whole ID and run together are found once.
CREATE TABLE by_id (prefix BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (prefix, seq)) WITHOUT ROWID;
INSERT INTO by_id SELECT substr(id, 1, 8), seq FROM rested ORDER BY 1, 2;
CREATE TABLE by_sent_as (prefix BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (prefix, seq)) WITHOUT ROWID;
INSERT INTO by_sent_as SELECT substr(sent_as, 1, 8), seq FROM rested WHERE sent_as IS NOT NULL ORDER BY 1, 2;
CREATE VIEW known AS SELECT by_id.prefix, rested.* FROM by_id CROSS JOIN rested ON rested.seq = by_id.seq;
CREATE VIEW known_as AS SELECT by_sent_as.prefix, rested.* FROM by_sent_as CROSS JOIN rested ON rested.seq = by_sent_as.seq;
-- Changes of messages that are on their way, a row a commit.
CREATE TABLE front (
    seq INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    run INTEGER NOT NULL,
    changes BLOB NOT NULL
);
", "
-- The indexes grow by segments: see rested.rs.
CREATE TABLE segment (
    number INTEGER PRIMARY KEY,     -- 0: what came to rest by itself, of whichever run
    run INTEGER,                    -- null in that case
    ids BLOB NOT NULL,              -- filters: see filter.rs
    sent_as BLOB NOT NULL
);
INSERT INTO segment VALUES (0, NULL, x'', x'');
DROP VIEW known;
DROP VIEW known_as;
ALTER TABLE by_id RENAME TO before;
CREATE TABLE by_id (segment INTEGER NOT NULL, prefix BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (segment, prefix, seq))
    WITHOUT ROWID;
INSERT INTO by_id SELECT 0, prefix, seq FROM before ORDER BY prefix, seq;
DROP TABLE before;
ALTER TABLE by_sent_as RENAME TO before;
CREATE TABLE by_sent_as (segment INTEGER NOT NULL, prefix BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (segment, prefix, seq))
    WITHOUT ROWID;
INSERT INTO by_sent_as SELECT 0, prefix, seq FROM before ORDER BY prefix, seq;
DROP TABLE before;
CREATE VIEW known AS SELECT segment, prefix, rested.* FROM by_id CROSS JOIN rested ON rested.seq = by_id.seq;
CREATE VIEW known_as AS SELECT segment, prefix, rested.* FROM by_sent_as CROSS JOIN rested ON rested.seq = by_sent_as.seq;
", "
-- The entries of a segment lie by the dozen in one row: see entries.rs. Those that were there are loose, in no segment.
DROP VIEW known;
DROP VIEW known_as;
DROP TABLE segment;
ALTER TABLE by_id RENAME TO before;
CREATE TABLE by_id (prefix BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (prefix, seq)) WITHOUT ROWID;
INSERT OR IGNORE INTO by_id SELECT prefix, seq FROM before ORDER BY prefix, seq;
DROP TABLE before;
ALTER TABLE by_sent_as RENAME TO before;
CREATE TABLE by_sent_as (prefix BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (prefix, seq)) WITHOUT ROWID;
INSERT OR IGNORE INTO by_sent_as SELECT prefix, seq FROM before ORDER BY prefix, seq;
DROP TABLE before;
CREATE TABLE segment (
    number INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    ids BLOB NOT NULL,              -- filters: see filter.rs
    sent_as BLOB NOT NULL
);
CREATE TABLE entries (
    segment INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    first INTEGER NOT NULL,         -- the first row of those that came to rest together; each entry has its distance
    ids BLOB NOT NULL,              -- by the messages' IDs
    sent_as BLOB NOT NULL,          -- by the IDs that their sends returned
    PRIMARY KEY (segment, bucket, first)
) WITHOUT ROWID;
", "
-- What was written to archive files, a row a write: see archives.rs.
CREATE TABLE piece (
    run INTEGER NOT NULL,
    target INTEGER NOT NULL,
    start INTEGER NOT NULL,         -- where in the file it begins
    length INTEGER NOT NULL,
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    digest BLOB NOT NULL,           -- SHA-256 of its bytes
    beginnings BLOB,                -- of one that may be torn: digests of how far it may have come; null once it is on disk
    PRIMARY KEY (run, target, start)
) WITHOUT ROWID;
", "
-- What the end of a session says beside counts of messages, so that a later report says the same.
ALTER TABLE run ADD COLUMN error TEXT;          -- why it stopped before its end
ALTER TABLE run ADD COLUMN hint TEXT;
ALTER TABLE run ADD COLUMN not_released INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN still_visible INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN in_flight_elsewhere INTEGER NOT NULL DEFAULT 0;
", "
-- How a run is gone on with, and which process is at work on it.
ALTER TABLE run ADD COLUMN command TEXT NOT NULL DEFAULT '[]';  -- its words, as JSON
ALTER TABLE run ADD COLUMN directory TEXT NOT NULL DEFAULT '';  -- where it was given
ALTER TABLE run ADD COLUMN sandbox INTEGER NOT NULL DEFAULT 0;  -- on one that ended with its process
ALTER TABLE run ADD COLUMN pid INTEGER;                         -- of the session under way, or of one that was killed
-- A table of its own: changed at each commit, it must not take the plan along.
CREATE TABLE effort (run INTEGER PRIMARY KEY, requests INTEGER NOT NULL, elapsed_ms INTEGER NOT NULL);
INSERT INTO effort SELECT id, requests, elapsed_ms FROM run;
ALTER TABLE run DROP COLUMN requests;
ALTER TABLE run DROP COLUMN elapsed_ms;
"];
