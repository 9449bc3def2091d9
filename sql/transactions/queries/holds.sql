-- name: GetHolds :many
SELECT id, account_id, currency, amount_minor, captured_minor, released_minor, lines, reason, status, expires_at, created_at
FROM holds WHERE id = ANY(@ids::uuid[]);

-- name: InsertHolds :exec
-- A time that is empty text is null: the hold never expires.
INSERT INTO holds (id, account_id, currency, amount_minor, lines, reason, status, expires_at, created_at)
SELECT unnest(@ids::uuid[]), unnest(@account_ids::uuid[]), unnest(@currencies::text[]), unnest(@amounts_minor::bigint[]),
	unnest(@lines::text[])::jsonb, unnest(@reasons::text[]), 'active', nullif(unnest(@expires_at::text[]), '')::timestamptz, unnest(@created_at::timestamptz[]);

-- name: UpdateHolds :exec
UPDATE holds h SET captured_minor = v.captured_minor, released_minor = v.released_minor, lines = v.lines::jsonb, status = v.status
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@captured_minor::bigint[]) AS captured_minor, unnest(@released_minor::bigint[]) AS released_minor,
	unnest(@lines::text[]) AS lines, unnest(@statuses::text[]) AS status) v
WHERE h.id = v.id;

-- name: ListExpiredHolds :many
SELECT id FROM holds WHERE status = 'active' AND expires_at <= @at::timestamptz ORDER BY expires_at LIMIT 100;
