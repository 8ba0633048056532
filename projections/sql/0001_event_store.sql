-- The event store of the decider, its leases, claims and account context.

CREATE SCHEMA oms;

-- Facts that every worker checks at start, the partition count above all.
CREATE TABLE oms.setting (
    name  text PRIMARY KEY,
    value text NOT NULL
);

-- The registry's ids and texts as this store was written with them.
CREATE TABLE oms.schema (
    id          integer PRIMARY KEY,
    subject     text    NOT NULL,
    fingerprint text    NOT NULL,
    avsc        text    NOT NULL
);

CREATE TABLE oms.lease (
    consumer         text    NOT NULL,
    topic            text    NOT NULL,
    partition        integer NOT NULL,
    epoch            bigint  NOT NULL,
    owner            uuid    NOT NULL,
    next_offset      bigint  NOT NULL DEFAULT 0,
    next_position    bigint  NOT NULL DEFAULT 0,
    chain_hash       bytea   NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    published_offset bigint  NOT NULL DEFAULT 0,
    updated_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, topic, partition)
) WITH (fillfactor = 50);

CREATE TABLE oms.event (
    partition   integer NOT NULL,
    position    bigint  NOT NULL,
    stream_id   text    NOT NULL,
    version     integer NOT NULL,
    account_id  text    NOT NULL,
    order_id    uuid,
    type        text    NOT NULL,
    recorded_at timestamptz NOT NULL,
    hash        bytea   NOT NULL,
    value       bytea   NOT NULL,
    PRIMARY KEY (partition, position),
    UNIQUE (stream_id, version)
);
ALTER TABLE oms.event ALTER COLUMN value SET STORAGE EXTERNAL;

CREATE TABLE oms.snapshot (
    stream_id    text    PRIMARY KEY,
    partition    integer NOT NULL,
    version      integer NOT NULL,
    fold_version integer NOT NULL,
    state        bytea   NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE oms.command_claim (
    command_id     uuid    NOT NULL,
    attempt        integer NOT NULL,
    digest         bytea   NOT NULL,
    stream_id      text    NOT NULL,
    order_id       uuid,
    outcome        text    NOT NULL,
    reasons        text[]  NOT NULL DEFAULT '{}',
    partition      integer NOT NULL,
    first_position bigint  NOT NULL,
    PRIMARY KEY (command_id, attempt)
) WITH (fillfactor = 80);
CREATE INDEX command_claim_order ON oms.command_claim (order_id) WHERE order_id IS NOT NULL;

CREATE TABLE oms.command_origin (
    command_id       uuid    NOT NULL,
    origin_topic     text    NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint  NOT NULL,
    attempt          integer NOT NULL,
    PRIMARY KEY (command_id, origin_topic, origin_partition, origin_offset)
);

-- Which account and subscription a channel's own reference means. Tierline's own ids stand under channel '*'.
CREATE TABLE oms.external_ref (
    channel         text NOT NULL,
    source          text NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('account', 'subscription')),
    ref             text NOT NULL,
    account_id      text NOT NULL,
    subscription_id text NOT NULL,
    PRIMARY KEY (channel, source, kind, ref, subscription_id)
);
CREATE UNIQUE INDEX external_ref_subscription ON oms.external_ref (channel, source, ref) WHERE kind = 'subscription';

-- Written before a gateway is called: a row that is there already means look up first.
CREATE TABLE oms.payment_attempt (
    payment_id   uuid NOT NULL,
    step         text NOT NULL CHECK (step IN ('authorize', 'capture', 'void', 'refund')),
    order_id     uuid NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (payment_id, step)
);

-- The sandbox twin of a payment gateway keeps its own books.
CREATE SCHEMA sandbox;
CREATE TABLE sandbox.payment (
    payment_id   uuid PRIMARY KEY,
    gateway_ref  text    NOT NULL,
    amount_minor bigint  NOT NULL,
    currency     text    NOT NULL,
    status       text    NOT NULL CHECK (status IN ('authorized', 'declined', 'captured', 'voided', 'refunded')),
    code         text,
    captures     integer NOT NULL DEFAULT 0
);

-- An intent that was once called dead stays dead, whatever is known when its record is delivered again.
CREATE SCHEMA deadletter;
CREATE TABLE deadletter.verdict (
    dead_letter_id uuid    PRIMARY KEY,
    consumer       text    NOT NULL,
    topic          text    NOT NULL,
    partition      integer NOT NULL,
    "offset"       bigint  NOT NULL,
    intent_index   integer NOT NULL,
    intent_count   integer NOT NULL,
    class          text    NOT NULL,
    code           text    NOT NULL,
    field          text,
    detail         text    NOT NULL,
    decided_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
