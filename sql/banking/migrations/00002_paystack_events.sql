-- +goose Up
-- What Paystack posted, sealed as it came and once: events carry no id, and a repeated one has the same bytes.
CREATE TABLE paystack_events (
	id          uuid        PRIMARY KEY,
	body_hash   bytea       NOT NULL CONSTRAINT paystack_events_once UNIQUE,
	body_sealed bytea       NOT NULL,
	received_at timestamptz NOT NULL,
	judged_at   timestamptz,
	verdict     text,
	CHECK ((judged_at IS NULL) = (verdict IS NULL))
);
CREATE INDEX paystack_events_unjudged ON paystack_events (received_at) WHERE judged_at IS NULL;

GRANT UPDATE (judged_at, verdict) ON paystack_events TO banking_app;
