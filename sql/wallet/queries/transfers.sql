-- name: InsertQuote :exec
INSERT INTO transfer_quotes (id, user_id, wallet_id, recipient_user_id, recipient_wallet_id, recipient_name_sealed, currency,
	amount_minor, fee_minor, excise_minor, created_at, expires_at, tariff_version, by_phone, payment_request_id)
VALUES (@id, @user_id, @wallet_id, @recipient_user_id, @recipient_wallet_id, @recipient_name_sealed, @currency,
	@amount_minor, @fee_minor, @excise_minor, @created_at, @expires_at, sqlc.arg(tariff_version)::text, @by_phone, @payment_request_id);

-- name: LockQuote :one
-- The quote with everything that the first step of a transfer judges, and the id for its job. The lock makes two spenders of one quote take turns.
SELECT q.id, q.user_id, q.wallet_id, q.recipient_user_id, q.recipient_wallet_id, q.recipient_name_sealed, q.currency,
	q.amount_minor, q.fee_minor, q.excise_minor, q.expires_at,
	EXISTS (SELECT FROM transfers t WHERE t.quote_id = q.id) AS spent,
	w.status AS wallet_status, s.status AS sender_status, s.tier AS sender_tier, s.country AS sender_country,
	v.status AS recipient_wallet_status, r.status AS recipient_status, r.tier AS recipient_tier,
	nextval('river_job_id_seq')::bigint AS job_id, q.by_phone, r.number AS recipient_number, q.payment_request_id
FROM transfer_quotes q
JOIN wallets w ON w.id = q.wallet_id
JOIN customers s ON s.user_id = w.user_id
JOIN wallets v ON v.id = q.recipient_wallet_id
JOIN customers r ON r.user_id = v.user_id
WHERE q.id = $1
FOR UPDATE OF q;

-- name: OpenTransfer :one
-- Spends the quote and the step-up token, reserves the limit under its locked counters, and stores the transfer: one statement, one round
-- trip. The counters come back with the amount included; the caller compares them with the limit and rolls back above it.
WITH step_up AS (
	INSERT INTO step_ups (jti, transfer_id, expires_at) VALUES (@jti, @id, @step_up_expires_at)
), usage AS (
	INSERT INTO limit_usage (user_id, kind, currency, span, starts_on, amount_minor)
	VALUES (@user_id, 'transfer', @currency, 'day', @day, @amount_minor), (@user_id, 'transfer', @currency, 'month', @month, @amount_minor)
	ON CONFLICT (user_id, kind, currency, span, starts_on) DO UPDATE SET amount_minor = limit_usage.amount_minor + EXCLUDED.amount_minor
	RETURNING span, amount_minor
), reservation AS (
	INSERT INTO limit_reservations (id, user_id, kind, currency, amount_minor, day, month, status, created_at)
	VALUES (@id, @user_id, 'transfer', @currency, @amount_minor, @day, @month, 'reserved', @created_at)
), transfer AS (
	INSERT INTO transfers (id, quote_id, user_id, wallet_id, recipient_user_id, recipient_wallet_id, recipient_name_sealed, currency,
		amount_minor, fee_minor, excise_minor, status, note_sealed, client_reference, idempotency_id, job_id, created_at, payment_request_id)
	VALUES (@id, @quote_id, @user_id, @wallet_id, @recipient_user_id, @recipient_wallet_id, sqlc.narg(recipient_name_sealed), @currency,
		@amount_minor, @fee_minor, @excise_minor, 'created', sqlc.narg(note_sealed), sqlc.narg(client_reference), @idempotency_id, @job_id, @created_at,
		@payment_request_id)
)
SELECT COALESCE(sum(amount_minor) FILTER (WHERE span = 'day'), 0)::bigint AS used_day,
	COALESCE(sum(amount_minor) FILTER (WHERE span = 'month'), 0)::bigint AS used_month
FROM usage;

-- name: CloseTransfer :one
-- Ends a transfer that is still created, keeps or frees its reservation, and pays or gives back the request that it is for. No row comes back when another finisher was first.
WITH closed AS (
	UPDATE transfers t SET status = @status, failure_code = @failure_code, ledger_transaction_id = sqlc.narg(ledger_transaction_id), closed_at = @at
	WHERE t.id = @id AND t.status = 'created'
	RETURNING t.id
), settled AS (
	UPDATE limit_reservations r SET status = CASE WHEN @status = 'completed' THEN 'committed' ELSE 'released' END, closed_at = @at
	FROM closed WHERE r.id = closed.id AND r.service = 'wallet'
	RETURNING r.user_id, r.kind, r.currency, r.amount_minor, r.day, r.month
), freed AS (
	UPDATE limit_usage u SET amount_minor = u.amount_minor - s.amount_minor
	FROM settled s
	WHERE @status = 'failed' AND u.user_id = s.user_id AND u.kind = s.kind AND u.currency = s.currency
		AND ((u.span = 'day' AND u.starts_on = s.day) OR (u.span = 'month' AND u.starts_on = s.month))
), request AS (
	UPDATE payment_requests p SET status = CASE WHEN @status = 'completed' THEN 'paid' ELSE p.status END,
		closed_at = CASE WHEN @status = 'completed' THEN @at ELSE p.closed_at END, transfer_id = CASE WHEN @status = 'completed' THEN p.transfer_id END
	FROM closed WHERE p.transfer_id = closed.id AND p.status = 'open'
)
SELECT closed.id FROM closed;

