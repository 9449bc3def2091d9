-- +goose Up

-- What the accounts of a short code held, each time that Safaricom was asked. Rows are only added.
ALTER TABLE rail_requests DROP CONSTRAINT rail_requests_kind_check;
ALTER TABLE rail_requests ADD CONSTRAINT rail_requests_kind_check CHECK (kind IN ('reversal', 'status', 'balance'));
ALTER TABLE rail_requests ADD CONSTRAINT rail_requests_about_item CHECK ((kind = 'balance') = (item_id IS NULL));
CREATE INDEX rail_requests_balance ON rail_requests (sent_at) WHERE kind = 'balance';

CREATE TABLE rail_balances (
	request_id      uuid        NOT NULL REFERENCES rail_requests,
	short_code      text        NOT NULL,
	account         text        NOT NULL CHECK (length(account) BETWEEN 1 AND 100), -- as Safaricom names it: Utility, Working, Charges Paid
	currency        text        NOT NULL,
	current_minor   bigint      NOT NULL, -- Charges Paid runs below zero
	available_minor bigint      NOT NULL,
	reserved_minor  bigint      NOT NULL,
	uncleared_minor bigint      NOT NULL,
	as_of           timestamptz NOT NULL, -- Safaricom's, or when the message came
	PRIMARY KEY (request_id, account)
);
CREATE INDEX rail_balances_latest ON rail_balances (short_code, account, as_of DESC);
