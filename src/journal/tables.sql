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
    plan TEXT NOT NULL,             -- the plan document, without its examples
    approvals TEXT NOT NULL DEFAULT '[]', -- who approved the plan, as JSON
    started INTEGER NOT NULL,       -- all times in milliseconds since 1970
    ended INTEGER,                  -- null: unfinished
    outcome TEXT,                   -- how its last session ended
    error TEXT,                     -- why it stopped before its end
    hint TEXT,
    not_notified TEXT,              -- what the webhook could not be told of the last session, and why
    doubted INTEGER NOT NULL DEFAULT 0,            -- messages of which the answer to some send never came
    deleted_for_others INTEGER NOT NULL DEFAULT 0, -- messages that other runs had sent and this one deleted
    not_released INTEGER NOT NULL DEFAULT 0,
    still_visible INTEGER NOT NULL DEFAULT 0,
    in_flight_elsewhere INTEGER NOT NULL DEFAULT 0,
    drained INTEGER NOT NULL DEFAULT 0,    -- it has gone through its source, and is to bring back what it parked
    in_session INTEGER NOT NULL DEFAULT 0, -- a process is at work on it, or died at it
    pid INTEGER,                    -- of that process
    command TEXT NOT NULL DEFAULT '[]',    -- the words of the command that goes on with it, as JSON
    directory TEXT NOT NULL DEFAULT '',    -- where it was given
    sandbox INTEGER NOT NULL DEFAULT 0     -- on one that ended with its process
);
-- What a run has cost. A table of its own: changed at each commit, it must not take the plan along.
CREATE TABLE effort (
    run INTEGER PRIMARY KEY,
    requests INTEGER NOT NULL,
    elapsed_ms INTEGER NOT NULL
);
-- How a run went over time, in slices of so many seconds (timeline.rs).
CREATE TABLE timeline (
    run INTEGER NOT NULL,
    start INTEGER NOT NULL,         -- the second since 1970
    seconds INTEGER NOT NULL,
    departed INTEGER NOT NULL,      -- messages that left the source
    in_doubt INTEGER NOT NULL,      -- messages of which the answer to a send never came
    throttled INTEGER NOT NULL,     -- requests
    PRIMARY KEY (run, start)
) WITHOUT ROWID;
-- The numbers in `rested` and `tally`, in words; filled when the journal is made.
CREATE TABLE state (number INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE reason (number INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL);
-- Messages at rest, a row a message and run, in the order in which they came to rest.
CREATE TABLE rested (
    seq INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    id BLOB NOT NULL,               -- 16 bytes if it is a UUID, else its text
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
CREATE INDEX message_doubts ON rested (run) WHERE doubts > 0;
-- What is neither done nor settled: few at any time, and found at once among millions.
CREATE INDEX message_open ON rested (run) WHERE state IN (1, 2, 4, 5, 6, 10);
-- For people: what is at rest, in words. The program does not read it.
CREATE VIEW messages AS
    SELECT run.name AS run, queue.arn AS queue,
        CASE length(rested.id) WHEN 16 THEN
            substr(lower(hex(rested.id)), 1, 8) || '-' || substr(lower(hex(rested.id)), 9, 4) || '-' ||
            substr(lower(hex(rested.id)), 13, 4) || '-' || substr(lower(hex(rested.id)), 17, 4) || '-' ||
            substr(lower(hex(rested.id)), 21)
        ELSE CAST(rested.id AS TEXT) END AS id,
        state.name AS state, rested.rule, rested.target, reason.name AS reason, rested.doubts,
        datetime(rested.at / 1000, 'unixepoch') AS at
    FROM rested JOIN run ON run.id = rested.run JOIN queue ON queue.id = rested.source
        JOIN state ON state.number = rested.state LEFT JOIN reason ON reason.number = rested.reason;
-- Messages that came to rest by themselves, by the first eight bytes of an ID.
CREATE TABLE by_id (prefix BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (prefix, seq)) WITHOUT ROWID;
CREATE TABLE by_sent_as (prefix BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (prefix, seq)) WITHOUT ROWID;
-- The index of all others grows by segments (rested.rs), with a filter for each kind of ID (filter.rs) ...
CREATE TABLE segment (
    number INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    ids BLOB NOT NULL,
    sent_as BLOB NOT NULL
);
-- ... and a segment's entries lie by the dozen in one row (entries.rs).
CREATE TABLE entries (
    segment INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    first INTEGER NOT NULL,         -- the first row of those that came to rest together; each entry has its distance
    ids BLOB NOT NULL,              -- by the messages' IDs
    sent_as BLOB NOT NULL,          -- by the IDs that their sends returned
    PRIMARY KEY (segment, bucket, first)
) WITHOUT ROWID;
-- Changes of messages that are on their way, a row a commit (front.rs).
CREATE TABLE front (
    seq INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    run INTEGER NOT NULL,
    changes BLOB NOT NULL
);
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
-- Details in words for the few that need them.
CREATE TABLE note (
    source INTEGER NOT NULL,
    id BLOB NOT NULL,
    run INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (source, id, run)
) WITHOUT ROWID;
-- What helps to find a message, if the job asks for it (identity.rs).
CREATE TABLE identity (
    run INTEGER NOT NULL,
    id BLOB NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, id)
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
-- What somebody decided about a message in doubt, or about a whole run.
CREATE TABLE resolution (
    run INTEGER NOT NULL,
    source INTEGER NOT NULL,        -- which queue the message was in: one that was parked can be in doubt out and back
    id BLOB NOT NULL,               -- the message; empty: the run itself was given up
    decision INTEGER NOT NULL,      -- 1 resend, 2 discard, 3 release, 4 abandon
    doubts INTEGER NOT NULL,        -- the doubts that are settled by it: one that comes later is new
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (run, id)
) WITHOUT ROWID;
-- What was written to archive files, a row a write (archives.rs).
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
-- What guards and people did to a run, in order (guards.rs).
CREATE TABLE guard_event (
    seq INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    who TEXT,                       -- null: no person
    words TEXT NOT NULL,
    data TEXT NOT NULL              -- what the next session has to know of it, as JSON
);
CREATE INDEX guard_event_run ON guard_event (run);
-- Messages of a run that came back.
CREATE TABLE bounce (
    run INTEGER NOT NULL,
    id BLOB NOT NULL,               -- the ID that the send returned
    rule INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    at INTEGER NOT NULL,            -- when it was seen
    PRIMARY KEY (run, id)
) WITHOUT ROWID;
