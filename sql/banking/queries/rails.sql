-- name: InDoubtByRail :many
SELECT rail, currency, sum(amount_minor + fee_minor + excise_minor)::bigint AS minor
FROM withdrawals WHERE status = 'in_doubt' GROUP BY rail, currency;

-- name: InsertDelays :many
INSERT INTO withdrawal_delays (withdrawal_id, told_at)
SELECT w.id, @now::timestamptz FROM withdrawals w
WHERE w.rail = @rail AND w.status IN ('requested', 'accepted', 'unknown') AND NOT EXISTS (
	SELECT FROM withdrawal_delays d WHERE d.withdrawal_id = w.id)
ORDER BY w.id LIMIT 500
ON CONFLICT DO NOTHING RETURNING withdrawal_id;
