-- Until when a held order may be refused, for its answers.

ALTER TABLE deadletter.held_record ADD COLUMN decide_by timestamptz;
COMMENT ON COLUMN deadletter.held_record.decide_by IS 'Until when a refusal counts, where the channel takes silence for a yes; else null.';
