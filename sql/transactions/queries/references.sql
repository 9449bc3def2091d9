-- name: InsertReferences :many
-- In the order of the list, which the caller sorts: two posters of the same references then never wait for each other in a ring. A
-- reference that another transaction is inserting makes this wait for its fate. transaction_id is what its transaction gets if it is posted.
INSERT INTO ledger_references (reference, body_hash, transaction_id, recorded_at)
SELECT unnest(@references_list::text[]), unnest(@body_hashes::bytea[]), unnest(@transaction_ids::uuid[]), @now
ON CONFLICT (reference) DO NOTHING RETURNING reference;

-- name: GetOutcomes :many
-- What was decided under references: refused if there is a code, else posted. released_minor is what a release freed, in the hold's currency.
SELECT r.reference, r.body_hash, r.transaction_id, coalesce(f.code, '')::text AS code, coalesce(f.detail, '')::text AS detail,
	coalesce(t.recorded_at, f.recorded_at, r.recorded_at)::timestamptz AS decided_at, t.hold_id, t.balances, m.metadata,
	(t.metadata_hash IS NOT NULL)::boolean AS had_metadata,
	(CASE WHEN t.action = 'release' THEN -t.hold_delta_minor ELSE 0 END)::bigint AS released_minor, coalesce(h.currency, '')::text AS released_currency
FROM ledger_references r
LEFT JOIN ledger_refusals f ON f.reference = r.reference
LEFT JOIN transactions t ON t.id = r.transaction_id AND t.reference = r.reference
LEFT JOIN transaction_metadata m ON m.transaction_id = t.id
LEFT JOIN holds h ON h.id = t.hold_id AND t.action = 'release'
WHERE r.reference = ANY(@references_list::text[]);

-- name: InsertRefusals :exec
INSERT INTO ledger_refusals (reference, code, detail, recorded_at)
SELECT unnest(@references_list::text[]), unnest(@codes::text[]), unnest(@details::text[]), unnest(@recorded_at::timestamptz[]);
