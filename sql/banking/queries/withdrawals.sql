-- name: InsertWithdrawalQuote :exec
INSERT INTO withdrawal_quotes (id, user_id, wallet_id, rail, destination_sealed, name_sealed, currency, amount_minor, fee_minor, excise_minor,
	tariff_version, created_at, expires_at, bank_account_id)
VALUES (@id, @user_id, @wallet_id, @rail, @destination_sealed, @name_sealed, @currency, @amount_minor, @fee_minor, @excise_minor,
	@tariff_version, @created_at, @expires_at, @bank_account_id);

-- name: GetWithdrawalQuote :one
SELECT id, user_id, destination_sealed, bank_account_id FROM withdrawal_quotes WHERE id = @id;

-- name: LockWithdrawalQuote :one
SELECT q.id, q.user_id, q.wallet_id, q.rail, q.destination_sealed, q.name_sealed, q.currency, q.amount_minor, q.fee_minor, q.excise_minor,
	q.tariff_version, q.created_at, q.expires_at, q.bank_account_id
FROM withdrawal_quotes q WHERE q.id = @id FOR UPDATE;

-- name: SweepWithdrawalQuotes :execrows
DELETE FROM withdrawal_quotes WHERE id IN (SELECT q.id FROM withdrawal_quotes q WHERE q.expires_at < @before LIMIT 1000);

-- name: SpendStepUp :exec
INSERT INTO step_ups (jti, withdrawal_id, expires_at) VALUES (@jti, @withdrawal_id, @expires_at);

-- name: SweepStepUps :execrows
DELETE FROM step_ups WHERE jti IN (SELECT s.jti FROM step_ups s WHERE s.expires_at < @before LIMIT 1000);

-- name: InsertWithdrawal :exec
INSERT INTO withdrawals (id, quote_id, user_id, wallet_id, rail, destination_sealed, name_sealed, currency, amount_minor, fee_minor, excise_minor,
	client_reference, status, seq, created_at, updated_at, bank_account_id)
VALUES (@id, @quote_id, @user_id, @wallet_id, @rail, @destination_sealed, @name_sealed, @currency, @amount_minor, @fee_minor, @excise_minor,
	@client_reference, @status, 1, @now, @now, @bank_account_id);

-- name: GetWithdrawal :one
SELECT id, quote_id, user_id, wallet_id, rail, destination_sealed, name_sealed, currency, amount_minor, fee_minor, excise_minor, client_reference, status,
	seq, failure_code, hold_id, receipt, asked, first_sent_at, created_at, updated_at, bank_account_id
FROM withdrawals WHERE id = @id;

-- name: LockWithdrawal :one
SELECT id, quote_id, user_id, wallet_id, rail, destination_sealed, name_sealed, currency, amount_minor, fee_minor, excise_minor, client_reference, status,
	seq, failure_code, hold_id, receipt, asked, first_sent_at, created_at, updated_at, bank_account_id
FROM withdrawals WHERE id = @id FOR UPDATE;

-- name: UpdateWithdrawal :exec
UPDATE withdrawals SET status = @status, seq = @seq, failure_code = @failure_code, hold_id = @hold_id, receipt = @receipt, asked = @asked,
	first_sent_at = @first_sent_at, updated_at = @now
WHERE id = @id;

-- name: ListWithdrawals :many
SELECT id, quote_id, user_id, wallet_id, rail, destination_sealed, name_sealed, currency, amount_minor, fee_minor, excise_minor, client_reference, status,
	seq, failure_code, hold_id, receipt, asked, first_sent_at, created_at, updated_at, bank_account_id
FROM withdrawals
WHERE user_id = @user_id AND id < @before AND (sqlc.narg(client_reference)::text IS NULL OR client_reference = sqlc.narg(client_reference))
ORDER BY id DESC LIMIT @page_size;

