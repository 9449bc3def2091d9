-- name: LockSealer :one
-- One sealer at a time, for the length of the transaction. ("seal" in ASCII)
SELECT pg_try_advisory_xact_lock(1936023916)::boolean;

-- name: ListQueue :many
-- All that is visible, by id, and never only ids above the last one: a lower id can become visible later.
SELECT id, transaction_ids, leaf_hashes FROM seal_queue ORDER BY id LIMIT @batches;

-- name: GetTree :one
SELECT size, frontier, root FROM ledger_tree;

-- name: InsertSealed :exec
-- Moves queue rows into the tree's order; hashes are those of the queue, or of adopted rows, which had none.
INSERT INTO sealed_batches (first_index, size, batch_id, transaction_ids, leaf_hashes, recorded_from, recorded_to, sealed_at)
SELECT v.first_index, cardinality(q.transaction_ids), q.id, q.transaction_ids, coalesce(q.leaf_hashes, v.adopted),
	q.recorded_from, q.recorded_to, @now
FROM (SELECT unnest(@ids::bigint[]) AS id, unnest(@first_indexes::bigint[]) AS first_index, unnest(@adopted::bytea[]) AS adopted) v
JOIN seal_queue q ON q.id = v.id;

-- name: InsertNodes :exec
INSERT INTO tree_nodes (level, node_index, hash)
SELECT unnest(@levels::smallint[]), unnest(@indexes::bigint[]), unnest(@hashes::bytea[]);

-- name: UpdateTree :exec
UPDATE ledger_tree SET size = @size, frontier = @frontier, root = @root;

-- name: DeleteQueued :exec
DELETE FROM seal_queue WHERE id = ANY(@ids::bigint[]);

-- name: QueueState :one
SELECT count(*)::bigint AS batches, coalesce(min(recorded_to), @now)::timestamptz AS oldest FROM seal_queue;

-- name: LastCheckpoint :one
SELECT size, root, note, signed_at FROM checkpoints ORDER BY size DESC LIMIT 1;

-- name: InsertCheckpoint :execrows
INSERT INTO checkpoints (size, root, note, signed_at) VALUES (@size, @root, @note, @now) ON CONFLICT (size) DO NOTHING;

-- name: InsertSigningKey :exec
INSERT INTO signing_keys (verifier_key, first_size, created_at) SELECT @verifier_key, size, @now FROM ledger_tree ON CONFLICT (verifier_key) DO NOTHING;

-- name: LockPublication :one
-- One publisher at a time, for the length of the transaction. ("publ" in ASCII)
SELECT pg_try_advisory_xact_lock(1886741100)::boolean;

-- name: GetPublication :one
SELECT coalesce((SELECT next_index FROM publications p WHERE p.name = @name), 0)::bigint AS next_index;

-- name: PutPublication :exec
INSERT INTO publications AS p (name, next_index) VALUES (@name, @next_index) ON CONFLICT (name) DO UPDATE SET next_index = excluded.next_index;

-- name: ListSealed :many
-- A cursor is safe here: the sequence has no gaps and only ever grows at its end.
SELECT first_index, size, batch_id, transaction_ids, recorded_from, recorded_to FROM sealed_batches
WHERE first_index >= @next_index ORDER BY first_index LIMIT 200;

-- name: ListPostedEvents :many
-- What the events of posted transactions say; rows are found by id and by the time range of their batches.
SELECT t.id, t.recorded_at, t.reference, t.type, t.channel, p.source_id, p.destination_id
FROM transactions t JOIN postings p ON p.transaction_id = t.id AND p.recorded_at = t.recorded_at
WHERE t.id = ANY(@ids::uuid[]) AND t.recorded_at >= @recorded_from AND t.recorded_at <= @recorded_to ORDER BY t.id, p.position;

-- name: ListLeafTransactions :many
-- Everything of transactions that their leaves cover, postings and holds apart.
SELECT t.id, t.recorded_at, t.reference, t.action, t.type, t.channel, t.hold_id, t.hold_delta_minor, t.reverses_id, t.effective_at,
	t.metadata_hash, t.salt, t.batch_id, t.batch_position, t.balances, r.body_hash, t.leaf_version
FROM transactions t JOIN ledger_references r ON r.reference = t.reference AND r.transaction_id = t.id
WHERE t.id = ANY(@ids::uuid[]);

-- name: ListLeafPostings :many
SELECT transaction_id, position, source_id, destination_id, currency, amount_minor, source_sequence, source_balance_minor,
	destination_sequence, destination_balance_minor, reverses_position
FROM postings WHERE transaction_id = ANY(@ids::uuid[]) ORDER BY transaction_id, position;

-- name: ListBooks :many
-- The books of accounts, which never change: leaves have them from their second version on.
SELECT id, book FROM accounts WHERE id = ANY(@ids::uuid[]);

-- name: ListOpenedHolds :many
-- What never changes of holds that these transactions opened.
SELECT id, account_id, currency, amount_minor, lines, reason, expires_at FROM holds WHERE id = ANY(@ids::uuid[]);
