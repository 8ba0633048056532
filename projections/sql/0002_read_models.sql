-- The read models: what analysts, the portal and the command line ask. Every row is a fold of oms.events.v1
-- and can be built anew from it (tierline projections rebuild NAME).

CREATE SCHEMA read;
COMMENT ON SCHEMA read IS 'Read models, folded from the events on oms.events.v1 by the projector. Nothing else writes here.';

CREATE TABLE read.read_model (
    name         text    PRIMARY KEY,
    version      integer NOT NULL,
    next_version integer,
    rebuilt_at   timestamptz
);
COMMENT ON TABLE  read.read_model IS 'Which version of its fold each read model was written by.';
COMMENT ON COLUMN read.read_model.version IS 'Version of the fold that wrote the rows; another version in the code asks for a rebuild.';
COMMENT ON COLUMN read.read_model.next_version IS 'Version of the fold of a rebuild that is under way, null without one.';
COMMENT ON COLUMN read.read_model.rebuilt_at IS 'When a rebuild was swapped in last, null if never.';

CREATE TABLE read.tier_status (
    subscription_id    text        PRIMARY KEY,
    account_id         text        NOT NULL,
    tier               text        NOT NULL,
    plan               text        NOT NULL,
    seats              bigint      NOT NULL,
    modules            text[]      NOT NULL,
    features           text[]      NOT NULL,
    limits             jsonb       NOT NULL,
    currency           text        NOT NULL,
    period_start       date,
    period_end         date,
    billing_day        integer,
    next_billing_date  date,
    next_billing_minor bigint,
    standing           text,
    payment            text,
    segment            text,
    country            text,
    time_zone          text,
    order_id           uuid,
    received_at        timestamptz NOT NULL,
    effective_at       timestamptz NOT NULL,
    recorded_at        timestamptz NOT NULL,
    version            integer     NOT NULL,
    partition          integer     NOT NULL,
    position           bigint      NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX ON read.tier_status (account_id);
COMMENT ON TABLE  read.tier_status IS 'What each subscription is on now: one row per subscription.';
COMMENT ON COLUMN read.tier_status.subscription_id IS 'The subscription.';
COMMENT ON COLUMN read.tier_status.account_id IS 'The account that owns the subscription.';
COMMENT ON COLUMN read.tier_status.tier IS 'Tier in force: starter, team, business or enterprise.';
COMMENT ON COLUMN read.tier_status.plan IS 'Plan in force, an id of the catalog.';
COMMENT ON COLUMN read.tier_status.seats IS 'Seats in force.';
COMMENT ON COLUMN read.tier_status.modules IS 'Modules in force, sorted.';
COMMENT ON COLUMN read.tier_status.features IS 'Features that are switched on, sorted.';
COMMENT ON COLUMN read.tier_status.limits IS 'Limits in force: an object from the limit''s name to its number.';
COMMENT ON COLUMN read.tier_status.currency IS 'ISO 4217 code of all amounts of this row.';
COMMENT ON COLUMN read.tier_status.period_start IS 'First day of the billing period in force, in the account''s zone.';
COMMENT ON COLUMN read.tier_status.period_end IS 'Day after the billing period in force, in the account''s zone.';
COMMENT ON COLUMN read.tier_status.billing_day IS 'Day of the month on which periods begin, 1 to 31; null where it follows from the plan.';
COMMENT ON COLUMN read.tier_status.next_billing_date IS 'Day of the next bill; null until a change of billing stated it.';
COMMENT ON COLUMN read.tier_status.next_billing_minor IS 'Amount of the next bill in minor units; null until a change of billing stated it.';
COMMENT ON COLUMN read.tier_status.standing IS 'Payment standing of the account.';
COMMENT ON COLUMN read.tier_status.payment IS 'How the account pays: invoice, gateway or external.';
COMMENT ON COLUMN read.tier_status.segment IS 'Segment of the account.';
COMMENT ON COLUMN read.tier_status.country IS 'ISO 3166 code of the account''s country.';
COMMENT ON COLUMN read.tier_status.time_zone IS 'IANA zone of the account, in which its days are counted.';
COMMENT ON COLUMN read.tier_status.order_id IS 'The last order that changed the subscription; null if none did.';
COMMENT ON COLUMN read.tier_status.received_at IS 'When the broker took in that order; without one, the record that opened the subscription.';
COMMENT ON COLUMN read.tier_status.effective_at IS 'From when this row counts.';
COMMENT ON COLUMN read.tier_status.recorded_at IS 'When the last event of this row was recorded.';
COMMENT ON COLUMN read.tier_status.version IS 'Version of the subscription''s stream, as of the last event of this row.';
COMMENT ON COLUMN read.tier_status.partition IS 'Partition of oms.events.v1 that holds the account.';
COMMENT ON COLUMN read.tier_status.position IS 'Position in that partition of the last event of this row.';

CREATE TABLE read.tier_history (
    subscription_id    text        NOT NULL,
    account_id         text        NOT NULL,
    tier               text        NOT NULL,
    plan               text        NOT NULL,
    seats              bigint      NOT NULL,
    modules            text[]      NOT NULL,
    features           text[]      NOT NULL,
    limits             jsonb       NOT NULL,
    currency           text        NOT NULL,
    period_start       date,
    period_end         date,
    billing_day        integer,
    next_billing_date  date,
    next_billing_minor bigint,
    standing           text,
    payment            text,
    segment            text,
    country            text,
    time_zone          text,
    order_id           uuid,
    received_at        timestamptz NOT NULL,
    effective_at       timestamptz NOT NULL,
    recorded_at        timestamptz NOT NULL,
    version            integer     NOT NULL,
    partition          integer     NOT NULL,
    position           bigint      NOT NULL,
    committed_at       timestamptz,
    PRIMARY KEY (partition, position, subscription_id)
);
CREATE INDEX ON read.tier_history (subscription_id, position DESC);
CREATE INDEX ON read.tier_history (account_id, subscription_id, position DESC);
COMMENT ON TABLE  read.tier_history IS 'Every state a subscription was ever in, one row per decision that changed it; rows are only added. What was believed at X about Y: of the rows with recorded_at <= X and effective_at <= Y the one with the highest position.';
COMMENT ON COLUMN read.tier_history.subscription_id IS 'The subscription.';
COMMENT ON COLUMN read.tier_history.account_id IS 'The account that owns the subscription.';
COMMENT ON COLUMN read.tier_history.tier IS 'Tier from then on.';
COMMENT ON COLUMN read.tier_history.plan IS 'Plan from then on, an id of the catalog.';
COMMENT ON COLUMN read.tier_history.seats IS 'Seats from then on.';
COMMENT ON COLUMN read.tier_history.modules IS 'Modules, sorted.';
COMMENT ON COLUMN read.tier_history.features IS 'Features that are switched on, sorted.';
COMMENT ON COLUMN read.tier_history.limits IS 'Limits: an object from the limit''s name to its number.';
COMMENT ON COLUMN read.tier_history.currency IS 'ISO 4217 code of all amounts of this row.';
COMMENT ON COLUMN read.tier_history.period_start IS 'First day of the billing period, in the account''s zone.';
COMMENT ON COLUMN read.tier_history.period_end IS 'Day after the billing period, in the account''s zone.';
COMMENT ON COLUMN read.tier_history.billing_day IS 'Day of the month on which periods begin, 1 to 31; null where it follows from the plan.';
COMMENT ON COLUMN read.tier_history.next_billing_date IS 'Day of the next bill; null until a change of billing stated it.';
COMMENT ON COLUMN read.tier_history.next_billing_minor IS 'Amount of the next bill in minor units; null until a change of billing stated it.';
COMMENT ON COLUMN read.tier_history.standing IS 'Payment standing of the account.';
COMMENT ON COLUMN read.tier_history.payment IS 'How the account pays: invoice, gateway or external.';
COMMENT ON COLUMN read.tier_history.segment IS 'Segment of the account.';
COMMENT ON COLUMN read.tier_history.country IS 'ISO 3166 code of the account''s country.';
COMMENT ON COLUMN read.tier_history.time_zone IS 'IANA zone of the account.';
COMMENT ON COLUMN read.tier_history.order_id IS 'The order that brought this state; null if none did.';
COMMENT ON COLUMN read.tier_history.received_at IS 'When the broker took in that order; without one, the record that opened the subscription.';
COMMENT ON COLUMN read.tier_history.effective_at IS 'First clock: from when this state counts.';
COMMENT ON COLUMN read.tier_history.recorded_at IS 'Second clock: from when this state was known.';
COMMENT ON COLUMN read.tier_history.version IS 'Version of the subscription''s stream, as of the last event of this row.';
COMMENT ON COLUMN read.tier_history.partition IS 'Partition of oms.events.v1 that holds the account.';
COMMENT ON COLUMN read.tier_history.position IS 'Position in that partition of the last event of this row.';
COMMENT ON COLUMN read.tier_history.committed_at IS 'When this state became visible, carried over by a rebuild; null: pg_xact_commit_timestamp(xmin) says it.';

CREATE TABLE read.order_status (
    order_id           uuid        PRIMARY KEY,
    account_id         text        NOT NULL,
    subscription_id    text        NOT NULL,
    channel            text        NOT NULL,
    source             text        NOT NULL,
    source_ref         text        NOT NULL,
    state              text        NOT NULL,
    plan               text,
    seats              bigint,
    modules            text[]      NOT NULL,
    effective          text        NOT NULL,
    payment_method     text,
    requested_by       text,
    requested_at       timestamptz,
    reasons            text[]      NOT NULL,
    retry              boolean,
    quote_id           text,
    currency           text,
    net_minor          bigint,
    due_minor          bigint,
    charged_minor      bigint,
    payment_id         text,
    gateway_ref        text,
    from_tier          text,
    to_tier            text,
    superseded_by      uuid,
    conflict_with      uuid,
    duplicates         integer     NOT NULL,
    origin_topic       text        NOT NULL,
    origin_partition   integer     NOT NULL,
    origin_offset      bigint      NOT NULL,
    intent_index       integer     NOT NULL,
    intent_count       integer     NOT NULL,
    command_id         uuid        NOT NULL,
    attempt            integer     NOT NULL,
    correlation_id     text        NOT NULL,
    purchase_order_ref text,
    received_at        timestamptz NOT NULL,
    ended_at           timestamptz,
    recorded_at        timestamptz NOT NULL,
    partition          integer     NOT NULL,
    position           bigint      NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX ON read.order_status (source_ref, channel);
CREATE INDEX ON read.order_status (subscription_id, received_at);
COMMENT ON TABLE  read.order_status IS 'Where each order stands: one row per order.';
COMMENT ON COLUMN read.order_status.order_id IS 'The order.';
COMMENT ON COLUMN read.order_status.account_id IS 'The account.';
COMMENT ON COLUMN read.order_status.subscription_id IS 'The subscription that is upgraded.';
COMMENT ON COLUMN read.order_status.channel IS 'The channel that sent the order.';
COMMENT ON COLUMN read.order_status.source IS 'The sending instance within the channel, such as one partner.';
COMMENT ON COLUMN read.order_status.source_ref IS 'The channel''s own reference of the order.';
COMMENT ON COLUMN read.order_status.state IS 'RECEIVED, VALIDATED, ON_HOLD, AWAITING_PAYMENT, AUTHORIZED, CAPTURING, COMPLETED, REJECTED, FAILED or SUPERSEDED. The last four never change again.';
COMMENT ON COLUMN read.order_status.plan IS 'Plan that was asked for; null keeps what is in force.';
COMMENT ON COLUMN read.order_status.seats IS 'Seats that were asked for; null keeps what is in force.';
COMMENT ON COLUMN read.order_status.modules IS 'Modules that were asked for, as sent.';
COMMENT ON COLUMN read.order_status.effective IS 'When it was to count: now.';
COMMENT ON COLUMN read.order_status.payment_method IS 'The payment method that the channel named.';
COMMENT ON COLUMN read.order_status.requested_by IS 'Id of the person who ordered, as the channel said.';
COMMENT ON COLUMN read.order_status.requested_at IS 'When the person ordered, as the channel said.';
COMMENT ON COLUMN read.order_status.reasons IS 'Reason codes of the state: why rejected, failed or held; ALREADY_IN_FORCE where nothing had to change.';
COMMENT ON COLUMN read.order_status.retry IS 'Of a rejected order: whether sending it again can help.';
COMMENT ON COLUMN read.order_status.quote_id IS 'The price it was given.';
COMMENT ON COLUMN read.order_status.currency IS 'ISO 4217 code of the amounts.';
COMMENT ON COLUMN read.order_status.net_minor IS 'Net of the quote in minor units, credits subtracted.';
COMMENT ON COLUMN read.order_status.due_minor IS 'What was due at once, in minor units.';
COMMENT ON COLUMN read.order_status.charged_minor IS 'What was charged at completion, in minor units.';
COMMENT ON COLUMN read.order_status.payment_id IS 'The payment at the gateway; null where none was needed.';
COMMENT ON COLUMN read.order_status.gateway_ref IS 'The gateway''s own reference of the payment.';
COMMENT ON COLUMN read.order_status.from_tier IS 'Tier before the change; null where nothing changed.';
COMMENT ON COLUMN read.order_status.to_tier IS 'Tier after the change; null where nothing changed.';
COMMENT ON COLUMN read.order_status.superseded_by IS 'The newer order of the same channel that replaced this one.';
COMMENT ON COLUMN read.order_status.conflict_with IS 'The order of another channel that came first and won.';
COMMENT ON COLUMN read.order_status.duplicates IS 'How often the same order came again from another record.';
COMMENT ON COLUMN read.order_status.origin_topic IS 'Topic of the record that carried the order, without prefix.';
COMMENT ON COLUMN read.order_status.origin_partition IS 'Partition of that record.';
COMMENT ON COLUMN read.order_status.origin_offset IS 'Offset of that record.';
COMMENT ON COLUMN read.order_status.intent_index IS 'Which of the record''s intents the order is, from 0.';
COMMENT ON COLUMN read.order_status.intent_count IS 'How many intents the record carried.';
COMMENT ON COLUMN read.order_status.command_id IS 'Identity of what the channel asked; the same for every copy of it.';
COMMENT ON COLUMN read.order_status.attempt IS 'Which attempt of that ask, from 1.';
COMMENT ON COLUMN read.order_status.correlation_id IS 'The same for everything that one record caused.';
COMMENT ON COLUMN read.order_status.purchase_order_ref IS 'The customer''s purchase order number.';
COMMENT ON COLUMN read.order_status.received_at IS 'When the broker took the order in.';
COMMENT ON COLUMN read.order_status.ended_at IS 'When the order reached a state that never changes again; null while it is open.';
COMMENT ON COLUMN read.order_status.recorded_at IS 'When the last event of the order was recorded.';
COMMENT ON COLUMN read.order_status.partition IS 'Partition of oms.events.v1 that holds the account.';
COMMENT ON COLUMN read.order_status.position IS 'Position in that partition of the last event of the order.';

CREATE TABLE read.order_timeline (
    order_id    uuid        NOT NULL,
    partition   integer     NOT NULL,
    position    bigint      NOT NULL,
    type        text        NOT NULL,
    reason_code text,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (order_id, position)
);
COMMENT ON TABLE  read.order_timeline IS 'Everything that happened to an order, in order; the particulars are in read.audit_entry at the same partition and position.';
COMMENT ON COLUMN read.order_timeline.order_id IS 'The order.';
COMMENT ON COLUMN read.order_timeline.partition IS 'Partition of oms.events.v1.';
COMMENT ON COLUMN read.order_timeline.position IS 'Position of the event in that partition; later is higher.';
COMMENT ON COLUMN read.order_timeline.type IS 'What happened: the type of the event, known to this version or not.';
COMMENT ON COLUMN read.order_timeline.reason_code IS 'The reason code of the event, if it has one.';
COMMENT ON COLUMN read.order_timeline.occurred_at IS 'When it happened.';
COMMENT ON COLUMN read.order_timeline.recorded_at IS 'When it was recorded.';

CREATE TABLE read.audit_entry (
    partition          integer     NOT NULL,
    position           bigint      NOT NULL,
    event_id           uuid        NOT NULL,
    stream_id          text        NOT NULL,
    version            integer     NOT NULL,
    type               text        NOT NULL,
    account_id         text        NOT NULL,
    subscription_id    text        NOT NULL,
    order_id           uuid,
    actor              text,
    channel            text        NOT NULL,
    source             text        NOT NULL,
    source_ref         text        NOT NULL,
    origin_topic       text        NOT NULL,
    origin_partition   integer     NOT NULL,
    origin_offset      bigint      NOT NULL,
    intent_index       integer     NOT NULL,
    intent_count       integer     NOT NULL,
    reason_codes       text[]      NOT NULL,
    currency           text,
    net_minor          bigint,
    amount_minor       bigint,
    command_id         uuid        NOT NULL,
    command_type       text        NOT NULL,
    attempt            integer     NOT NULL,
    correlation_id     text        NOT NULL,
    causation_id       text,
    purchase_order_ref text,
    policy_version     text        NOT NULL,
    catalog_version    text        NOT NULL,
    received_at        timestamptz NOT NULL,
    occurred_at        timestamptz NOT NULL,
    recorded_at        timestamptz NOT NULL,
    effective_at       timestamptz NOT NULL,
    hash               bytea       NOT NULL,
    body               jsonb       NOT NULL,
    PRIMARY KEY (partition, position)
);
CREATE INDEX ON read.audit_entry (account_id);
COMMENT ON TABLE  read.audit_entry IS 'The audit trail: one row per event, of known types or not, never changed. The hash was verified before the row was written.';
COMMENT ON COLUMN read.audit_entry.partition IS 'Partition of oms.events.v1.';
COMMENT ON COLUMN read.audit_entry.position IS 'Position in the partition, contiguous from 0.';
COMMENT ON COLUMN read.audit_entry.event_id IS 'Identity of the event.';
COMMENT ON COLUMN read.audit_entry.stream_id IS 'The account or subscription whose stream the event stands in.';
COMMENT ON COLUMN read.audit_entry.version IS 'Version of that stream, from 1.';
COMMENT ON COLUMN read.audit_entry.type IS 'What happened.';
COMMENT ON COLUMN read.audit_entry.account_id IS 'The account.';
COMMENT ON COLUMN read.audit_entry.subscription_id IS 'The subscription.';
COMMENT ON COLUMN read.audit_entry.order_id IS 'The order it is about, if any.';
COMMENT ON COLUMN read.audit_entry.actor IS 'Who caused it: an id, as the channel or an operator gave it.';
COMMENT ON COLUMN read.audit_entry.channel IS 'The channel it came through.';
COMMENT ON COLUMN read.audit_entry.source IS 'The sending instance within the channel.';
COMMENT ON COLUMN read.audit_entry.source_ref IS 'The channel''s own reference.';
COMMENT ON COLUMN read.audit_entry.origin_topic IS 'Topic of the record that caused it, without prefix.';
COMMENT ON COLUMN read.audit_entry.origin_partition IS 'Partition of that record.';
COMMENT ON COLUMN read.audit_entry.origin_offset IS 'Offset of that record.';
COMMENT ON COLUMN read.audit_entry.intent_index IS 'Which of the record''s intents, from 0.';
COMMENT ON COLUMN read.audit_entry.intent_count IS 'How many intents the record carried.';
COMMENT ON COLUMN read.audit_entry.reason_codes IS 'All reason codes of the event, in its order.';
COMMENT ON COLUMN read.audit_entry.currency IS 'ISO 4217 code of the amounts.';
COMMENT ON COLUMN read.audit_entry.net_minor IS 'Of a quote: its net in minor units.';
COMMENT ON COLUMN read.audit_entry.amount_minor IS 'The fee the event is about, in minor units: due of a quote, amount of a payment, charge of a completed order.';
COMMENT ON COLUMN read.audit_entry.command_id IS 'The command that was decided.';
COMMENT ON COLUMN read.audit_entry.command_type IS 'What that command asked.';
COMMENT ON COLUMN read.audit_entry.attempt IS 'Which attempt of it, from 1.';
COMMENT ON COLUMN read.audit_entry.correlation_id IS 'The same for everything that one record caused.';
COMMENT ON COLUMN read.audit_entry.causation_id IS 'What caused the command, where it was not a channel.';
COMMENT ON COLUMN read.audit_entry.purchase_order_ref IS 'The customer''s purchase order number.';
COMMENT ON COLUMN read.audit_entry.policy_version IS 'Version of the rules it was decided by.';
COMMENT ON COLUMN read.audit_entry.catalog_version IS 'Version of the price book it was decided by.';
COMMENT ON COLUMN read.audit_entry.received_at IS 'When the broker took in the record that caused it.';
COMMENT ON COLUMN read.audit_entry.occurred_at IS 'When it happened.';
COMMENT ON COLUMN read.audit_entry.recorded_at IS 'When it was recorded.';
COMMENT ON COLUMN read.audit_entry.effective_at IS 'From when it counts.';
COMMENT ON COLUMN read.audit_entry.hash IS 'SHA-256 of the previous event''s hash and this event''s bytes.';
COMMENT ON COLUMN read.audit_entry.body IS 'The particulars, by the field names of the event''s schema. A NUL character stands as U+2400.';
