-- name: ListBanks :many
SELECT code, name, seen_at FROM banks ORDER BY name, code;

-- name: KeepBank :exec
INSERT INTO banks (code, name, seen_at) VALUES (@code, @name, @seen_at)
ON CONFLICT (code) DO UPDATE SET name = excluded.name, seen_at = excluded.seen_at;

-- name: DropBanks :exec
DELETE FROM banks WHERE seen_at < @before;

-- name: LockBankAccounts :exec
SELECT pg_advisory_xact_lock(hashtextextended('banking.bank_accounts:' || (@user_id::uuid)::text, 0));

-- name: InsertBankAccount :exec
INSERT INTO bank_accounts (id, user_id, bank_code, bank_name, number_sealed, number_index, last_four, name_sealed, name_checked, payable_from, created_at)
VALUES (@id, @user_id, @bank_code, @bank_name, @number_sealed, @number_index, @last_four, @name_sealed, @name_checked, @payable_from, @created_at);

-- name: GetBankAccount :one
SELECT id, user_id, bank_code, bank_name, number_sealed, number_index, last_four, name_sealed, name_checked, payable_from, created_at, deleted_at,
	recipient_code
FROM bank_accounts WHERE id = @id;

-- name: FindBankAccount :one
SELECT id, user_id, bank_code, bank_name, number_sealed, number_index, last_four, name_sealed, name_checked, payable_from, created_at, deleted_at,
	recipient_code
FROM bank_accounts WHERE user_id = @user_id AND number_index = ANY(@indexes::bytea[]) AND deleted_at IS NULL;

-- name: ListBankAccounts :many
SELECT id, user_id, bank_code, bank_name, number_sealed, number_index, last_four, name_sealed, name_checked, payable_from, created_at, deleted_at,
	recipient_code
FROM bank_accounts WHERE user_id = @user_id AND deleted_at IS NULL ORDER BY id LIMIT 100;

-- name: DeleteBankAccount :exec
UPDATE bank_accounts SET deleted_at = @now WHERE id = @id AND deleted_at IS NULL;

-- name: KeepRecipient :exec
UPDATE bank_accounts SET recipient_code = @recipient_code WHERE id = @id;
