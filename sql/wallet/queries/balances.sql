-- name: BeginBalanceRequest :execrows
-- No row is made when the balance was told since a time, or asked for a short while ago.
INSERT INTO rail_requests (id, kind, sent_at) SELECT @id, 'balance', sqlc.arg(now)::timestamptz
WHERE NOT EXISTS (SELECT FROM rail_requests r WHERE r.kind = 'balance'
	AND (r.sent_at > sqlc.arg(recently)::timestamptz OR (r.outcome = 'done' AND r.sent_at > sqlc.arg(since)::timestamptz)));

-- name: InsertRailBalance :exec
INSERT INTO rail_balances (request_id, short_code, account, currency, current_minor, available_minor, reserved_minor, uncleared_minor, as_of)
VALUES (@request_id, @short_code, @account, @currency, @current_minor, @available_minor, @reserved_minor, @uncleared_minor, @as_of)
ON CONFLICT DO NOTHING;

-- name: LatestRailBalances :many
SELECT DISTINCT ON (short_code, account) request_id, short_code, account, currency, current_minor, available_minor, reserved_minor,
	uncleared_minor, as_of
FROM rail_balances ORDER BY short_code, account, as_of DESC;
