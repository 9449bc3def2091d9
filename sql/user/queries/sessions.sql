-- name: InsertSession :exec
INSERT INTO sessions (id, user_id, device_index, created_at, expires_at, factor, idle_until) VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: InsertRefreshToken :exec
INSERT INTO refresh_tokens (hash, session_id, created_at) VALUES ($1, $2, $3);

-- name: FindRefreshToken :one
SELECT t.session_id, s.user_id FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE t.hash = $1;

-- name: LockSession :one
SELECT id, user_id, device_index, expires_at, revoked_at, factor, idle_until FROM sessions WHERE id = $1 FOR UPDATE;

-- name: KeepSession :exec
UPDATE sessions SET idle_until = $2 WHERE id = $1;

-- name: GetRefreshToken :one
-- Read under the session's lock: tokens of one family change one after the other.
SELECT used_at, used_by, successor_hash FROM refresh_tokens WHERE hash = $1;

-- name: SpendRefreshToken :execrows
UPDATE refresh_tokens SET used_at = sqlc.arg(now)::timestamptz, used_by = sqlc.arg(used_by)::bytea, successor_hash = sqlc.arg(successor_hash)::bytea
WHERE hash = $1 AND used_at IS NULL;

-- name: SessionLive :one
SELECT EXISTS (SELECT 1 FROM sessions WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > sqlc.arg(now)
    AND (idle_until IS NULL OR idle_until > sqlc.arg(now)));

-- name: RevokeSession :execrows
UPDATE sessions SET revoked_at = sqlc.arg(now)::timestamptz, revoke_reason = sqlc.arg(reason)
WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL;

-- name: RevokeUserSessions :many
UPDATE sessions SET revoked_at = sqlc.arg(now)::timestamptz, revoke_reason = sqlc.arg(reason)
WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > sqlc.arg(now)::timestamptz RETURNING id;

-- name: InsertRevocations :exec
-- The database's own time, moved as far as the platform's clock is: gateways ask for what came since a time that they were told, and of
-- two replicas whose clocks differ one would write revocations into a past that was asked for already.
INSERT INTO revocations (kind, subject_id, revoked_at)
SELECT 'session', unnest(sqlc.arg(session_ids)::uuid[]), clock_timestamp() + sqlc.arg(ahead_us)::bigint * interval '1 microsecond';

-- name: DatabaseTime :one
-- The time by which revocations are written.
SELECT (clock_timestamp() + sqlc.arg(ahead_us)::bigint * interval '1 microsecond')::timestamptz;

-- name: ListRevocations :many
SELECT kind, subject_id, revoked_at FROM revocations WHERE revoked_at >= sqlc.arg(since) ORDER BY revoked_at, id LIMIT 100000;

-- name: SweepRevocations :execrows
DELETE FROM revocations WHERE id IN (SELECT id FROM revocations WHERE revocations.revoked_at < sqlc.arg(before) LIMIT 1000);

-- name: SweepSessions :execrows
-- Refresh tokens go with their session.
DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE sessions.expires_at < sqlc.arg(before) LIMIT 1000);