-- name: CompleteTransfers :many
-- CloseTransfer for many transfers that were posted. Those come back that it closed: not one that another finisher closed, or holds now, for
-- that must not keep its neighbours waiting.
WITH input AS (
	SELECT unnest(@ids::uuid[]) AS id, unnest(@ledger_transaction_ids::uuid[]) AS ledger_transaction_id, unnest(@closed_at::timestamptz[]) AS closed_at
), locked AS MATERIALIZED (
	SELECT t.id FROM transfers t WHERE t.id = ANY(@ids::uuid[]) AND t.status = 'created' ORDER BY t.id FOR UPDATE SKIP LOCKED
), closed AS (
	UPDATE transfers t SET status = 'completed', ledger_transaction_id = i.ledger_transaction_id, closed_at = i.closed_at
	FROM locked l JOIN input i ON i.id = l.id WHERE t.id = l.id
	RETURNING t.id, t.closed_at
), settled AS (
	UPDATE limit_reservations r SET status = 'committed', closed_at = c.closed_at FROM closed c
	WHERE r.id = c.id AND r.service = 'wallet'
), requests AS (
	UPDATE payment_requests p SET status = 'paid', closed_at = c.closed_at FROM closed c
	WHERE p.transfer_id = c.id AND p.transfer_id = ANY(@ids::uuid[]) AND p.status = 'open'
)
SELECT closed.id FROM closed;

-- name: GetTransfer :one
SELECT id, quote_id, user_id, wallet_id, recipient_user_id, recipient_wallet_id, recipient_name_sealed, currency, amount_minor, fee_minor,
	excise_minor, status, failure_code, note_sealed, client_reference, idempotency_id, job_id, ledger_transaction_id, created_at, closed_at,
	payment_request_id
FROM transfers WHERE id = $1;

-- name: ListTransfers :many
SELECT id, quote_id, user_id, wallet_id, recipient_user_id, recipient_wallet_id, recipient_name_sealed, currency, amount_minor, fee_minor,
	excise_minor, status, failure_code, note_sealed, client_reference, idempotency_id, job_id, ledger_transaction_id, created_at, closed_at,
	payment_request_id
FROM transfers WHERE user_id = @user_id AND id < @before ORDER BY id DESC LIMIT @page_size;

-- name: ListTransfersByReference :many
SELECT id, quote_id, user_id, wallet_id, recipient_user_id, recipient_wallet_id, recipient_name_sealed, currency, amount_minor, fee_minor,
	excise_minor, status, failure_code, note_sealed, client_reference, idempotency_id, job_id, ledger_transaction_id, created_at, closed_at,
	payment_request_id
FROM transfers WHERE user_id = @user_id AND client_reference = @client_reference::text AND id < @before ORDER BY id DESC LIMIT @page_size;

-- name: SweepQuotes :execrows
-- Quotes that nobody spent, a day after they ended.
DELETE FROM transfer_quotes WHERE id IN (
	SELECT q.id FROM transfer_quotes q WHERE q.expires_at < @before AND NOT EXISTS (SELECT FROM transfers t WHERE t.quote_id = q.id) LIMIT 1000);

-- name: SweepStepUps :execrows
-- A token that has expired is refused for that; its row is not needed any more.
DELETE FROM step_ups WHERE jti IN (SELECT s.jti FROM step_ups s WHERE s.expires_at < @before LIMIT 1000);

-- name: CountOverdue :one
-- Step-up rows go with the quotes in one sweep; their index tells without looking at the quotes that were spent.
SELECT count(*) FROM (SELECT FROM step_ups WHERE expires_at < @before LIMIT 10000) overdue;

-- name: CountPendingTransfers :one
SELECT count(*) AS pending, COALESCE(extract(epoch FROM sqlc.arg(now)::timestamptz - min(created_at)), 0)::float8 AS oldest_seconds
FROM transfers WHERE status = 'created';