-- name: ListWithdrawalsByStatus :many
SELECT id, quote_id, user_id, wallet_id, rail, destination_sealed, name_sealed, currency, amount_minor, fee_minor, excise_minor, client_reference, status,
	seq, failure_code, hold_id, receipt, asked, first_sent_at, created_at, updated_at, bank_account_id
FROM withdrawals WHERE status = @status AND id < @before ORDER BY id DESC LIMIT @page_size;

-- name: InsertTransition :exec
INSERT INTO withdrawal_transitions (withdrawal_id, seq, from_status, to_status, reason, evidence, evidence_id, at, ledger_step, limit_step, done_at)
VALUES (@withdrawal_id, @seq, @from_status, @to_status, @reason, @evidence, @evidence_id, @at, @ledger_step, @limit_step, @done_at);

-- name: ListTransitions :many
SELECT withdrawal_id, seq, from_status, to_status, reason, evidence, evidence_id, at, ledger_step, limit_step, booked, ledger_transaction_id, done_at
FROM withdrawal_transitions WHERE withdrawal_id = @withdrawal_id ORDER BY seq;

-- name: FinishTransition :execrows
UPDATE withdrawal_transitions SET booked = @booked, ledger_transaction_id = @ledger_transaction_id, done_at = @now
WHERE withdrawal_id = @withdrawal_id AND seq = @seq AND done_at IS NULL;

-- name: InsertRailRequest :exec
INSERT INTO rail_requests (id, withdrawal_id, kind, sent_at, asked_seq) VALUES (@id, @withdrawal_id, @kind, @sent_at, @asked_seq);

-- name: AskedSince :one
SELECT EXISTS (SELECT FROM rail_requests WHERE withdrawal_id = @withdrawal_id AND kind = 'status' AND sent_at > @since);

-- name: GetPayRequest :one
SELECT id, withdrawal_id, kind, sent_at, conversation_id, answer, answered_at, closed_at, asked_seq FROM rail_requests WHERE withdrawal_id = @withdrawal_id AND kind = 'pay';

-- name: LockRailRequest :one
SELECT id, withdrawal_id, kind, sent_at, conversation_id, answer, answered_at, closed_at, asked_seq FROM rail_requests WHERE id = @id FOR UPDATE;

-- name: AnswerRailRequest :exec
UPDATE rail_requests SET answer = @answer, conversation_id = coalesce(conversation_id, @conversation_id), answered_at = @now WHERE id = @id;

-- name: CloseRailRequest :exec
UPDATE rail_requests SET closed_at = @now WHERE id = @id AND closed_at IS NULL;

-- name: CountNotFound :one
SELECT count(*) FROM rail_requests WHERE withdrawal_id = @withdrawal_id AND kind = 'status' AND answer = 'not_found' AND sent_at >= @since;

-- name: CountWithdrawals :many
SELECT rail, count(*) FILTER (WHERE status <> 'in_doubt') AS open,
	coalesce(extract(epoch FROM sqlc.arg(at)::timestamptz - min(created_at) FILTER (WHERE status <> 'in_doubt')), 0)::float8 AS oldest_seconds,
	count(*) FILTER (WHERE status = 'in_doubt') AS in_doubt,
	coalesce(sum(amount_minor + fee_minor + excise_minor) FILTER (WHERE status = 'in_doubt'), 0)::bigint AS in_doubt_minor,
	coalesce(extract(epoch FROM sqlc.arg(at)::timestamptz - min(first_sent_at) FILTER (WHERE status = 'in_doubt')), 0)::float8 AS oldest_doubt_seconds
FROM withdrawals WHERE status IN ('stored', 'held', 'requested', 'accepted', 'unknown', 'in_doubt') GROUP BY rail;

-- name: CountDueTransitions :one
SELECT count(*) AS due, coalesce(extract(epoch FROM sqlc.arg(moment)::timestamptz - min(at)), 0)::float8 AS oldest_seconds
FROM withdrawal_transitions WHERE done_at IS NULL;
