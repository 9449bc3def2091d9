-- name: ReservePinTry :one
-- Counts a try before the PIN is looked at, so that parallel guesses cannot share one try. No row: locked. The last allowed try
-- sets the lock at once; the right PIN lifts it. After a lock has run out counting starts again, and the next lock is twice as long.
INSERT INTO pin_attempts AS p (phone_index, tries, locks, updated_at) VALUES (sqlc.arg(phone_index), 1, 0, sqlc.arg(now))
ON CONFLICT (phone_index) DO UPDATE SET
    tries = CASE WHEN p.locked_until IS NULL THEN p.tries + 1 ELSE 1 END,
    locks = CASE WHEN p.locked_until IS NULL AND p.tries + 1 = sqlc.arg(max_tries)::int THEN p.locks + 1 ELSE p.locks END,
    locked_until = CASE WHEN p.locked_until IS NULL AND p.tries + 1 = sqlc.arg(max_tries)::int
        THEN sqlc.arg(now) + least(sqlc.arg(lock_seconds)::bigint * (1::bigint << least(p.locks, 20)), sqlc.arg(max_lock_seconds)::bigint) * interval '1 second' END,
    updated_at = sqlc.arg(now)
WHERE p.locked_until IS NULL OR p.locked_until <= sqlc.arg(now)
RETURNING tries;

-- name: PinLockedUntil :one
SELECT locked_until FROM pin_attempts WHERE phone_index = $1;

-- name: ClearPinTries :exec
UPDATE pin_attempts SET tries = 0, locks = 0, locked_until = NULL, updated_at = $2 WHERE phone_index = $1;

-- name: SweepPinAttempts :execrows
-- The inner lock reads the newest version of a row: one that is counted at this moment stays.
DELETE FROM pin_attempts WHERE phone_index IN (
    SELECT p.phone_index FROM pin_attempts p WHERE p.updated_at < sqlc.arg(before) AND (p.locked_until IS NULL OR p.locked_until < sqlc.arg(before))
    LIMIT 1000 FOR UPDATE SKIP LOCKED);
