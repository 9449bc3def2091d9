-- name: WriteTransactions :exec
-- All rows of a batch that every batch has, in one statement: transactions, postings, their leaves, one update per account. A column of
-- values that are all null comes as no array at all: shorter arrays are filled up with nulls.
WITH new_transactions AS (
	INSERT INTO transactions (id, recorded_at, reference, action, type, channel, hold_id, hold_delta_minor, reverses_id,
		effective_at, metadata_hash, salt, batch_id, batch_position, balances, leaf_version)
	SELECT unnest(@ids::uuid[]), unnest(@recorded_at::timestamptz[]), unnest(@references_list::text[]), unnest(@actions::text[]), unnest(@types::text[]),
		unnest(@channels::text[]), nullif(unnest(@hold_ids::uuid[]), '00000000-0000-0000-0000-000000000000'), unnest(@hold_deltas_minor::bigint[]), nullif(unnest(@reverses_ids::uuid[]), '00000000-0000-0000-0000-000000000000'),
		nullif(unnest(@effective_at::timestamptz[]), '0001-01-01Z'), unnest(@metadata_hashes::bytea[]), unnest(@salts::bytea[]), @batch_id, unnest(@batch_positions::smallint[]), unnest(@balances::bytea[]), @leaf_version::smallint
), new_postings AS (
	INSERT INTO postings (transaction_id, position, recorded_at, source_id, destination_id, currency, amount_minor,
		source_sequence, source_balance_minor, destination_sequence, destination_balance_minor, reverses_position, effective_at)
	SELECT unnest(@posting_transaction_ids::uuid[]), unnest(@positions::smallint[]), unnest(@posting_recorded_at::timestamptz[]),
		unnest(@source_ids::uuid[]), unnest(@destination_ids::uuid[]), unnest(@currencies::text[]), unnest(@amounts_minor::bigint[]),
		unnest(@source_sequences::bigint[]), unnest(@source_balances_minor::bigint[]),
		unnest(@destination_sequences::bigint[]), unnest(@destination_balances_minor::bigint[]), nullif(unnest(@reverses_ordinals::smallint[]), 0) - 1,
		nullif(unnest(@posting_effective_at::timestamptz[]), '0001-01-01Z')
), leaves AS (
	INSERT INTO seal_queue (id, transaction_ids, leaf_hashes, recorded_from, recorded_to)
	VALUES (@batch_id, @ids::uuid[], @leaf_hashes::bytea, @recorded_from, @recorded_to)
)
UPDATE accounts a SET debits_minor = v.debits_minor, credits_minor = v.credits_minor, pending_debits_minor = v.pending_debits_minor,
	pending_credits_minor = v.pending_credits_minor, over_cap_minor = v.over_cap_minor, sequence = v.sequence, last_recorded_at = v.last_recorded_at
FROM (SELECT unnest(@account_ids::uuid[]) AS id, unnest(@debits_minor::bigint[]) AS debits_minor, unnest(@credits_minor::bigint[]) AS credits_minor,
	unnest(@pending_debits_minor::bigint[]) AS pending_debits_minor, unnest(@pending_credits_minor::bigint[]) AS pending_credits_minor,
	unnest(@over_cap_minor::bigint[]) AS over_cap_minor, unnest(@account_sequences::bigint[]) AS sequence,
	unnest(@account_recorded_at::timestamptz[]) AS last_recorded_at) v
WHERE a.id = v.id;

-- name: InsertMetadata :exec
INSERT INTO transaction_metadata (transaction_id, metadata, salt)
SELECT unnest(@transaction_ids::uuid[]), unnest(@metadata::text[])::jsonb, unnest(@salts::bytea[]);

-- name: NextBatch :many
-- Called after the account locks, so that per account the ids of batches follow their commits.
SELECT nextval('seal_queue_id_seq')::bigint;

-- name: ListOriginals :many
-- Postings of transactions that are to be reversed, with what earlier reversals took of each.
SELECT t.id, t.action, p.position, p.source_id, p.destination_id, p.currency, p.amount_minor,
	coalesce((SELECT sum(rp.amount_minor) FROM transactions rt JOIN postings rp ON rp.transaction_id = rt.id AND rp.recorded_at = rt.recorded_at
		WHERE rt.reverses_id = t.id AND rp.reverses_position = p.position), 0)::bigint AS reversed_minor
FROM transactions t JOIN postings p ON p.transaction_id = t.id AND p.recorded_at = t.recorded_at
WHERE t.id = ANY(@ids::uuid[]) ORDER BY t.id, p.position;

-- name: GetTransaction :one
SELECT t.id, t.recorded_at, t.reference, t.action, t.type, t.channel, t.hold_id, t.reverses_id, t.effective_at, coalesce(m.metadata, '{}')::jsonb AS metadata
FROM transactions t LEFT JOIN transaction_metadata m ON m.transaction_id = t.id WHERE t.id = $1;

-- name: ListPostings :many
SELECT position, source_id, destination_id, currency, amount_minor, source_sequence, source_balance_minor, destination_sequence, destination_balance_minor
FROM postings WHERE transaction_id = @transaction_id AND recorded_at = @recorded_at ORDER BY position;

-- name: CreatePartitions :one
SELECT create_ledger_partitions(sqlc.arg(now)::timestamptz)::int;

-- name: DefaultPartitionUsed :one
-- Rows there mean that the daily job did not run in time: an alarm.
SELECT (EXISTS (SELECT FROM transactions_default) OR EXISTS (SELECT FROM postings_default))::boolean AS used;
