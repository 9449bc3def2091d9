-- name: NumberQuestion :one
-- The number of a question about a customer's standing, taken before it is asked.
SELECT nextval('standing_questions')::bigint;

-- name: LoseStanding :one
-- What an event takes away, at once. No row comes back when it takes nothing.
UPDATE customers SET status = CASE WHEN @suspended::boolean THEN 'suspended' ELSE status END, tier = LEAST(tier, @tier), revision = revision + 1,
	updated_at = @at
WHERE user_id = @user_id AND (@suspended::boolean AND status <> 'suspended' OR tier > @tier)
RETURNING user_id;

-- name: LoseNumber :exec
-- What an event takes away, at once: nothing is paid by a number that somebody else has proved. The maximum at the ledger stays.
UPDATE customers SET number = 'in_review', updated_at = @at WHERE user_id = @user_id AND number = 'held';

-- name: PutStanding :one
-- What user answered, whatever was stored, unless the row holds the answer to a later question, which cannot be older. No row comes back
-- then.
INSERT INTO customers (user_id, status, tier, country, version, answered, updated_at, number)
VALUES (@user_id, @status, @tier, @country, @version, @answered, @at, @number)
ON CONFLICT (user_id) DO UPDATE SET status = EXCLUDED.status, tier = EXCLUDED.tier, country = EXCLUDED.country, version = EXCLUDED.version,
	number = EXCLUDED.number, answered = EXCLUDED.answered, revision = customers.revision + 1, updated_at = EXCLUDED.updated_at
WHERE customers.answered < EXCLUDED.answered
RETURNING user_id;

-- name: MarkAnswered :exec
-- The answer was that user does not know this customer.
UPDATE customers SET answered = @answered WHERE user_id = @user_id AND answered < @answered;

-- name: ListUnanswered :many
-- Customers whose row was made from events alone.
SELECT user_id FROM customers WHERE answered = 0 AND user_id > @after ORDER BY user_id LIMIT @size;

-- name: GetCustomer :one
SELECT user_id, status, tier, country, revision FROM customers WHERE user_id = $1;

-- name: LockCustomer :one
SELECT user_id, status, tier, country, revision FROM customers WHERE user_id = $1 FOR UPDATE;
