-- name: InsertNumberClaim :exec
INSERT INTO number_claims (id, user_id, phone_sealed, phone_index, state, opened_at) VALUES ($1, $2, $3, $4, 'open', $5);

-- name: GetNumberClaim :one
SELECT id, user_id, phone_sealed, phone_index, state, reason, opened_at, answered_at, closed_at, decided_by FROM number_claims WHERE id = $1;

-- name: LockNumberClaim :one
-- Always after the holder's row: locks in one order.
SELECT id, user_id, phone_sealed, phone_index, state, reason, opened_at, answered_at, closed_at, decided_by
FROM number_claims WHERE id = $1 FOR UPDATE;

-- name: WaitingNumberClaim :one
SELECT id, user_id, phone_sealed, phone_index, state, reason, opened_at, answered_at, closed_at, decided_by
FROM number_claims WHERE user_id = $1 AND state IN ('open', 'disputed');

-- name: NumberInReview :one
SELECT EXISTS (SELECT 1 FROM number_claims WHERE user_id = $1 AND state IN ('open', 'disputed'));

-- name: MoveNumberClaim :exec
UPDATE number_claims SET state = $2, reason = $3, answered_at = sqlc.narg(answered_at), closed_at = sqlc.narg(closed_at),
    decided_by = sqlc.narg(decided_by)
WHERE id = $1;

-- name: ListUserNumberClaims :many
SELECT id, user_id, phone_sealed, phone_index, state, reason, opened_at, answered_at, closed_at, decided_by
FROM number_claims WHERE user_id = $1 AND id < sqlc.arg(before) ORDER BY id DESC LIMIT sqlc.arg(page)::int;

-- name: ListNumberClaims :many
SELECT id, user_id, phone_sealed, phone_index, state, reason, opened_at, answered_at, closed_at, decided_by
FROM number_claims WHERE state = sqlc.arg(state) AND id > sqlc.arg(after) ORDER BY id LIMIT sqlc.arg(page)::int;

-- name: RaiseUserVersion :one
UPDATE users SET version = version + 1, updated_at = sqlc.arg(now) WHERE id = $1 RETURNING version;

-- name: ReleaseUserPhone :one
-- Whoever proves the number next has it; this customer has none.
UPDATE users SET phone_sealed = NULL, phone_index = NULL, version = version + 1, updated_at = sqlc.arg(now) WHERE id = $1 RETURNING version;

-- name: FindFormerHolder :one
-- The last one who lost the number, has none since, and knows the device.
SELECT u.id, u.phone_sealed, u.phone_index, u.email_sealed, u.name_sealed, u.country, u.language, u.role, u.status, u.kyc_status, u.tier, u.version,
    u.pin_sealed, u.created_at, u.updated_at
FROM number_claims c JOIN users u ON u.id = c.user_id AND u.phone_index IS NULL
WHERE c.state = 'released' AND c.phone_index = ANY(sqlc.arg(phones)::bytea[])
    AND EXISTS (SELECT 1 FROM devices d WHERE d.user_id = u.id AND d.device_index = ANY(sqlc.arg(devices)::bytea[]))
ORDER BY c.id DESC LIMIT 1;

-- name: ForgetPinTries :exec
DELETE FROM pin_attempts WHERE phone_index = ANY(sqlc.arg(indexes)::bytea[]);

-- name: ForgetLimits :exec
DELETE FROM limit_counts WHERE key = ANY(sqlc.arg(keys)::bytea[]);
