-- +goose Up
-- kit/keycheck: which keys this database was written under, a row each time a service starts with another one; the newest counts. A check
-- value is derived from its key and tells nothing about it. The service only adds rows: that a key is lost for good says the owner.
CREATE TABLE key_checks (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	key        text        NOT NULL,
	value      bytea       NOT NULL CHECK (length(value) = 32),
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX key_checks_key ON key_checks (key, id DESC);
