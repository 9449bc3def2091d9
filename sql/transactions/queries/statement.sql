-- name: ListEntries :many
-- The entries with @first <= sequence < @before, newest first. Sequences have no gap, so a window is never more than its width, and the
-- caller keeps that within the limits below. They stand as numbers because the planner, which knows neither how hot an account is nor
-- that sequences are dense, then always reads both indexes in order. LATERAL with LIMIT 1 looks transactions up one by one, and only
-- until the page is full.
SELECT e.sequence, e.direction, e.amount_minor, e.currency, e.balance_minor, e.transaction_id, e.recorded_at, e.effective_at, t.type, t.channel, t.reference
FROM (
	SELECT u.sequence, u.direction, u.amount_minor, u.currency, u.balance_minor, u.transaction_id, u.recorded_at, u.effective_at FROM (
		(SELECT d.source_sequence AS sequence, 'debit'::text AS direction, d.amount_minor, d.currency, d.source_balance_minor AS balance_minor,
			d.transaction_id, d.recorded_at, d.effective_at
		FROM postings d WHERE d.source_id = @account_id AND d.source_sequence >= @first AND d.source_sequence < @before
		ORDER BY d.source_sequence DESC LIMIT 2000)
		UNION ALL
		(SELECT c.destination_sequence, 'credit'::text, c.amount_minor, c.currency, c.destination_balance_minor,
			c.transaction_id, c.recorded_at, c.effective_at
		FROM postings c WHERE c.destination_id = @account_id AND c.destination_sequence >= @first AND c.destination_sequence < @before
		ORDER BY c.destination_sequence DESC LIMIT 2000)
	) u ORDER BY u.sequence DESC LIMIT 2000
) e CROSS JOIN LATERAL (
	SELECT x.type, x.channel, x.reference FROM transactions x WHERE x.id = e.transaction_id AND x.recorded_at = e.recorded_at LIMIT 1
) t
WHERE (@channel::text = '' OR t.channel = @channel) AND (@type::text = '' OR t.type = @type)
ORDER BY e.sequence DESC LIMIT @page_size;

-- name: FindSequence :one
-- The last of the account's entries 1 … @last that was recorded up to @recorded_at; 0 if there is none. Recorded times never decrease along
-- an account, so halving steps find it with one index look-up each. @step is the largest power of two up to @last.
WITH RECURSIVE search AS (
	SELECT 0::bigint AS low, @step::bigint AS step
	UNION ALL
	SELECT s.low + CASE WHEN s.low + s.step <= @last::bigint AND @recorded_at::timestamptz >= (
			SELECT d.recorded_at FROM postings d WHERE d.source_id = @account_id AND d.source_sequence = s.low + s.step
			UNION ALL
			SELECT c.recorded_at FROM postings c WHERE c.destination_id = @account_id AND c.destination_sequence = s.low + s.step
			LIMIT 1) THEN s.step ELSE 0 END, s.step / 2
	FROM search s WHERE s.step > 0
)
SELECT low FROM search WHERE step = 0;

-- name: GetEntryBalance :one
-- The balance on the account's normal side after one entry.
SELECT d.source_balance_minor AS balance_minor FROM postings d WHERE d.source_id = @account_id AND d.source_sequence = @sequence
UNION ALL
SELECT c.destination_balance_minor FROM postings c WHERE c.destination_id = @account_id AND c.destination_sequence = @sequence
LIMIT 1;

-- name: SumBackdated :one
-- What explicit effective times change in the balance that was recorded up to @moment: entries among 1 … @last recorded later that counted
-- already, less entries recorded by then that counted later. Credits are positive. Partial indexes hold the rows with such a time only.
SELECT coalesce(sum(b.amount_minor), 0)::bigint AS change_minor FROM (
	SELECT c.amount_minor FROM postings c WHERE c.destination_id = @account_id AND c.effective_at <= @moment AND c.recorded_at > @moment AND c.destination_sequence <= @last
	UNION ALL
	SELECT -d.amount_minor FROM postings d WHERE d.source_id = @account_id AND d.effective_at <= @moment AND d.recorded_at > @moment AND d.source_sequence <= @last
	UNION ALL
	SELECT -c.amount_minor FROM postings c WHERE c.destination_id = @account_id AND c.effective_at > @moment AND c.recorded_at <= @moment AND c.destination_sequence <= @last
	UNION ALL
	SELECT d.amount_minor FROM postings d WHERE d.source_id = @account_id AND d.effective_at > @moment AND d.recorded_at <= @moment AND d.source_sequence <= @last
) b;
