-- Every dead letter with its bytes until somebody ends it: Kafka's retention cannot take one that is open.

CREATE TABLE deadletter.record (
    dead_letter_id      uuid        PRIMARY KEY,
    fingerprint         text        NOT NULL,
    fingerprint_version integer     NOT NULL,
    channel             text,
    source              text,
    class               text        NOT NULL,
    code                text        NOT NULL,
    field               text,
    stage               text        NOT NULL,
    exception           text,
    function            text,
    message             text        NOT NULL,
    retryable           boolean     NOT NULL,
    exhausted           boolean     NOT NULL,
    attempts            integer     NOT NULL,
    replays             integer     NOT NULL,
    consumer            text        NOT NULL,
    topic               text        NOT NULL,
    partition           integer     NOT NULL,
    "offset"            bigint      NOT NULL,
    origin_topic        text        NOT NULL,
    origin_partition    integer     NOT NULL,
    origin_offset       bigint      NOT NULL,
    intent_index        integer     NOT NULL,
    intent_count        integer     NOT NULL,
    received_at         timestamptz,
    first_failed_at     timestamptz NOT NULL,
    last_failed_at      timestamptz NOT NULL,
    app_version         text        NOT NULL,
    schema_id           integer,
    command_id          text,
    traceparent         text,
    account             text,
    dead_letter_topic   text        NOT NULL,
    dead_letter_offset  bigint      NOT NULL,
    key                 bytea,
    value               bytea,
    value_bytes         bigint,
    value_sha256        bytea,
    header_names        bytea[],
    header_values       bytea[],
    stored_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_as           text        CHECK (closed_as IN ('resolved', 'discarded')),
    closed_at           timestamptz,
    closed_by           text,
    reason              text,
    CHECK ((closed_as IS NULL) = (closed_at IS NULL)),
    CHECK (closed_as IS NULL OR length(reason) > 0)
);
CREATE INDEX record_open ON deadletter.record (fingerprint, first_failed_at) WHERE closed_as IS NULL;
COMMENT ON TABLE  deadletter.record IS 'Every dead letter: open ones with their bytes, ended ones as a summary with the reason.';
COMMENT ON COLUMN deadletter.record.dead_letter_id IS 'Identity: the same for every repeat of the dead letter.';
COMMENT ON COLUMN deadletter.record.fingerprint IS 'The group: dead letters with the same cause.';
COMMENT ON COLUMN deadletter.record.fingerprint_version IS 'Version of the rule that made the fingerprint.';
COMMENT ON COLUMN deadletter.record.channel IS 'The channel that sent the order; null where it could not be told.';
COMMENT ON COLUMN deadletter.record.source IS 'The sending instance within the channel; null where it could not be told.';
COMMENT ON COLUMN deadletter.record.class IS 'Why it could not be decided: decode, contract, unknown_account, dependency, bug or oversize.';
COMMENT ON COLUMN deadletter.record.code IS 'The stable code of the cause.';
COMMENT ON COLUMN deadletter.record.field IS 'Path of the offending field.';
COMMENT ON COLUMN deadletter.record.stage IS 'The step that gave up.';
COMMENT ON COLUMN deadletter.record.exception IS 'Of a bug: the type of the exception.';
COMMENT ON COLUMN deadletter.record.function IS 'Of a bug: the innermost function of Tierline on the stack.';
COMMENT ON COLUMN deadletter.record.message IS 'What was wrong, without payload text.';
COMMENT ON COLUMN deadletter.record.retryable IS 'Whether the same bytes can succeed later.';
COMMENT ON COLUMN deadletter.record.exhausted IS 'Whether it waited to the end of its wait.';
COMMENT ON COLUMN deadletter.record.attempts IS 'How often it was tried.';
COMMENT ON COLUMN deadletter.record.replays IS 'How often a person sent it through again.';
COMMENT ON COLUMN deadletter.record.consumer IS 'The consumer group that gave up.';
COMMENT ON COLUMN deadletter.record.topic IS 'Topic of the record that was consumed, without prefix.';
COMMENT ON COLUMN deadletter.record.partition IS 'Partition of that record, and of the dead-letter record.';
COMMENT ON COLUMN deadletter.record."offset" IS 'Offset of that record.';
COMMENT ON COLUMN deadletter.record.origin_topic IS 'Topic of the original order record, without prefix.';
COMMENT ON COLUMN deadletter.record.origin_partition IS 'Partition of the original order record.';
COMMENT ON COLUMN deadletter.record.origin_offset IS 'Offset of the original order record.';
COMMENT ON COLUMN deadletter.record.intent_index IS 'Which of the record''s intents, from 0.';
COMMENT ON COLUMN deadletter.record.intent_count IS 'How many intents the record carried.';
COMMENT ON COLUMN deadletter.record.received_at IS 'When the broker took in the original record.';
COMMENT ON COLUMN deadletter.record.first_failed_at IS 'When it failed first.';
COMMENT ON COLUMN deadletter.record.last_failed_at IS 'When it failed last.';
COMMENT ON COLUMN deadletter.record.app_version IS 'The version of Tierline that gave up.';
COMMENT ON COLUMN deadletter.record.schema_id IS 'Registry id of the schema that the value names, if it names one.';
COMMENT ON COLUMN deadletter.record.command_id IS 'The command it was about, once it was one.';
COMMENT ON COLUMN deadletter.record.traceparent IS 'W3C trace context of the order.';
COMMENT ON COLUMN deadletter.record.account IS 'What the sender calls the account or subscription; null where that cannot be read.';
COMMENT ON COLUMN deadletter.record.dead_letter_topic IS 'The dead-letter topic it came from, without prefix.';
COMMENT ON COLUMN deadletter.record.dead_letter_offset IS 'Offset there.';
COMMENT ON COLUMN deadletter.record.key IS 'Key of the record, as it was; taken away when it is discarded.';
COMMENT ON COLUMN deadletter.record.value IS 'Bytes of the record, as they were; null where there are none, where they were too large to copy (value_bytes says so), and once it has ended.';
COMMENT ON COLUMN deadletter.record.value_bytes IS 'Length of the value; null where the record had none.';
COMMENT ON COLUMN deadletter.record.value_sha256 IS 'SHA-256 of the value; stays when the bytes are gone.';
COMMENT ON COLUMN deadletter.record.header_names IS 'Names of all headers of the dead-letter record, in order.';
COMMENT ON COLUMN deadletter.record.header_values IS 'Their values, in the same order.';
COMMENT ON COLUMN deadletter.record.stored_at IS 'When it was stored here.';
COMMENT ON COLUMN deadletter.record.closed_as IS 'resolved or discarded; null while it is open.';
COMMENT ON COLUMN deadletter.record.closed_at IS 'When it ended.';
COMMENT ON COLUMN deadletter.record.closed_by IS 'Who ended it.';
COMMENT ON COLUMN deadletter.record.reason IS 'Why it ended.';

CREATE TABLE deadletter.audit (
    audit_id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor          text        NOT NULL,
    action         text        NOT NULL,
    dead_letter_id uuid,
    reason         text
);
CREATE INDEX ON deadletter.audit (dead_letter_id);
COMMENT ON TABLE  deadletter.audit IS 'Who did what to which dead letter, or looked at its payload unmasked. Only ever added to.';
COMMENT ON COLUMN deadletter.audit.actor IS 'Who: the name the system knows the person by.';
COMMENT ON COLUMN deadletter.audit.action IS 'discard, or unmask.';
COMMENT ON COLUMN deadletter.audit.dead_letter_id IS 'The dead letter.';
COMMENT ON COLUMN deadletter.audit.reason IS 'The reason that was given.';
