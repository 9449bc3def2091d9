-- name: OpenTopup :one
-- Stores a top-up and reserves its limit under the locked counters; they come back with the amount included.
WITH usage AS (
	INSERT INTO limit_usage (user_id, kind, currency, span, starts_on, amount_minor)
	VALUES (@user_id, 'topup', @currency, 'day', @day, @amount_minor), (@user_id, 'topup', @currency, 'month', @month, @amount_minor)
	ON CONFLICT (user_id, kind, currency, span, starts_on) DO UPDATE SET amount_minor = limit_usage.amount_minor + EXCLUDED.amount_minor
	RETURNING span, amount_minor
), reservation AS (
	INSERT INTO limit_reservations (id, user_id, kind, currency, amount_minor, day, month, status, created_at)
	VALUES (@id, @user_id, 'topup', @currency, @amount_minor, @day, @month, 'reserved', @created_at)
), topup AS (
	INSERT INTO topups (id, user_id, wallet_id, currency, amount_minor, phone_sealed, others_phone, account_reference, status, created_at, updated_at)
	VALUES (@id, @user_id, @wallet_id, @currency, @amount_minor, sqlc.narg(phone_sealed), @others_phone, @account_reference, 'stored', @created_at, @created_at)
)
SELECT COALESCE(sum(amount_minor) FILTER (WHERE span = 'day'), 0)::bigint AS used_day,
	COALESCE(sum(amount_minor) FILTER (WHERE span = 'month'), 0)::bigint AS used_month
FROM usage;

-- name: GetTopup :one
SELECT id, user_id, wallet_id, currency, amount_minor, phone_sealed, account_reference, status, failure_code, checkout_sealed, checkout_index,
	merchant_request_id, receipt, credit, ledger_transaction_id, created_at, prompted_at, updated_at, others_phone
FROM topups WHERE id = $1;

-- name: LockTopup :one
SELECT id, user_id, wallet_id, currency, amount_minor, phone_sealed, account_reference, status, failure_code, checkout_sealed, checkout_index,
	merchant_request_id, receipt, credit, ledger_transaction_id, created_at, prompted_at, updated_at, others_phone
FROM topups WHERE id = $1 FOR UPDATE;

-- name: LockTopupByReference :one
SELECT id, user_id, wallet_id, currency, amount_minor, phone_sealed, account_reference, status, failure_code, checkout_sealed, checkout_index,
	merchant_request_id, receipt, credit, ledger_transaction_id, created_at, prompted_at, updated_at, others_phone
FROM topups WHERE account_reference = $1 FOR UPDATE;

-- name: ListTopups :many
SELECT id, user_id, wallet_id, currency, amount_minor, phone_sealed, account_reference, status, failure_code, checkout_sealed, checkout_index,
	merchant_request_id, receipt, credit, ledger_transaction_id, created_at, prompted_at, updated_at, others_phone
FROM topups WHERE user_id = @user_id AND id < @before ORDER BY id DESC LIMIT @page_size;

-- name: SumTopupsUnderway :one
-- What top-ups that may still be paid, or are not credited yet, will add to a wallet.
SELECT COALESCE(sum(amount_minor), 0)::bigint FROM topups
WHERE wallet_id = $1 AND (status IN ('stored', 'requested', 'prompted') OR credit = 'due');

-- name: UpdateTopup :exec
-- Writes the state of a row that the caller has locked.
UPDATE topups SET status = @status, failure_code = @failure_code, checkout_sealed = @checkout_sealed, checkout_index = @checkout_index,
	merchant_request_id = @merchant_request_id, receipt = @receipt, credit = @credit, ledger_transaction_id = @ledger_transaction_id,
	prompted_at = @prompted_at, updated_at = @updated_at
WHERE id = @id;

-- name: ReferenceKnown :one
SELECT t.id, w.status AS wallet_status, c.status AS customer_status
FROM topups t JOIN wallets w ON w.id = t.wallet_id JOIN customers c ON c.user_id = w.user_id WHERE t.account_reference = $1;

-- name: CountOpenTopups :one
SELECT count(*) FILTER (WHERE status = 'unknown') AS unknown, count(*) FILTER (WHERE credit = 'due') AS due,
	COALESCE(sum(amount_minor) FILTER (WHERE status = 'unknown'), 0)::bigint AS unknown_minor,
	COALESCE(extract(epoch FROM sqlc.arg(now)::timestamptz - min(updated_at) FILTER (WHERE credit = 'due')), 0)::float8 AS oldest_due_seconds
FROM topups WHERE status IN ('requested', 'prompted', 'unknown') OR credit = 'due';

-- name: OldestLostTopup :one
-- When the oldest top-up was made of which nobody said how it ended.
SELECT created_at FROM topups WHERE status IN ('unknown', 'expired') AND created_at > @since ORDER BY created_at LIMIT 1;

-- name: IsLostTopup :one
-- Whether a payment of this reference and amount is one of them.
SELECT EXISTS (SELECT FROM topups WHERE account_reference = @account_reference AND amount_minor = @amount_minor
	AND status IN ('unknown', 'expired') AND created_at > @since);
