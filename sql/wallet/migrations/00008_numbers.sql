-- +goose Up

-- What the customer's phone number may be used for, as user answered: held, in_review (somebody else has proved to receive what is sent to
-- it) or none. Only a payment that was asked for by a number goes by it.
ALTER TABLE customers ADD COLUMN number text NOT NULL DEFAULT 'held' CHECK (number IN ('held', 'in_review', 'none'));
ALTER TABLE transfer_quotes ADD COLUMN by_phone boolean NOT NULL DEFAULT true; -- of those of before nobody knows

-- +goose StatementBegin
DO $$
DECLARE app text := regexp_replace(current_user, '_owner$', '_app');
BEGIN
	EXECUTE format('GRANT UPDATE (number) ON customers TO %I', app);
END $$;
-- +goose StatementEnd
