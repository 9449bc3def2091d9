-- name: LockAccounts :many
-- Ordered by id, so that two posters never wait for each other. What the decision needs, in the order that lockedAccount reads.
SELECT id, currency, normal_side, status, debits_minor, credits_minor, pending_debits_minor, pending_credits_minor,
	over_cap_minor, minimum_minor, maximum_minor, sequence, last_recorded_at, book
FROM accounts WHERE id = ANY(@ids::uuid[]) ORDER BY id FOR NO KEY UPDATE;

-- name: GetAccount :one
SELECT id, code, owner_id, kind, currency, normal_side, status, debits_minor, credits_minor, pending_debits_minor, pending_credits_minor,
	over_cap_minor, minimum_minor, maximum_minor, sequence, last_recorded_at, created_at, book
FROM accounts WHERE id = $1;

-- name: InsertAccount :execrows
INSERT INTO accounts (id, owner_id, kind, currency, normal_side, status, minimum_minor, maximum_minor, created_at, book)
VALUES (@id, @owner_id, @kind, @currency, @normal_side, @status, @minimum_minor, @maximum_minor, @now, @book)
ON CONFLICT (id) DO NOTHING;

-- name: UpdateAccountRules :exec
UPDATE accounts SET status = @status, minimum_minor = @minimum_minor, maximum_minor = @maximum_minor WHERE id = @id;

-- name: ListSystemAccounts :many
SELECT id, code, owner_id, kind, currency, normal_side, status, debits_minor, credits_minor, pending_debits_minor, pending_credits_minor,
	over_cap_minor, minimum_minor, maximum_minor, sequence, last_recorded_at, created_at, book
FROM accounts WHERE kind = 'system' ORDER BY code LIMIT 1000;

-- name: SumAccounts :many
SELECT currency, book, sum(debits_minor)::bigint AS debits_minor, sum(credits_minor)::bigint AS credits_minor,
	coalesce(sum(credits_minor - debits_minor) FILTER (WHERE kind <> 'system'), 0)::bigint AS customer_balance_minor
FROM accounts GROUP BY currency, book ORDER BY currency, book LIMIT 200;

-- name: ListCurrencies :many
SELECT id, currency FROM accounts WHERE id = ANY(@ids::uuid[]);

-- name: ListAccounts :many
SELECT id, code, owner_id, kind, currency, normal_side, status, debits_minor, credits_minor, pending_debits_minor, pending_credits_minor,
	over_cap_minor, minimum_minor, maximum_minor, sequence, last_recorded_at, created_at, book
FROM accounts WHERE id = ANY(@ids::uuid[]);
