-- The breaker of each channel in each partition, beside the lease whose holder writes it.
CREATE TABLE deadletter.breaker (
    consumer      text        NOT NULL,
    topic         text        NOT NULL,
    partition     integer     NOT NULL,
    channel       text        NOT NULL,
    state         text        NOT NULL CHECK (state IN ('closed', 'open', 'waiting', 'half_open')),
    since         timestamptz NOT NULL,
    cause         text        CHECK (cause IN ('consecutive', 'ratio', 'holds_full')),
    lane          text        NOT NULL CHECK (lane IN ('records', 'holds')),
    episode       integer     NOT NULL,
    seen          integer     NOT NULL,
    dead          integer     NOT NULL,
    consecutive   integer     NOT NULL,
    probes        integer     NOT NULL,
    tries         integer     NOT NULL,
    alone         integer     NOT NULL,
    passes        integer     NOT NULL,
    good          integer     NOT NULL,
    next_probe_at timestamptz NOT NULL,
    seen_to       bigint      NOT NULL,
    app_version   text        NOT NULL,
    head_offset   bigint,
    head_class    text,
    head_code     text,
    head_field    text,
    entries       bytea       NOT NULL,
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, topic, partition)
) WITH (fillfactor = 70);
COMMENT ON TABLE  deadletter.breaker IS 'Keeps a fault of Tierline from burying a day''s orders: one breaker per channel and partition. No row: it never saw a dead record.';
COMMENT ON COLUMN deadletter.breaker.state IS 'closed, open (the head is probed), waiting (for a person or another version) or half_open (on the way back).';
COMMENT ON COLUMN deadletter.breaker.since IS 'When it came into this state.';
COMMENT ON COLUMN deadletter.breaker.cause IS 'Why it opened: too many dead in a row, too large a share, or no more room for holds.';
COMMENT ON COLUMN deadletter.breaker.lane IS 'What opened it: records of the partition, or held ones whose time was over.';
COMMENT ON COLUMN deadletter.breaker.episode IS 'How often it has opened.';
COMMENT ON COLUMN deadletter.breaker.seen IS 'Records in its window.';
COMMENT ON COLUMN deadletter.breaker.dead IS 'Dead ones among them.';
COMMENT ON COLUMN deadletter.breaker.consecutive IS 'Dead ones in a row at the end of the window.';
COMMENT ON COLUMN deadletter.breaker.probes IS 'Probes of this head that failed for good.';
COMMENT ON COLUMN deadletter.breaker.tries IS 'Probes of this head that failed at all.';
COMMENT ON COLUMN deadletter.breaker.alone IS 'Heads that were buried alone in this episode.';
COMMENT ON COLUMN deadletter.breaker.passes IS 'Dead records that a person lets pass, still to come.';
COMMENT ON COLUMN deadletter.breaker.good IS 'Good records on the way back to closed.';
COMMENT ON COLUMN deadletter.breaker.next_probe_at IS 'When the head is tried again, in state open.';
COMMENT ON COLUMN deadletter.breaker.seen_to IS 'Offset after the last record that was counted.';
COMMENT ON COLUMN deadletter.breaker.app_version IS 'The version of Tierline that wrote the row; another one probes again.';
COMMENT ON COLUMN deadletter.breaker.head_offset IS 'The record that stands; null when none does.';
COMMENT ON COLUMN deadletter.breaker.head_class IS 'What it would die of: class.';
COMMENT ON COLUMN deadletter.breaker.head_code IS 'What it would die of: code.';
COMMENT ON COLUMN deadletter.breaker.head_field IS 'What it would die of: path of the field.';
COMMENT ON COLUMN deadletter.breaker.entries IS 'The window itself, packed.';

CREATE TABLE deadletter.breaker_action (
    action_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor     text        NOT NULL,
    action    text        NOT NULL CHECK (action IN ('close', 'pass')),
    consumer  text        NOT NULL,
    topic     text        NOT NULL,
    partition integer     NOT NULL,
    episode   integer     NOT NULL,
    count     integer     NOT NULL,
    reason    text        NOT NULL CHECK (length(reason) > 0),
    taken_at  timestamptz,
    outcome   text        CHECK (outcome IN ('done', 'outdated')),
    CHECK ((taken_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX breaker_action_asked ON deadletter.breaker_action (consumer, topic, partition) WHERE taken_at IS NULL;
COMMENT ON TABLE  deadletter.breaker_action IS 'What people asked of breakers, who and why. Only ever added to; the worker notes what became of it.';
COMMENT ON COLUMN deadletter.breaker_action.actor IS 'Who: the name the system knows the person by.';
COMMENT ON COLUMN deadletter.breaker_action.action IS 'close, or pass.';
COMMENT ON COLUMN deadletter.breaker_action.episode IS 'The opening it is meant for; a later one it does not touch.';
COMMENT ON COLUMN deadletter.breaker_action.count IS 'Of pass: how many dead records may pass; of close 0.';
COMMENT ON COLUMN deadletter.breaker_action.reason IS 'The reason that was given.';
COMMENT ON COLUMN deadletter.breaker_action.taken_at IS 'When a worker took it; null until then.';
COMMENT ON COLUMN deadletter.breaker_action.outcome IS 'done, or outdated: the breaker had closed or opened anew before it came.';
