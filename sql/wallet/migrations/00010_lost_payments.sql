-- +goose Up
-- Top-ups of which nobody said how they ended: Safaricom's books are read for them.
CREATE INDEX topups_lost ON topups (created_at) WHERE status IN ('unknown', 'expired');
