-- name: LockLimit :one
-- The row of a key, new or not, locked until the transaction ends.
INSERT INTO limit_counts (key, taken, expires_at) VALUES (@key, '{}', @now) ON CONFLICT (key) DO UPDATE SET expires_at = limit_counts.expires_at
RETURNING taken;

-- name: PreviousLimits :many
-- What was counted under the previous keys, while they are rotated.
SELECT taken FROM limit_counts WHERE key = ANY(@keys::bytea[]);

-- name: UpdateLimit :exec
UPDATE limit_counts SET taken = @taken, expires_at = @expires_at WHERE key = @key;

-- name: SweepLimits :execrows
-- The inner lock reads the newest version of a row: one that is counted at this moment stays.
DELETE FROM limit_counts WHERE key IN (SELECT l.key FROM limit_counts l WHERE l.expires_at <= @before LIMIT 1000 FOR UPDATE SKIP LOCKED);
