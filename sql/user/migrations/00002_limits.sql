-- +goose Up

-- When requests of one kind were admitted, by who asks: a customer's own device, or anybody with the phone. The rules are in the
-- service's domain (Limit). The key is a keyed hash of both: the table names neither phones nor customers.
CREATE TABLE limit_counts (
    key        bytea         PRIMARY KEY,
    taken      timestamptz[] NOT NULL, -- oldest first, as many as the limit at the most
    expires_at timestamptz   NOT NULL  -- when the youngest no longer counts
);
CREATE INDEX limit_counts_expires ON limit_counts (expires_at);

GRANT UPDATE (taken, expires_at), DELETE ON limit_counts TO user_app;
