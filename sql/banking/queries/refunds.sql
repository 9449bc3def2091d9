-- name: InsertRefund :exec
INSERT INTO refunds (id, deposit_id, approval_id, user_id, wallet_id, currency, amount_minor, status, seq, created_at, updated_at)
VALUES (@id, @deposit_id, @approval_id, @user_id, @wallet_id, @currency, @amount_minor, 'stored', 1, @now, @now);

-- name: GetRefund :one
SELECT id, deposit_id, approval_id, user_id, wallet_id, currency, amount_minor, status, seq, failure_code, hold_id, provider_id, asked, first_sent_at,
	absent_at, created_at, updated_at
FROM refunds WHERE id = @id;

-- name: LockRefund :one
SELECT id, deposit_id, approval_id, user_id, wallet_id, currency, amount_minor, status, seq, failure_code, hold_id, provider_id, asked, first_sent_at,
	absent_at, created_at, updated_at
FROM refunds WHERE id = @id FOR UPDATE;

-- name: UpdateRefund :exec
UPDATE refunds SET status = @status, seq = @seq, failure_code = @failure_code, hold_id = @hold_id, provider_id = @provider_id, asked = @asked,
	first_sent_at = @first_sent_at, absent_at = @absent_at, updated_at = @now
WHERE id = @id;

-- name: SumRefunds :one
SELECT coalesce(sum(amount_minor), 0)::bigint FROM refunds WHERE deposit_id = @deposit_id AND status <> 'failed';

-- name: ListOpenRefunds :many
SELECT id FROM refunds WHERE deposit_id = @deposit_id AND status IN ('requested', 'accepted', 'unknown', 'attention') ORDER BY id;

-- name: RefundIsTaken :one
SELECT EXISTS (SELECT FROM refunds WHERE provider_id = @provider_id::text);

-- name: ListRefundsByStatus :many
SELECT id, deposit_id, approval_id, user_id, wallet_id, currency, amount_minor, status, seq, failure_code, hold_id, provider_id, asked, first_sent_at,
	absent_at, created_at, updated_at
FROM refunds WHERE status = @status AND id < @before ORDER BY id DESC LIMIT @page_size;

-- name: InsertRefundTransition :exec
INSERT INTO refund_transitions (refund_id, seq, from_status, to_status, reason, evidence, evidence_id, at, ledger_step, done_at)
VALUES (@refund_id, @seq, @from_status, @to_status, @reason, @evidence, @evidence_id, @at, @ledger_step, @done_at);

-- name: ListRefundTransitions :many
SELECT refund_id, seq, from_status, to_status, reason, evidence, evidence_id, at, ledger_step, ledger_transaction_id, done_at
FROM refund_transitions WHERE refund_id = @refund_id ORDER BY seq;

-- name: FinishRefundTransition :exec
UPDATE refund_transitions SET ledger_transaction_id = @ledger_transaction_id, done_at = @now
WHERE refund_id = @refund_id AND seq = @seq AND done_at IS NULL;

-- name: CountDueRefundTransitions :one
SELECT count(*) AS due, coalesce(extract(epoch FROM sqlc.arg(moment)::timestamptz - min(at)), 0)::float8 AS oldest_seconds
FROM refund_transitions WHERE done_at IS NULL;
