-- name: InsertDeposit :exec
INSERT INTO deposits (id, idempotency_id, user_id, wallet_id, channel, phone_sealed, currency, amount_minor, fee_minor, excise_minor, tariff_version,
	status, seq, created_at, updated_at)
VALUES (@id, @idempotency_id, @user_id, @wallet_id, @channel, @phone_sealed, @currency, @amount_minor, @fee_minor, @excise_minor, @tariff_version,
	@status, 1, @now, @now);

-- name: GetDeposit :one
SELECT id, idempotency_id, user_id, wallet_id, channel, phone_sealed, currency, amount_minor, fee_minor, excise_minor, tariff_version, status, seq,
	failure_code, checkout_url, display_text, provider_id, receipt, came_minor, rail_fee_minor, asked, first_sent_at, created_at, updated_at
FROM deposits WHERE id = @id;

-- name: LockDeposit :one
SELECT id, idempotency_id, user_id, wallet_id, channel, phone_sealed, currency, amount_minor, fee_minor, excise_minor, tariff_version, status, seq,
	failure_code, checkout_url, display_text, provider_id, receipt, came_minor, rail_fee_minor, asked, first_sent_at, created_at, updated_at
FROM deposits WHERE id = @id FOR UPDATE;

-- name: UpdateDeposit :exec
UPDATE deposits SET status = @status, seq = @seq, failure_code = @failure_code, checkout_url = @checkout_url, display_text = @display_text,
	provider_id = @provider_id, receipt = @receipt, came_minor = @came_minor, rail_fee_minor = @rail_fee_minor, asked = @asked,
	first_sent_at = @first_sent_at, updated_at = @now
WHERE id = @id;

-- name: ListDeposits :many
SELECT id, idempotency_id, user_id, wallet_id, channel, phone_sealed, currency, amount_minor, fee_minor, excise_minor, tariff_version, status, seq,
	failure_code, checkout_url, display_text, provider_id, receipt, came_minor, rail_fee_minor, asked, first_sent_at, created_at, updated_at
FROM deposits WHERE user_id = @user_id AND id < @before ORDER BY id DESC LIMIT @page_size;

-- name: ListDepositsByStatus :many
SELECT id, idempotency_id, user_id, wallet_id, channel, phone_sealed, currency, amount_minor, fee_minor, excise_minor, tariff_version, status, seq,
	failure_code, checkout_url, display_text, provider_id, receipt, came_minor, rail_fee_minor, asked, first_sent_at, created_at, updated_at
FROM deposits WHERE status = @status AND id < @before ORDER BY id DESC LIMIT @page_size;

-- name: InsertDepositTransition :exec
INSERT INTO deposit_transitions (deposit_id, seq, from_status, to_status, reason, evidence, at, ledger_step, limit_step, done_at)
VALUES (@deposit_id, @seq, @from_status, @to_status, @reason, @evidence, @at, @ledger_step, @limit_step, @done_at);

-- name: ListDepositTransitions :many
SELECT deposit_id, seq, from_status, to_status, reason, evidence, at, ledger_step, limit_step, booked, ledger_transaction_id, done_at
FROM deposit_transitions WHERE deposit_id = @deposit_id ORDER BY seq;

-- name: FinishDepositTransition :execrows
UPDATE deposit_transitions SET booked = @booked, ledger_transaction_id = @ledger_transaction_id, done_at = @now
WHERE deposit_id = @deposit_id AND seq = @seq AND done_at IS NULL;

-- name: InsertDepositBreak :execrows
INSERT INTO deposit_breaks (deposit_id, kind, amount_minor, currency, at) VALUES (@deposit_id, @kind, @amount_minor, @currency, @at)
ON CONFLICT DO NOTHING;

-- name: ListDepositBreaks :many
SELECT deposit_id, kind, amount_minor, currency, at FROM deposit_breaks WHERE deposit_id = @deposit_id ORDER BY at, kind;

-- name: CountDueDepositTransitions :one
SELECT count(*) AS due, coalesce(extract(epoch FROM sqlc.arg(moment)::timestamptz - min(at)), 0)::float8 AS oldest_seconds
FROM deposit_transitions WHERE done_at IS NULL;
