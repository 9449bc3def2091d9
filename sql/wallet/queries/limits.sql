-- name: ListTariffs :many
SELECT t.id, t.country, t.kind, t.currency, t.excise_included, t.effective_from, b.up_to_minor, b.fee_minor
FROM tariffs t JOIN tariff_bands b ON b.tariff_id = t.id ORDER BY t.id, b.up_to_minor;

-- name: ListTaxes :many
SELECT country, tax, rate_ppm, effective_from FROM taxes;

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
	FROM (SELECT lr.id, lr.status FROM limit_reservations lr WHERE lr.id = @id FOR UPDATE) AS was
	WHERE r.id = was.id AND was.status <> @status AND (@status = 'committed' OR was.status = 'reserved')
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
