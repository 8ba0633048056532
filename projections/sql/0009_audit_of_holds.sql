-- Who looked at held records unmasked, beside who did at dead letters. The place stays when the hold has gone.

ALTER TABLE deadletter.audit
    ADD COLUMN hold_id   uuid,
    ADD COLUMN topic     text,
    ADD COLUMN partition integer,
    ADD COLUMN "offset"  bigint;
CREATE INDEX ON deadletter.audit (hold_id);
COMMENT ON TABLE  deadletter.audit IS 'Who did what to which dead letter, or looked at its payload or at a held record unmasked. Only ever added to.';
COMMENT ON COLUMN deadletter.audit.dead_letter_id IS 'The dead letter; null for a held record.';
COMMENT ON COLUMN deadletter.audit.hold_id IS 'The hold in which the record waited; null for a dead letter, like the three columns that follow.';
COMMENT ON COLUMN deadletter.audit.topic IS 'Where the held record is from.';
COMMENT ON COLUMN deadletter.audit.partition IS 'The partition of that topic.';
COMMENT ON COLUMN deadletter.audit."offset" IS 'The offset in that partition.';
