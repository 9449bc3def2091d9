-- name: ListSuspense :many
-- A page of items in a state, the oldest first.
SELECT i.id, i.source, i.why, i.currency, i.amount_minor, i.status, i.seq, i.booked_at, coalesce(d.receipt, t.receipt, '')::text AS receipt
FROM suspense_items i LEFT JOIN deposits d ON d.id = i.id LEFT JOIN topups t ON t.id = i.id
WHERE i.status = @status AND i.id > @after ORDER BY i.id LIMIT @page_size;

-- name: GetSuspense :one
SELECT i.id, i.source, i.why, i.currency, i.amount_minor, i.status, i.seq, i.booked_at, coalesce(d.receipt, t.receipt, '')::text AS receipt
FROM suspense_items i LEFT JOIN deposits d ON d.id = i.id LEFT JOIN topups t ON t.id = i.id WHERE i.id = $1;

-- name: LockSuspense :one
SELECT i.id, i.source, i.why, i.currency, i.amount_minor, i.status, i.seq, i.booked_at, coalesce(d.receipt, t.receipt, '')::text AS receipt
FROM suspense_items i LEFT JOIN deposits d ON d.id = i.id LEFT JOIN topups t ON t.id = i.id WHERE i.id = $1 FOR UPDATE OF i;

-- name: ListSuspenseTransitions :many
SELECT seq, from_status, to_status, reason, evidence, evidence_id, wallet_id, receipt, ledger_transaction_id, at, done_at
FROM suspense_transitions WHERE item_id = $1 ORDER BY seq;

-- name: InsertSuspenseTransition :exec
INSERT INTO suspense_transitions (item_id, seq, from_status, to_status, reason, words_sealed, evidence, evidence_id, wallet_id, receipt,
	ledger_transaction_id, at, done_at)
VALUES (@item_id, @seq, @from_status, @to_status, @reason, sqlc.narg(words_sealed), @evidence, sqlc.narg(evidence_id), sqlc.narg(wallet_id),
	sqlc.narg(receipt), sqlc.narg(ledger_transaction_id), @at, sqlc.narg(done_at));

-- name: MoveSuspense :exec
UPDATE suspense_items SET status = @status, seq = @seq WHERE id = @id;

-- name: FinishReturn :execrows
UPDATE suspense_transitions SET ledger_transaction_id = @ledger_transaction_id::uuid, done_at = @at::timestamptz
WHERE item_id = @item_id AND seq = @seq AND to_status = 'returned' AND done_at IS NULL;

-- name: MessageOfSuspense :one
-- The message that told of an item's payment, one of Safaricom's before a stranger's.
SELECT id, kind, body_sealed FROM callbacks
WHERE (kind = 'c2b' AND provider_id = @receipt) OR (kind = 'stk' AND provider_id = @topup)
ORDER BY source = 'known' DESC, received_at LIMIT 1;

-- name: CountSuspense :one
SELECT count(*) AS waiting, COALESCE(sum(amount_minor), 0)::bigint AS minor,
	COALESCE(extract(epoch FROM sqlc.arg(now)::timestamptz - min(booked_at)), 0)::float8 AS oldest_seconds
FROM suspense_items WHERE status IN ('open', 'matching', 'returning');

-- name: InsertRailRequest :exec
INSERT INTO rail_requests (id, kind, item_id, about, named, sent_at, seq)
VALUES (@id, @kind, sqlc.narg(item_id), sqlc.narg(about), @named, @sent_at, @seq);

-- name: LockRailRequest :one
SELECT id, kind, item_id, about, named, sent_at, conversation_id, originator_id, answer, outcome FROM rail_requests WHERE id = $1 FOR UPDATE;

-- name: RailRequestItem :one
SELECT item_id FROM rail_requests WHERE id = $1;

-- name: ListRailRequests :many
SELECT id, kind, about, named, sent_at, originator_id, answer, outcome, reason, seq FROM rail_requests WHERE item_id = $1 ORDER BY sent_at, id;

-- name: AnswerRailRequest :exec
UPDATE rail_requests SET answer = @answer, conversation_id = sqlc.narg(conversation_id), originator_id = sqlc.narg(originator_id),
	answered_at = @at::timestamptz
WHERE id = @id AND answer = '';

-- name: CloseRailRequest :exec
UPDATE rail_requests SET outcome = @outcome, reason = @reason, closed_at = @at::timestamptz WHERE id = @id AND outcome = '';

-- name: InsertRailMessage :one
-- No row comes back for a message that is stored already.
INSERT INTO rail_messages (id, kind, request_id, body_hash, body_sealed, source, received_at)
VALUES (@id, @kind, @request_id, @body_hash, @body_sealed, @source, @received_at)
ON CONFLICT ON CONSTRAINT rail_messages_once DO NOTHING
RETURNING id;

-- name: LockRailMessage :one
SELECT id, kind, request_id, body_sealed, source, received_at, judged_at FROM rail_messages WHERE id = $1 FOR UPDATE;

-- name: JudgeRailMessage :exec
UPDATE rail_messages SET judged_at = @at::timestamptz, verdict = @verdict::text WHERE id = @id AND judged_at IS NULL;
