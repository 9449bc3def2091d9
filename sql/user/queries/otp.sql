-- name: InsertChallenge :exec
INSERT INTO otp_challenges (id, purpose, phone_sealed, phone_index, country, language, user_id, device_index, code_sealed, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: ReserveOtpTry :one
-- Counts a try before the code is compared. No row: unknown, spent, expired or no try left.
UPDATE otp_challenges SET tries = tries + 1
WHERE id = $1 AND purpose = $2 AND consumed_at IS NULL AND expires_at > sqlc.arg(now) AND tries < sqlc.arg(max_tries)::int
RETURNING id, phone_sealed, phone_index, country, language, user_id, device_index, code_sealed, expires_at;

-- name: ConsumeChallenge :execrows
UPDATE otp_challenges SET consumed_at = sqlc.arg(now)::timestamptz WHERE id = $1 AND consumed_at IS NULL;

-- name: GetChallenge :one
SELECT id, purpose, phone_sealed, language, code_sealed, user_id, expires_at FROM otp_challenges
WHERE id = $1 AND consumed_at IS NULL AND expires_at > sqlc.arg(now) AND tries < sqlc.arg(max_tries)::int;

-- name: SweepChallenges :execrows
DELETE FROM otp_challenges WHERE id IN (SELECT id FROM otp_challenges WHERE otp_challenges.expires_at < sqlc.arg(before) LIMIT 1000);
