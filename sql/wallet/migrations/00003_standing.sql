-- +goose Up

-- Events about customers are hints: what somebody may do is what user answers (getStanding), and version is the one of that answer, whatever
-- an event had said before. answered is the number of the question whose answer the row holds, 0 for rows of before, which are asked about
-- once; revision counts the changes that the ledger's maximum has to follow. status_version is not used any more; a later release drops it.
CREATE SEQUENCE standing_questions;
ALTER TABLE customers ADD COLUMN answered bigint NOT NULL DEFAULT 0;
ALTER TABLE customers ADD COLUMN revision bigint NOT NULL DEFAULT 0;
ALTER TABLE customers ALTER COLUMN status_version SET DEFAULT -1;
CREATE INDEX customers_unanswered ON customers (user_id) WHERE answered = 0;
UPDATE wallets SET ledger_version = -1; -- from here on it is the revision

-- +goose StatementBegin
DO $$
DECLARE app text := regexp_replace(current_user, '_owner$', '_app');
BEGIN
	EXECUTE format('GRANT UPDATE (answered, revision) ON customers TO %I', app);
END $$;
-- +goose StatementEnd
