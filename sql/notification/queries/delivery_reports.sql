-- name: InsertDeliveryReport :execrows
INSERT INTO delivery_reports (id, provider_message_id, status, body, outcome, received_at)
VALUES (@id, @provider_message_id, @status, @body, @outcome, @received_at)
ON CONFLICT ON CONSTRAINT delivery_reports_once DO NOTHING;

-- name: LockDeliveryReport :one
SELECT id, provider_message_id, status, body, outcome, received_at, judged_at
FROM delivery_reports WHERE id = @id FOR UPDATE;

-- name: MarkDeliveryReport :exec
UPDATE delivery_reports SET outcome = @outcome, judged_at = @now WHERE id = @id;
