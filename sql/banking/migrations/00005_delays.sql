-- +goose Up
-- Whose customer was told that the rail is slow; once for each withdrawal.
CREATE TABLE withdrawal_delays (
	withdrawal_id uuid        PRIMARY KEY REFERENCES withdrawals,
	told_at       timestamptz NOT NULL
);
