-- Which dead letter the records of a parked key wait behind.

ALTER TABLE deadletter.key_hold ADD COLUMN parked_behind bigint;
COMMENT ON COLUMN deadletter.key_hold.parked_behind IS 'Offset of the head that became a dead letter; null while the key is not parked, and where it was parked before this column was there.';
