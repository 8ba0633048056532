-- Records that wait, in order, for what they miss; what was let go on purpose; what people asked of holds.
-- The normalizer that has the lease of a partition is the only writer of its holds and skips.

CREATE TABLE deadletter.key_hold (
    hold_id      uuid    PRIMARY KEY,
    consumer     text    NOT NULL,
    topic        text    NOT NULL,
    partition    integer NOT NULL,
    channel      text    NOT NULL,
    key          bytea   NOT NULL,
    by_reference boolean NOT NULL,
    parked       boolean NOT NULL DEFAULT false,
    since        timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX key_hold_place ON deadletter.key_hold (consumer, topic, partition);
COMMENT ON TABLE deadletter.key_hold IS 'One row per key whose records wait.';
COMMENT ON COLUMN deadletter.key_hold.key IS 'The record key; the reference (UTF-8) where records have none.';
COMMENT ON COLUMN deadletter.key_hold.parked IS 'The head became a dead letter; the rest waits for a person.';

CREATE TABLE deadletter.held_record (
    consumer        text     NOT NULL,
    topic           text     NOT NULL,
    partition       integer  NOT NULL,
    "offset"        bigint   NOT NULL,
    hold_id         uuid     NOT NULL REFERENCES deadletter.key_hold,
    source          text     NOT NULL,
    reference       text,
    key             bytea,
    value           bytea,
    header_names    bytea[]  NOT NULL,
    header_values   bytea[]  NOT NULL,
    received_at     timestamptz NOT NULL,
    intents         integer[] NOT NULL,
    intent_count    integer  NOT NULL,
    class           text     NOT NULL,
    code            text     NOT NULL,
    field           text,
    detail          text     NOT NULL,
    waits_for       text[]   NOT NULL,
    attempts        integer  NOT NULL DEFAULT 0,
    held_at         timestamptz NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    told            boolean  NOT NULL DEFAULT false,
    released_at     timestamptz,
    PRIMARY KEY (consumer, topic, partition, "offset")
) WITH (fillfactor = 80);
CREATE INDEX held_record_hold ON deadletter.held_record (hold_id, "offset");
COMMENT ON TABLE deadletter.held_record IS 'The waiting records, byte for byte; the lowest offset of a hold is its head.';
COMMENT ON COLUMN deadletter.held_record.intents IS 'Indexes of the intents that wait; the others of the record are dead letters.';
COMMENT ON COLUMN deadletter.held_record.waits_for IS 'References of the channel that nobody knew.';
COMMENT ON COLUMN deadletter.held_record.told IS 'The reply "held" was acknowledged.';
COMMENT ON COLUMN deadletter.held_record.released_at IS 'From here on it is going: a command may have been sent.';

CREATE TABLE deadletter.skipped (
    consumer     text    NOT NULL,
    topic        text    NOT NULL,
    partition    integer NOT NULL,
    "offset"     bigint  NOT NULL,
    intent_index integer NOT NULL,
    intent_count integer NOT NULL,
    reason       text    NOT NULL,
    detail       text    NOT NULL,
    skipped_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, topic, partition, "offset", intent_index)
);
COMMENT ON TABLE deadletter.skipped IS 'Intents that were let go on purpose, with the reason.';

CREATE TABLE deadletter.hold_request (
    request_id   uuid    PRIMARY KEY,
    hold_id      uuid    NOT NULL,
    consumer     text    NOT NULL,
    topic        text    NOT NULL,
    partition    integer NOT NULL,
    action       text    NOT NULL CHECK (action IN ('release', 'discard')),
    "offset"     bigint,
    reason       text    NOT NULL,
    requested_by text    NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at      timestamptz,
    result       text
);
CREATE INDEX hold_request_open ON deadletter.hold_request (consumer, topic, partition) WHERE done_at IS NULL;
COMMENT ON TABLE deadletter.hold_request IS 'What people asked of holds, why, and what came of it; never deleted.';
