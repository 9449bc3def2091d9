-- name: InsertNotification :execrows
INSERT INTO notifications (id, source_event_id, recipient_id, user_id, channel, template, params, occurred_at, created_at, updated_at)
VALUES (@id, @source_event_id, @recipient_id, @user_id, @channel, @template, @params, @occurred_at, @now, @now)
ON CONFLICT ON CONSTRAINT notifications_once DO NOTHING;

-- name: GetNotification :one
SELECT id, source_event_id, recipient_id, user_id, channel, template, params, state, reason_code, attempts, message,
       provider_message_id, occurred_at, created_at, updated_at, sent_at
FROM notifications WHERE id = @id;

-- name: LockNotification :one
SELECT id, source_event_id, recipient_id, user_id, channel, template, params, state, reason_code, attempts, message,
       provider_message_id, occurred_at, created_at, updated_at, sent_at
FROM notifications WHERE id = @id FOR UPDATE;

-- name: LockByProviderMessage :one
SELECT id, source_event_id, recipient_id, user_id, channel, template, params, state, reason_code, attempts, message,
       provider_message_id, occurred_at, created_at, updated_at, sent_at
FROM notifications WHERE channel = @channel AND provider_message_id = @provider_message_id FOR UPDATE;

-- name: ClaimNotification :execrows
UPDATE notifications SET state = 'sending', attempts = attempts + 1, message = @message, updated_at = @now
WHERE id = @id AND state = 'pending';

-- name: MarkSent :exec
UPDATE notifications SET state = 'sent', reason_code = NULL, provider_message_id = @provider_message_id, sent_at = @now, updated_at = @now
WHERE id = @id;

-- name: MarkState :exec
UPDATE notifications SET state = @state, reason_code = @reason_code, updated_at = @now WHERE id = @id;

-- name: ListByUser :many
SELECT id, template, channel, state, message, created_at, sent_at
FROM notifications
WHERE user_id = @user_id AND (sqlc.narg(before)::uuid IS NULL OR id < sqlc.narg(before))
ORDER BY id DESC LIMIT @page;
