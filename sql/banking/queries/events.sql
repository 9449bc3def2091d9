-- name: InsertProviderEvent :one
INSERT INTO provider_events (id, kind, request_id, body_hash, body_sealed, source, received_at)
VALUES (@id, @kind, @request_id, @body_hash, @body_sealed, @source, @received_at)
ON CONFLICT ON CONSTRAINT provider_events_once DO NOTHING RETURNING id;

-- name: LockProviderEvent :one
SELECT id, kind, request_id, body_hash, body_sealed, source, received_at, judged_at, verdict FROM provider_events WHERE id = @id FOR UPDATE;

-- name: JudgeProviderEvent :exec
UPDATE provider_events SET judged_at = @now, verdict = @verdict WHERE id = @id;

-- name: InsertPaystackEvent :one
INSERT INTO paystack_events (id, body_hash, body_sealed, received_at) VALUES (@id, @body_hash, @body_sealed, @received_at)
ON CONFLICT ON CONSTRAINT paystack_events_once DO NOTHING RETURNING id;

-- name: LockPaystackEvent :one
SELECT id, body_hash, body_sealed, received_at, judged_at, verdict FROM paystack_events WHERE id = @id FOR UPDATE;

-- name: JudgePaystackEvent :exec
UPDATE paystack_events SET judged_at = @now, verdict = @verdict WHERE id = @id;
