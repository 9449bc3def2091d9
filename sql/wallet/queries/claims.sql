-- name: InsertClaim :exec
INSERT INTO claims (callback_id, receipt_key, amount_minor, account_index, paid_at, state, next_ask_at, created_at)
VALUES (@callback_id, @receipt_key, @amount_minor, @account_index, @paid_at, @state, sqlc.narg(next_ask_at), @created_at)
ON CONFLICT (callback_id) DO NOTHING;

-- name: ClaimsDue :one
SELECT EXISTS (SELECT 1 FROM claims WHERE state = 'open' AND next_ask_at <= @now);

-- name: TakeClaim :one
-- The claim to ask about now, those first that nobody has asked about. When to ask again is stored before the question leaves.
UPDATE claims SET asked = claims.asked + 1,
	next_ask_at = (CASE WHEN claims.asked = 0 THEN @second::timestamptz WHEN claims.asked = 1 THEN @third::timestamptz ELSE @later::timestamptz END)
WHERE callback_id = (SELECT c.callback_id FROM claims c WHERE c.state = 'open' AND c.next_ask_at <= sqlc.arg(now)::timestamptz
	ORDER BY c.asked, c.next_ask_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING callback_id, receipt_key, amount_minor, account_index, paid_at, asked, created_at;

-- name: CloseClaims :many
-- Ends the claims to a receipt that is accounted for now: those that said the same are confirmed.
UPDATE claims SET state = CASE WHEN amount_minor = @amount_minor AND account_index = ANY(@account_indexes::bytea[]) THEN 'confirmed' ELSE 'refuted' END,
	next_ask_at = NULL
WHERE receipt_key = @receipt_key AND state = 'open'
RETURNING callback_id, state;

-- name: GiveUpClaim :exec
UPDATE claims SET state = 'case', next_ask_at = NULL WHERE callback_id = $1 AND state = 'open';

-- name: OpenCase :exec
INSERT INTO cases (kind, callback_id, created_at) VALUES (@kind, @callback_id, @at) ON CONFLICT ON CONSTRAINT cases_once DO NOTHING;

-- name: CountCases :one
SELECT count(*) AS cases, (SELECT count(*) FROM claims WHERE state = 'open') AS claims FROM cases WHERE closed_at IS NULL;

-- name: SpendQuestion :one
-- One question of this minute's budget; no row when it is spent.
UPDATE question_budgets SET used = CASE WHEN minute = @minute::timestamptz THEN used + 1 ELSE 1 END, minute = @minute::timestamptz
WHERE name = @name AND (minute <> @minute::timestamptz OR used < @most::integer)
RETURNING used;
