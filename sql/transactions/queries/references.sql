-- name: InsertReferences :many
-- In the order of the list, which the caller sorts: two posters of the same references then never wait for each other in a ring. A
-- reference that another transaction is inserting makes this wait for its fate.
INSERT INTO ledger_references (reference, body_hash)
SELECT unnest(@references_list::text[]), unnest(@body_hashes::bytea[])
ON CONFLICT (reference) DO NOTHING RETURNING reference;

-- name: GetReferences :many
SELECT reference, body_hash, outcome FROM ledger_references WHERE reference = ANY(@references_list::text[]);

-- name: GetOutcome :one
SELECT outcome FROM ledger_references WHERE reference = $1;
