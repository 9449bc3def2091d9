-- name: ListTransactionHeads :many
-- Transactions by id downwards. The primary key (id, recorded_at) answers it in order, and the times leave out partitions.
SELECT id, recorded_at, type, channel FROM transactions
WHERE id >= @first AND id < @before AND recorded_at >= @recorded_from AND recorded_at < @recorded_to ORDER BY id DESC LIMIT @page_size;

-- name: ListHeadsOf :many
SELECT id, recorded_at, type, channel FROM transactions WHERE id = ANY(@ids::uuid[]) ORDER BY id DESC;

-- name: ListOfAccount :many
-- Which of the transactions have a posting of the account.
SELECT DISTINCT transaction_id FROM postings
WHERE transaction_id = ANY(@ids::uuid[]) AND recorded_at >= @recorded_from AND recorded_at <= @recorded_to AND (source_id = @account_id OR destination_id = @account_id);

-- name: ListOfFact :many
-- Which of the transactions have these facts.
SELECT transaction_id FROM transaction_metadata WHERE transaction_id = ANY(@ids::uuid[]) AND metadata @> @facts::jsonb;

-- name: PreferBitmaps :exec
-- For the rest of the transaction. The planner guesses how many rows have a fact, and where it guesses many it would read the whole table.
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true), set_config('enable_indexonlyscan', 'off', true);

-- name: FindByFact :many
-- One more than the caller looks through, which says that the fact is too common for this way.
SELECT transaction_id FROM transaction_metadata WHERE metadata @> @facts::jsonb LIMIT 10001;

-- name: FindByReference :many
SELECT transaction_id FROM ledger_references WHERE reference = @reference;

-- name: ListTransactions :many
SELECT t.id, t.recorded_at, t.reference, t.action, t.type, t.channel, t.hold_id, t.reverses_id, t.effective_at, coalesce(m.metadata, '{}')::jsonb AS metadata
FROM transactions t LEFT JOIN transaction_metadata m ON m.transaction_id = t.id
WHERE t.id = ANY(@ids::uuid[]) AND t.recorded_at >= @recorded_from AND t.recorded_at <= @recorded_to;

-- name: ListPostingsOf :many
SELECT transaction_id, position, source_id, destination_id, currency, amount_minor, source_sequence, source_balance_minor, destination_sequence, destination_balance_minor
FROM postings WHERE transaction_id = ANY(@ids::uuid[]) AND recorded_at >= @recorded_from AND recorded_at <= @recorded_to ORDER BY transaction_id, position;
