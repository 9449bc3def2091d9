-- name: ListTariffs :many
SELECT t.id, t.country, t.kind, t.currency, t.excise_included, t.effective_from, b.up_to_minor, b.fee_minor, t.tier
FROM tariffs t JOIN tariff_bands b ON b.tariff_id = t.id ORDER BY t.id, b.up_to_minor;

-- name: ListTaxes :many
SELECT country, tax, rate_ppm, effective_from, id FROM taxes;

-- name: ListLimits :many
SELECT country, tier, kind, currency, per_transaction_minor, per_day_minor, per_month_minor, effective_from FROM limits;

-- name: ListBalanceLimits :many
SELECT country, tier, currency, maximum_minor, effective_from FROM balance_limits;

-- name: ListUsage :many
SELECT kind, currency, span, amount_minor FROM limit_usage
WHERE user_id = @user_id AND ((span = 'day' AND starts_on = @day::date) OR (span = 'month' AND starts_on = @month::date));

-- name: SettleReservation :one
-- Commits or releases a reservation. A release frees the counters; a commit after a release books them again, past the edge if need be.
-- The counters' rows are locked day first, as by the reservation itself.
WITH settled AS (
	UPDATE limit_reservations r SET status = @status, closed_at = @at
	FROM (SELECT lr.id, lr.status FROM limit_reservations lr WHERE lr.id = @id AND lr.service = @service FOR UPDATE) AS was
	WHERE r.id = was.id AND r.service = @service
		AND (was.status = 'reserved' OR (@status = 'committed' AND was.status = 'released')) AND was.status <> @status
	RETURNING r.id, r.user_id, r.kind, r.currency, r.amount_minor, r.day, r.month, was.status AS was
), freed AS (
	UPDATE limit_usage u SET amount_minor = u.amount_minor
		+ CASE WHEN @status = 'released' THEN -s.amount_minor WHEN s.was = 'released' THEN s.amount_minor ELSE 0 END
	FROM settled s
	WHERE (@status = 'released' OR s.was = 'released') AND u.user_id = s.user_id AND u.kind = s.kind AND u.currency = s.currency
		AND ((u.span = 'day' AND u.starts_on = s.day) OR (u.span = 'month' AND u.starts_on = s.month))
	RETURNING 1
)
SELECT count(*) FROM settled;

-- name: LockReservation :one
SELECT status, refusal, user_id, kind, currency, amount_minor, day, month, created_at FROM limit_reservations
WHERE id = @id AND service = @service FOR UPDATE;

-- name: InsertReservation :execrows
-- Takes the key of a reservation, before its counters are locked: of two requests with one key the second waits here for the first.
INSERT INTO limit_reservations (id, service, user_id, kind, currency, amount_minor, day, month, status, created_at)
VALUES (@id, @service, @user_id, @kind, @currency, @amount_minor, @day, @month, 'reserved', @at)
ON CONFLICT (id, service) DO NOTHING;

-- name: InsertTombstone :execrows
INSERT INTO limit_reservations (id, service, status, created_at, closed_at)
VALUES (@id, @service, 'tombstone', sqlc.arg(at)::timestamptz, sqlc.arg(at)::timestamptz)
ON CONFLICT (id, service) DO NOTHING;

-- name: UseLimit :one
-- Adds to the locked counters, day first; they come back with the amount included.
WITH usage AS (
	INSERT INTO limit_usage (user_id, kind, currency, span, starts_on, amount_minor)
	VALUES (@user_id, @kind, @currency, 'day', @day, @amount_minor), (@user_id, @kind, @currency, 'month', @month, @amount_minor)
	ON CONFLICT (user_id, kind, currency, span, starts_on) DO UPDATE SET amount_minor = limit_usage.amount_minor + EXCLUDED.amount_minor
	RETURNING span, amount_minor
)
SELECT COALESCE(sum(amount_minor) FILTER (WHERE span = 'day'), 0)::bigint AS used_day,
	COALESCE(sum(amount_minor) FILTER (WHERE span = 'month'), 0)::bigint AS used_month
FROM usage;

-- name: RefuseReservation :exec
-- Keeps the refusal of a reservation whose key and counters this transaction has taken, and gives the counters back what was used of them.
WITH refused AS (
	UPDATE limit_reservations r SET status = 'refused', refusal = @refusal, closed_at = @at
	WHERE r.id = @id AND r.service = @service
	RETURNING r.user_id, r.kind, r.currency, r.day, r.month
)
UPDATE limit_usage u SET amount_minor = u.amount_minor - @used_minor::bigint FROM refused r
WHERE @used_minor::bigint > 0 AND u.user_id = r.user_id AND u.kind = r.kind AND u.currency = r.currency
	AND ((u.span = 'day' AND u.starts_on = r.day) OR (u.span = 'month' AND u.starts_on = r.month));

-- name: CountOpenReservations :one
-- Of other services; wallet's own are transfers and top-ups.
SELECT count(*) AS open, COALESCE(extract(epoch FROM sqlc.arg(now)::timestamptz - min(created_at)), 0)::float8 AS oldest_seconds
FROM limit_reservations WHERE status = 'reserved' AND service <> 'wallet';

-- name: AddRule :exec
-- Adds a tariff, tax or limit that two people agreed on; the function is the owner's and looks at the approval itself.
SELECT add_rule(@approval, @change);
