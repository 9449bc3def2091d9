-- name: ListStatement :many
WITH debits AS (
	SELECT d.source_sequence AS sequence, 'debit'::text AS direction, d.amount_minor, d.currency, d.source_balance_minor AS balance_minor, d.transaction_id, d.recorded_at
	FROM postings d WHERE d.source_id = @account_id AND d.source_sequence < @before ORDER BY d.source_sequence DESC LIMIT @page_size
), credits AS (
	SELECT c.destination_sequence AS sequence, 'credit'::text AS direction, c.amount_minor, c.currency, c.destination_balance_minor AS balance_minor, c.transaction_id, c.recorded_at
	FROM postings c WHERE c.destination_id = @account_id AND c.destination_sequence < @before ORDER BY c.destination_sequence DESC LIMIT @page_size
), entries AS (
	SELECT sequence, direction, amount_minor, currency, balance_minor, transaction_id, recorded_at FROM debits
	UNION ALL
	SELECT sequence, direction, amount_minor, currency, balance_minor, transaction_id, recorded_at FROM credits
)
SELECT e.sequence, e.direction, e.amount_minor, e.currency, e.balance_minor, e.transaction_id, e.recorded_at, t.type, t.channel, t.reference
FROM entries e JOIN transactions t ON t.id = e.transaction_id AND t.recorded_at = e.recorded_at
ORDER BY e.sequence DESC LIMIT @page_size;
