-- name: InsertKyc :exec
INSERT INTO kyc_verifications (id, user_id, status, country, id_type, id_index, submission_sealed, consent_version, submitted_at)
VALUES ($1, $2, 'pending', $3, $4, $5, $6, $7, $8);

-- name: CountKycSince :one
SELECT count(*) FROM kyc_verifications WHERE user_id = $1 AND submitted_at > sqlc.arg(since);

-- name: GetKyc :one
SELECT id, user_id, status, reason_code, country, id_type, id_index, submission_sealed, result_sealed, consent_version, attempt, sent_at, submitted_at, decided_at, decided_by
FROM kyc_verifications WHERE id = $1;

-- name: LockKyc :one
SELECT id, user_id, status, reason_code, country, id_type, id_index, submission_sealed, result_sealed, consent_version, attempt, sent_at, submitted_at, decided_at, decided_by
FROM kyc_verifications WHERE id = $1 FOR UPDATE;

-- name: MarkKycSent :exec
UPDATE kyc_verifications SET sent_at = sqlc.arg(now)::timestamptz WHERE id = $1 AND attempt = $2 AND sent_at IS NULL AND status = 'pending';

-- name: NextKycAttempt :exec
UPDATE kyc_verifications SET attempt = attempt + 1, sent_at = NULL WHERE id = $1 AND attempt = $2 AND status = 'pending';

-- name: CloseKyc :exec
UPDATE kyc_verifications SET status = $2, reason_code = $3, result_sealed = coalesce(sqlc.narg(result_sealed), result_sealed),
    decided_at = sqlc.narg(decided_at), decided_by = sqlc.narg(decided_by)
WHERE id = $1;

-- name: IdentityTaken :one
SELECT EXISTS (SELECT 1 FROM kyc_verifications
    WHERE id_index = ANY(sqlc.arg(indexes)::bytea[]) AND status = 'verified' AND user_id <> $1);

-- name: ListKycReviews :many
SELECT id, user_id, reason_code, country, id_type, submission_sealed, result_sealed, submitted_at
FROM kyc_verifications WHERE status = sqlc.arg(status) AND id > sqlc.arg(after) ORDER BY id LIMIT sqlc.arg(page)::int;

-- name: InsertKycCallback :execrows
INSERT INTO kyc_callbacks (id, kyc_id, body_sealed, received_at)
SELECT sqlc.arg(id), k.id, sqlc.arg(body_sealed), sqlc.arg(now) FROM kyc_verifications k
WHERE k.id = sqlc.arg(kyc_id) AND (SELECT count(*) FROM kyc_callbacks c WHERE c.kyc_id = k.id) < 20;

-- name: VerifiedKyc :one
SELECT country, id_type, id_index FROM kyc_verifications WHERE user_id = $1 AND status = 'verified' ORDER BY submitted_at DESC LIMIT 1;
