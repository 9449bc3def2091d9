-- name: InsertUser :exec
INSERT INTO users (id, phone_sealed, phone_index, country, language, role, status, kyc_status, tier, pin_sealed, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, 'active', 'none', 0, $7, sqlc.arg(now), sqlc.arg(now));

-- name: GetUser :one
SELECT id, phone_sealed, phone_index, email_sealed, name_sealed, country, language, role, status, kyc_status, tier, version, pin_sealed, created_at, updated_at
FROM users WHERE id = $1;

-- name: LockUser :one
SELECT id, phone_sealed, phone_index, email_sealed, name_sealed, country, language, role, status, kyc_status, tier, version, pin_sealed, created_at, updated_at
FROM users WHERE id = $1 FOR NO KEY UPDATE;

-- name: FindUserByPhone :one
-- Indexes under the current key and the previous ones, while keys are rotated.
SELECT id, phone_sealed, phone_index, email_sealed, name_sealed, country, language, role, status, kyc_status, tier, version, pin_sealed, created_at, updated_at
FROM users WHERE phone_index = ANY(sqlc.arg(indexes)::bytea[]);

-- name: UpdateUserProfile :exec
UPDATE users SET email_sealed = $2, language = $3, updated_at = sqlc.arg(now) WHERE id = $1;

-- name: UpdateUserStatus :one
UPDATE users SET status = $2, version = version + 1, updated_at = sqlc.arg(now) WHERE id = $1 RETURNING version;

-- name: UpdateUserKyc :one
UPDATE users SET kyc_status = $2, tier = $3, name_sealed = $4, version = version + 1, updated_at = sqlc.arg(now) WHERE id = $1 RETURNING version;

-- name: BindDevice :execrows
INSERT INTO devices (user_id, device_index, bound_at) VALUES ($1, $2, sqlc.arg(now)) ON CONFLICT DO NOTHING;

-- name: DeviceBound :one
SELECT EXISTS (SELECT 1 FROM devices WHERE user_id = $1 AND device_index = ANY(sqlc.arg(indexes)::bytea[]));

-- name: UpdateUserPin :exec
UPDATE users SET pin_sealed = $2, updated_at = sqlc.arg(now) WHERE id = $1;
