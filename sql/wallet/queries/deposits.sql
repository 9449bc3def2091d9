-- name: InsertCallback :one
-- No row comes back for a message that is stored already.
INSERT INTO callbacks (id, kind, provider_id, body_hash, body_sealed, topup_id, source, received_at)
VALUES (@id, @kind, @provider_id, @body_hash, @body_sealed, sqlc.narg(topup_id), @source, @received_at)
ON CONFLICT ON CONSTRAINT callbacks_once DO NOTHING
RETURNING id;

-- name: GetCallback :one
SELECT id, kind, body_sealed, topup_id, source, received_at, judged_at, verdict FROM callbacks WHERE id = $1;

-- name: LockCallback :one
SELECT id, judged_at FROM callbacks WHERE id = $1 FOR UPDATE;

-- name: JudgeCallback :exec
UPDATE callbacks SET judged_at = @at::timestamptz, verdict = @verdict::text WHERE id = @id AND judged_at IS NULL;

-- name: InsertReceipt :one
-- Takes a receipt in its normal form, once for ever. No row comes back when it is taken; a rival that has not committed is waited for.
INSERT INTO receipts (receipt, receipt_key, topup_id, deposit_id, source, amount_minor, created_at)
VALUES (@receipt, @receipt, sqlc.narg(topup_id), sqlc.narg(deposit_id), @source, @amount_minor, @created_at)
ON CONFLICT DO NOTHING
RETURNING receipt;

-- name: GetReceipt :one
SELECT receipt, topup_id, deposit_id, source, amount_minor FROM receipts WHERE receipt_key = @receipt_key::text;

-- name: InsertDeposit :exec
INSERT INTO deposits (id, receipt, user_id, wallet_id, currency, amount_minor, credit, created_at)
VALUES (@id, @receipt, sqlc.narg(user_id), sqlc.narg(wallet_id), @currency, @amount_minor, 'due', @created_at);

-- name: GetDeposit :one
SELECT id, receipt, user_id, wallet_id, currency, amount_minor, credit, created_at FROM deposits WHERE id = $1;

-- name: CloseDeposit :one
UPDATE deposits SET credit = @credit, ledger_transaction_id = @ledger_transaction_id::uuid, closed_at = @at::timestamptz
WHERE id = @id AND credit = 'due' RETURNING id;
