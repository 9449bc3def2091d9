-- name: ChallengeOwner :one
-- Whose a challenge is, whatever became of it.
SELECT user_id FROM otp_challenges WHERE id = $1 AND purpose = $2;

-- name: InsertNumberChange :exec
INSERT INTO number_changes (id, user_id, phone_sealed, state, created_at, applies_at) VALUES ($1, $2, $3, 'cooling', $4, $5);

-- name: GetNumberChange :one
SELECT id, user_id, phone_sealed, state, reason_code, created_at, applies_at, closed_at FROM number_changes WHERE id = $1;

-- name: LockNumberChange :one
-- Always after the customer's row.
SELECT id, user_id, phone_sealed, state, reason_code, created_at, applies_at, closed_at FROM number_changes WHERE id = $1 FOR UPDATE;

-- name: OpenNumberChange :one
SELECT id FROM number_changes WHERE user_id = $1 AND state = 'cooling';

-- name: ListNumberChanges :many
SELECT id, user_id, phone_sealed, state, reason_code, created_at, applies_at, closed_at FROM number_changes
WHERE user_id = $1 AND id < sqlc.arg(before) ORDER BY id DESC LIMIT sqlc.arg(page)::int;

-- name: CloseNumberChange :exec
UPDATE number_changes SET state = $2, reason_code = $3, closed_at = sqlc.arg(now)::timestamptz WHERE id = $1 AND state = 'cooling';

-- name: UpdateUserPhone :one
UPDATE users SET phone_sealed = $2, phone_index = $3, version = version + 1, updated_at = sqlc.arg(now) WHERE id = $1 RETURNING version;

-- name: VoidChallenges :exec
-- Codes that were sent to a customer's former number are good for nothing.
UPDATE otp_challenges SET consumed_at = sqlc.arg(now)::timestamptz
WHERE user_id = sqlc.arg(user_id)::uuid AND purpose IN ('login', 'pin_reset') AND consumed_at IS NULL;

-- name: InsertFormerNumber :exec
INSERT INTO former_numbers (id, user_id, phone_sealed, left_at) VALUES ($1, $2, $3, $4);

-- name: GetFormerNumber :one
SELECT f.phone_sealed, u.language FROM former_numbers f JOIN users u ON u.id = f.user_id WHERE f.id = $1;

-- name: SweepFormerNumbers :execrows
DELETE FROM former_numbers WHERE id IN (SELECT f.id FROM former_numbers f WHERE f.left_at < sqlc.arg(before) LIMIT 1000);
