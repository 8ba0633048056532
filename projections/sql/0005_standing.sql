-- Standing of single subscriptions, and until when a channel hears a refusal. Rows from before say what a fold
-- would give them: no event of that time changed a standing or named a limit.

ALTER TABLE read.tier_status ADD COLUMN subscription_standing text NOT NULL DEFAULT 'good';
COMMENT ON COLUMN read.tier_status.subscription_standing IS 'Standing of the subscription itself: good, suspended (its features are off until it is given back) or ended.';
ALTER TABLE read.tier_history ADD COLUMN subscription_standing text NOT NULL DEFAULT 'good';
COMMENT ON COLUMN read.tier_history.subscription_standing IS 'Standing of the subscription itself from then on: good, suspended or ended.';
ALTER TABLE read.order_status ADD COLUMN decide_by timestamptz;
COMMENT ON COLUMN read.order_status.decide_by IS 'Until when the channel could be told no: after that it counts the order as accepted, and it is never rejected. Null for channels that wait for the answer.';
