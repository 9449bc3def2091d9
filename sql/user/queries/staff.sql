-- name: GetTotp :one
SELECT user_id, secret_sealed, created_at, confirmed_at, last_step, session_id FROM totp_factors WHERE user_id = $1;

-- name: ShowTotp :execrows
-- Another session's secret that was not confirmed yet is replaced. No row: one is confirmed, or this session was shown one.
INSERT INTO totp_factors AS f (user_id, secret_sealed, created_at, session_id) VALUES ($1, $2, sqlc.arg(now), sqlc.arg(session_id)::uuid)
ON CONFLICT (user_id) DO UPDATE SET secret_sealed = EXCLUDED.secret_sealed, created_at = EXCLUDED.created_at, last_step = 0,
    session_id = EXCLUDED.session_id
WHERE f.confirmed_at IS NULL AND f.session_id IS DISTINCT FROM EXCLUDED.session_id;

-- name: SpendTotpStep :execrows
-- Under two requests with one code, one finds the step spent.
UPDATE totp_factors SET last_step = sqlc.arg(step), confirmed_at = coalesce(confirmed_at, sqlc.arg(now)::timestamptz)
WHERE user_id = $1 AND last_step < sqlc.arg(step) AND secret_sealed = sqlc.arg(secret_sealed);

-- name: DeleteTotp :execrows
DELETE FROM totp_factors WHERE user_id = $1;

-- name: RaiseSession :execrows
UPDATE sessions SET factor = 'totp' WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL;

-- name: ListStaff :many
SELECT u.id, u.role, u.status, (f.confirmed_at IS NOT NULL)::boolean AS totp, u.created_at
FROM users u LEFT JOIN totp_factors f ON f.user_id = u.id
WHERE u.role NOT IN ('customer', 'agent') AND u.id > sqlc.arg(after) ORDER BY u.id LIMIT sqlc.arg(size);

-- name: LockAdmins :exec
-- Whoever makes or unmakes an admin waits here for the other.
SELECT pg_advisory_xact_lock(hashtextextended('user.admins', 0));

-- name: CountAdmins :one
SELECT count(*) FILTER (WHERE status = 'active') AS active, count(*) AS ever FROM users WHERE role = 'admin';

-- name: UpdateUserRole :one
UPDATE users SET role = $2, version = version + 1, updated_at = sqlc.arg(now) WHERE id = $1 RETURNING version;

-- name: CountBreakGlass :one
SELECT count(*) FROM break_glass_uses WHERE used_at > sqlc.arg(since);

-- name: InsertBreakGlass :exec
INSERT INTO break_glass_uses (id, action, user_id, reason_sealed, used_at) VALUES ($1, $2, $3, $4, $5);

-- name: NewestKyc :one
SELECT id FROM kyc_verifications WHERE user_id = $1 ORDER BY submitted_at DESC, id DESC LIMIT 1;
