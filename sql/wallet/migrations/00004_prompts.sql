-- +goose Up

-- What others' prompts came to at a number that is not their own: the rules are in the service's domain (PromptedPhone).
CREATE TABLE prompted_phones (
	phone_index   bytea         PRIMARY KEY,
	recent        timestamptz[] NOT NULL, -- when the last prompts were asked for, oldest first
	declined      integer       NOT NULL CHECK (declined >= 0), -- in a row
	blocked_until timestamptz,
	updated_at    timestamptz   NOT NULL
);
CREATE INDEX prompted_phones_updated ON prompted_phones (updated_at);

ALTER TABLE topups ADD COLUMN others_phone boolean NOT NULL DEFAULT false; -- of those of before nobody asked whose number it was
CREATE INDEX topups_underway ON topups (wallet_id) WHERE status IN ('stored', 'requested', 'prompted') OR credit = 'due';

-- +goose StatementBegin
DO $$
DECLARE app text := regexp_replace(current_user, '_owner$', '_app');
BEGIN
	EXECUTE format('GRANT UPDATE (recent, declined, blocked_until, updated_at), DELETE ON prompted_phones TO %I', app);
END $$;
-- +goose StatementEnd
