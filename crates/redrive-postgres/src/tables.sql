-- Plain tables and B-trees: no sequences, triggers, foreign keys or partial indexes, which some servers that speak PostgreSQL's
-- protocol do not have. Times are milliseconds since 1970.

-- What this is.
CREATE TABLE journal (
    format BIGINT PRIMARY KEY       -- of these tables
);
INSERT INTO journal VALUES (1);
-- Queues by ARN: sources, and those that messages came from.
CREATE TABLE queue (
    id BIGINT PRIMARY KEY,
    arn TEXT NOT NULL UNIQUE
);
CREATE TABLE run (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,      -- the plan's identity
    source BIGINT NOT NULL,
    job_sha256 TEXT NOT NULL,
    plan TEXT NOT NULL,             -- the plan document, without its examples
    approvals TEXT NOT NULL,        -- who approved the plan, as JSON
    started BIGINT NOT NULL,
    ended BIGINT,                   -- null: unfinished
    outcome TEXT,                   -- how its last session ended
    error TEXT,                     -- why it stopped before its end
    hint TEXT,
    not_notified TEXT,              -- what the webhook could not be told of the last session, and why
    doubted BIGINT NOT NULL DEFAULT 0,            -- messages of which the answer to some send never came
    deleted_for_others BIGINT NOT NULL DEFAULT 0, -- messages that other runs had sent and this one deleted
    not_released BIGINT NOT NULL DEFAULT 0,
    still_visible BIGINT NOT NULL DEFAULT 0,
    in_flight_elsewhere BIGINT NOT NULL DEFAULT 0,
    drained BOOLEAN NOT NULL DEFAULT FALSE,       -- it has gone through its source, and is to bring back what it parked
    in_session BOOLEAN NOT NULL DEFAULT FALSE,    -- a process is at work on it, or died at it
    epoch BIGINT,                   -- of that process: nobody else commits to this run
    host TEXT,                      -- where it runs
    pid BIGINT,
    beat BIGINT,                    -- when it last committed, by the server's clock
    command TEXT NOT NULL,          -- the words of the command that goes on with it, as JSON
    directory TEXT NOT NULL,        -- where it was given
    sandbox BOOLEAN NOT NULL,       -- on one that ended with its process
    requests BIGINT NOT NULL DEFAULT 0,
    elapsed_ms BIGINT NOT NULL DEFAULT 0
);
-- A row a message and run.
CREATE TABLE message (
    source BIGINT NOT NULL,
    id BYTEA NOT NULL,              -- 16 bytes if it is a UUID, else its text
    run BIGINT NOT NULL,
    state SMALLINT NOT NULL,
    rule INTEGER NOT NULL,
    target INTEGER,
    exhausted BOOLEAN NOT NULL,
    reason SMALLINT,
    doubts BIGINT NOT NULL,         -- how often the answer to a send never came
    since BIGINT,                   -- when the first of those sends was intended, or the one under way
    sent_as BYTEA,                  -- the new message ID
    receive_count BIGINT,
    origin BIGINT,                  -- the queue of its DeadLetterQueueSourceArn, which no send can pass on
    at BIGINT NOT NULL,
    PRIMARY KEY (source, id, run)
);
CREATE INDEX message_sent_as ON message (sent_as);
-- What is neither done nor settled is few at any time, and found at once among millions.
CREATE INDEX message_state ON message (run, state);
-- How many messages of a run stand where: to count millions of them anew takes seconds.
CREATE TABLE tally (
    run BIGINT NOT NULL,
    state SMALLINT NOT NULL,
    rule INTEGER NOT NULL,
    target INTEGER NOT NULL,        -- -1: none
    exhausted BOOLEAN NOT NULL,
    reason SMALLINT NOT NULL,       -- 0: none
    messages BIGINT NOT NULL,
    PRIMARY KEY (run, state, rule, target, exhausted, reason)
);
-- Details in words for the few that need them.
CREATE TABLE note (
    source BIGINT NOT NULL,
    id BYTEA NOT NULL,
    run BIGINT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (source, id, run)
);
-- Receipt handles of what is in flight with us; gone when it is not. A message that was delivered twice has two.
CREATE TABLE lease (
    source BIGINT NOT NULL,
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,         -- in the order in which deliveries were noted
    run BIGINT NOT NULL,
    handle TEXT NOT NULL,
    received BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (source, id, number)
);
-- What somebody decided about a message in doubt, or about a whole run.
CREATE TABLE resolution (
    run BIGINT NOT NULL,
    source BIGINT NOT NULL,         -- which queue the message was in: one that was parked can be in doubt out and back
    id BYTEA NOT NULL,              -- the message; empty: the run itself was given up
    decision SMALLINT NOT NULL,     -- 1 resend, 2 discard, 3 release, 4 abandon
    doubts BIGINT NOT NULL,         -- the doubts that are settled by it: one that comes later is new
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (run, id)
);
-- What was written to archive files, a row a write.
CREATE TABLE piece (
    run BIGINT NOT NULL,
    target INTEGER NOT NULL,
    start BIGINT NOT NULL,          -- where in the file it begins
    length BIGINT NOT NULL,
    device BIGINT NOT NULL,
    inode BIGINT NOT NULL,
    digest BYTEA NOT NULL,          -- SHA-256 of its bytes
    beginnings BYTEA,               -- of one that may be torn: digests of how far it may have come; null once it is on disk
    PRIMARY KEY (run, target, start)
);
-- What guards and people did to a run, in order.
CREATE TABLE guard_event (
    run BIGINT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    who TEXT,                       -- null: no person
    words TEXT NOT NULL,
    data TEXT NOT NULL,             -- what the next session has to know of it, as JSON
    PRIMARY KEY (run, number)
);
-- What people ask of a run that is under way.
CREATE TABLE control (
    run BIGINT NOT NULL,
    number BIGINT NOT NULL,         -- drawn at random
    at BIGINT NOT NULL,             -- by the server's clock
    request TEXT NOT NULL,          -- as JSON
    taken BOOLEAN NOT NULL DEFAULT FALSE, -- by the process at work
    answer TEXT,                    -- as JSON
    PRIMARY KEY (run, number)
);
-- Messages of a run that came back.
CREATE TABLE bounce (
    run BIGINT NOT NULL,
    id BYTEA NOT NULL,              -- the ID that the send returned
    rule INTEGER NOT NULL,
    sent BIGINT NOT NULL,
    at BIGINT NOT NULL,             -- when it was seen
    PRIMARY KEY (run, id)
);
-- How a run went over time, in slices of so many seconds.
CREATE TABLE timeline (
    run BIGINT NOT NULL,
    start BIGINT NOT NULL,          -- the second since 1970
    seconds BIGINT NOT NULL,
    departed BIGINT NOT NULL,       -- messages that left the source
    in_doubt BIGINT NOT NULL,       -- messages of which the answer to a send never came
    throttled BIGINT NOT NULL,      -- requests
    PRIMARY KEY (run, start)
);
-- What helps to find a message, if the job asks for it.
CREATE TABLE identity (
    run BIGINT NOT NULL,
    id BYTEA NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, id)
);
