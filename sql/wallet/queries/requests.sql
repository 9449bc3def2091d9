-- name: CountOpenRequests :one
-- Of a requester whose customer row is locked: in total, and to one payer. What is overdue is not open, whether it was swept or not.
SELECT count(*) AS total, count(*) FILTER (WHERE payer_id = @payer_id) AS to_payer
FROM payment_requests WHERE requester_id = @requester_id AND status = 'open' AND (expires_at > @now OR transfer_id IS NOT NULL);

-- name: InsertRequest :exec
INSERT INTO payment_requests (id, requester_id, wallet_id, payer_id, requester_name_sealed, payer_name_sealed, currency, amount_minor,
	note_sealed, status, asked_at, created_at, expires_at)
VALUES (@id, @requester_id, @wallet_id, @payer_id, @requester_name_sealed, @payer_name_sealed, @currency, @amount_minor,
	@note_sealed, 'open', @created_at, @created_at, @expires_at);

-- name: GetRequest :one
SELECT id, requester_id, wallet_id, payer_id, requester_name_sealed, payer_name_sealed, currency, amount_minor, note_sealed, status,
	transfer_id, reminders, asked_at, created_at, expires_at, closed_at
FROM payment_requests WHERE id = $1;

-- name: LockRequest :one
SELECT id, requester_id, wallet_id, payer_id, requester_name_sealed, payer_name_sealed, currency, amount_minor, note_sealed, status,
	transfer_id, reminders, asked_at, created_at, expires_at, closed_at
FROM payment_requests WHERE id = $1 FOR UPDATE;

-- name: ListRequests :many
-- One of a customer's sides has an index each, so each is read by its own.
SELECT id, requester_id, wallet_id, payer_id, requester_name_sealed, payer_name_sealed, currency, amount_minor, note_sealed, status,
	transfer_id, reminders, asked_at, created_at, expires_at, closed_at
FROM payment_requests WHERE id IN (
	(SELECT s.id FROM payment_requests s WHERE @sent::boolean AND s.requester_id = @user_id AND s.id < @before ORDER BY s.id DESC LIMIT @page_size)
	UNION ALL
	(SELECT r.id FROM payment_requests r WHERE @received::boolean AND r.payer_id = @user_id AND r.id < @before ORDER BY r.id DESC LIMIT @page_size))
ORDER BY id DESC LIMIT @page_size;

-- name: CloseRequest :exec
UPDATE payment_requests SET status = @status, closed_at = @at WHERE id = @id AND status = 'open' AND transfer_id IS NULL;

-- name: RemindRequest :exec
UPDATE payment_requests SET reminders = reminders + 1, asked_at = @at WHERE id = @id AND status = 'open';

-- name: ClaimRequest :exec
-- From here to the transfer's end nothing else pays, declines, withdraws or ends the request.
UPDATE payment_requests SET transfer_id = sqlc.arg(transfer_id)::uuid WHERE id = @id AND status = 'open' AND transfer_id IS NULL;

-- name: ExpireRequests :many
-- Overdue requests, locked. One that somebody holds is being paid, declined or withdrawn: the next pass looks again.
WITH due AS MATERIALIZED (
	SELECT p.id FROM payment_requests p WHERE p.status = 'open' AND p.transfer_id IS NULL AND p.expires_at <= @now
	ORDER BY p.expires_at LIMIT @at_most FOR UPDATE SKIP LOCKED
)
UPDATE payment_requests p SET status = 'expired', closed_at = @now FROM due WHERE p.id = due.id
RETURNING p.id, p.requester_id, p.wallet_id, p.payer_id, p.requester_name_sealed, p.payer_name_sealed, p.currency, p.amount_minor,
	p.note_sealed, p.status, p.transfer_id, p.reminders, p.asked_at, p.created_at, p.expires_at, p.closed_at;
