-- name: InsertRecovery :exec
INSERT INTO recoveries (id, state, phone_sealed, phone_country, country, id_type, id_index, submission_sealed, consent_version, pin_sealed, device_index, token_hash, created_at, expires_at)
VALUES ($1, 'checking', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: GetRecovery :one
SELECT id, state, reason_code, user_id, phone_sealed, phone_country, country, id_type, id_index, submission_sealed, result_sealed, consent_version, pin_sealed, device_index, token_hash, attempt, sent_at, created_at, expires_at, applies_at, closed_at FROM recoveries WHERE id = $1;

-- name: LockRecovery :one
-- After the customer's row, where there is one.
SELECT id, state, reason_code, user_id, phone_sealed, phone_country, country, id_type, id_index, submission_sealed, result_sealed, consent_version, pin_sealed, device_index, token_hash, attempt, sent_at, created_at, expires_at, applies_at, closed_at FROM recoveries WHERE id = $1 FOR UPDATE;

-- name: ListRecoveries :many
SELECT id, state, reason_code, user_id, phone_sealed, phone_country, country, id_type, id_index, submission_sealed, result_sealed, consent_version, pin_sealed, device_index, token_hash, attempt, sent_at, created_at, expires_at, applies_at, closed_at FROM recoveries WHERE state = sqlc.arg(state) AND id > sqlc.arg(after) ORDER BY id LIMIT sqlc.arg(page)::int;

-- name: ListUserRecoveries :many
SELECT id, state, reason_code, user_id, phone_sealed, phone_country, country, id_type, id_index, submission_sealed, result_sealed, consent_version, pin_sealed, device_index, token_hash, attempt, sent_at, created_at, expires_at, applies_at, closed_at FROM recoveries WHERE user_id = sqlc.arg(user_id)::uuid AND applies_at IS NOT NULL AND id < sqlc.arg(before)
ORDER BY id DESC LIMIT sqlc.arg(page)::int;

-- name: SpentCode :one
-- A code after it was spent, for a repeated request.
SELECT code_sealed FROM otp_challenges WHERE id = $1 AND purpose = $2;

-- name: IdentityHolder :one
SELECT id, user_id, submission_sealed FROM kyc_verifications WHERE id_index = ANY(sqlc.arg(indexes)::bytea[]) AND status = 'verified';

-- name: AssignRecovery :exec
UPDATE recoveries SET user_id = sqlc.arg(user_id)::uuid WHERE id = $1 AND state = 'checking';

-- name: MarkRecoverySent :exec
UPDATE recoveries SET sent_at = sqlc.arg(now)::timestamptz WHERE id = $1 AND attempt = $2 AND sent_at IS NULL AND state = 'checking';

-- name: NextRecoveryAttempt :exec
UPDATE recoveries SET attempt = attempt + 1, sent_at = NULL WHERE id = $1 AND attempt = $2 AND state = 'checking';

-- name: CheckRecovery :exec
UPDATE recoveries SET state = 'checked', result_sealed = $2 WHERE id = $1;

-- name: CoolRecovery :exec
UPDATE recoveries SET state = 'cooling', applies_at = sqlc.arg(applies_at)::timestamptz WHERE id = $1;

-- name: CloseRecovery :exec
UPDATE recoveries SET state = $2, reason_code = $3, closed_at = sqlc.arg(now)::timestamptz, pin_sealed = NULL,
    result_sealed = coalesce(sqlc.narg(result_sealed), result_sealed)
WHERE id = $1;

-- name: SupersedeRecoveries :exec
-- Others of the same customer: one is enough, and the identity is the customer's again.
UPDATE recoveries SET state = 'refused', reason_code = 'recovered', closed_at = sqlc.arg(now)::timestamptz, pin_sealed = NULL
WHERE user_id = sqlc.arg(user_id)::uuid AND id <> sqlc.arg(id) AND state IN ('checking', 'checked');

-- name: ExpireRecoveries :execrows
UPDATE recoveries SET state = 'expired', closed_at = sqlc.arg(now)::timestamptz, pin_sealed = NULL
WHERE id IN (SELECT r.id FROM recoveries r WHERE r.state IN ('checking', 'checked') AND r.expires_at < sqlc.arg(now)::timestamptz
    LIMIT 1000 FOR UPDATE SKIP LOCKED);

-- name: InsertRecoveryCallback :execrows
INSERT INTO recovery_callbacks (id, recovery_id, body_sealed, received_at)
SELECT sqlc.arg(id), r.id, sqlc.arg(body_sealed), sqlc.arg(now) FROM recoveries r
WHERE r.id = sqlc.arg(recovery_id) AND (SELECT count(*) FROM recovery_callbacks c WHERE c.recovery_id = r.id) < 20;

-- name: ReplaceUserPin :one
UPDATE users SET pin_sealed = $2, version = version + 1, updated_at = sqlc.arg(now) WHERE id = $1 RETURNING version;

-- name: UnbindDevices :execrows
DELETE FROM devices WHERE user_id = $1;
