-- What is kept, in words: a run, a message of a run, and a message that is or was in doubt.
CREATE VIEW runs AS
    SELECT run.name AS run, queue.arn AS source, to_timestamp(run.started / 1000.0) AS started,
        to_timestamp(run.ended / 1000.0) AS ended, run.outcome,
        run.in_session AND run.epoch IS NOT NULL AS at_work, run.host, run.pid,
        to_timestamp(run.beat / 1000.0) AS heard, run.doubted, run.requests, run.elapsed_ms
    FROM run JOIN queue ON queue.id = run.source;
CREATE VIEW messages AS
    SELECT run.name AS run, queue.arn AS queue,
        CASE octet_length(message.id) WHEN 16 THEN encode(message.id, 'hex')::uuid::text
            ELSE convert_from(message.id, 'UTF8') END AS id,
        CASE message.state {states} END AS state, message.rule, message.target,
        CASE message.reason {reasons} END AS reason, message.doubts,
        to_timestamp(message.at / 1000.0) AS at, note.text AS note
    FROM message JOIN run ON run.id = message.run JOIN queue ON queue.id = message.source
        LEFT JOIN note ON note.source = message.source AND note.id = message.id AND note.run = message.run;
CREATE VIEW doubts AS
    SELECT * FROM messages WHERE doubts > 0 OR state IN ('sending', 'resending', 'in_doubt', 'held');
