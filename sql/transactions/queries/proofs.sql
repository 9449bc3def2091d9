-- name: GetLeafIndex :one
-- Where a transaction is in the tree; no row until it is sealed.
SELECT (b.first_index + t.batch_position)::bigint AS leaf_index
FROM transactions t JOIN sealed_batches b ON b.batch_id = t.batch_id WHERE t.id = @transaction_id;

-- name: ListTileLeaves :many
-- Batches that hold the leaves from the first to before the end; the first of them may begin earlier.
SELECT b.first_index, b.leaf_hashes FROM sealed_batches b
WHERE b.first_index >= (SELECT max(f.first_index) FROM sealed_batches f WHERE f.first_index <= @first_leaf) AND b.first_index < @end_leaf
ORDER BY b.first_index;

-- name: ListTileNodes :many
SELECT node_index, hash FROM tree_nodes WHERE level = @level AND node_index >= @first_node AND node_index < @end_node ORDER BY node_index;

-- name: ListSigningKeys :many
SELECT verifier_key, first_size, created_at FROM signing_keys ORDER BY created_at, verifier_key LIMIT 100;

-- name: HoldAccount :one
SELECT account_id FROM holds WHERE id = @id;

-- name: GetMetadata :one
-- The facts of a transaction with their salt; no row if it had none, or if they are erased.
SELECT metadata, salt FROM transaction_metadata WHERE transaction_id = @transaction_id;

-- name: EraseMetadata :one
-- Writes the audit row itself; false if there was nothing to erase.
SELECT erase_transaction_metadata(@transaction_id::uuid, @actor::text, @operation::text, @request_id::text)::boolean AS erased;

-- name: HasTransaction :one
SELECT EXISTS (SELECT FROM transactions WHERE id = @transaction_id)::boolean AS found;
