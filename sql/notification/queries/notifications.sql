-- name: InsertNotification :execrows
INSERT INTO notifications (id, source_event_id, recipient_id, user_id, channel, template, params, occurred_at, created_at, updated_at)
VALUES (@id, @source_event_id, @recipient_id, @user_id, @channel, @template, @params, @occurred_at, @now, @now)
ON CONFLICT ON CONSTRAINT notifications_once DO NOTHING;

-- name: InsertNotifications :many
-- InsertNotification for many, in their order. The ids of those come back that were not there. The nil UUID is no user.
INSERT INTO notifications (id, source_event_id, recipient_id, user_id, channel, template, params, occurred_at, created_at, updated_at)
SELECT n.id, n.source_event_id, n.recipient_id, NULLIF(n.user_id, '00000000-0000-0000-0000-000000000000'::uuid), @channel, n.template, n.params::jsonb,
	n.occurred_at, @now, @now
FROM (SELECT generate_subscripts(@ids::uuid[], 1) AS place, unnest(@ids::uuid[]) AS id, unnest(@source_event_ids::uuid[]) AS source_event_id,
	unnest(@recipient_ids::uuid[]) AS recipient_id, unnest(@user_ids::uuid[]) AS user_id, unnest(@templates::text[]) AS template,
	unnest(@params::text[]) AS params, unnest(@occurred_ats::timestamptz[]) AS occurred_at) n
ORDER BY n.place
ON CONFLICT ON CONSTRAINT notifications_once DO NOTHING
RETURNING id;

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
WHERE user_id = @user_id AND id < @before
ORDER BY id DESC LIMIT @page;
