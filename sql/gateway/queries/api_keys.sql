-- name: InsertAPIKey :exec
INSERT INTO api_keys (id, name, hint, hash, scopes, created_by, expires_at, created_at)
VALUES (@id, @name, @hint, @hash, @scopes, @created_by, sqlc.narg(expires_at), @created_at);

-- name: ListAPIKeys :many
-- Newest first; ids are UUIDv7 and grow with time.
SELECT id, name, hint, scopes, created_at, expires_at, revoked_at
FROM api_keys
WHERE id < @before
ORDER BY id DESC
LIMIT @page_size;

-- name: LockAPIKey :one
SELECT id, revoked_at FROM api_keys WHERE id = @id FOR UPDATE;

-- name: RevokeAPIKey :exec
UPDATE api_keys SET revoked_at = sqlc.arg(now)::timestamptz WHERE id = @id;

-- name: ListLiveAPIKeys :many
SELECT id, hash, scopes, expires_at FROM api_keys
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > sqlc.arg(now)::timestamptz - interval '30 days')
ORDER BY id LIMIT 100000;

-- name: GetLiveAPIKey :one
SELECT id, hash, scopes, expires_at FROM api_keys WHERE id = @id AND revoked_at IS NULL;

-- name: NotifyAPIKey :exec
-- Delivered to every gateway at commit.
SELECT pg_notify('gateway_api_keys', @id::text);
