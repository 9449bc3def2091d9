-- name: InsertWallet :one
-- No row comes back when the customer has a wallet in the currency.
INSERT INTO wallets (id, user_id, currency, status, deposit_account, created_at)
VALUES ($1, $2, $3, 'opening', $4, $5)
ON CONFLICT ON CONSTRAINT wallets_one_per_currency DO NOTHING
RETURNING id;

-- name: ListWallets :many
SELECT id, user_id, currency, status, deposit_account, created_at FROM wallets WHERE user_id = $1 ORDER BY id;

-- name: GetWallet :one
SELECT id, user_id, currency, status, deposit_account, created_at FROM wallets WHERE id = $1;

-- name: GetWalletByCurrency :one
SELECT id, user_id, currency, status, deposit_account, created_at FROM wallets WHERE user_id = $1 AND currency = $2;

-- name: GetWalletByDepositAccount :one
SELECT w.id, w.user_id, w.currency, w.status, c.status AS customer_status
FROM wallets w JOIN customers c ON c.user_id = w.user_id WHERE w.deposit_account = $1;

-- name: GetWalletOwner :one
-- A wallet with what the rules ask about its owner.
SELECT w.id, w.user_id, w.currency, w.status, w.ledger_version, c.status AS customer_status, c.tier, c.country, c.revision, c.number
FROM wallets w JOIN customers c ON c.user_id = w.user_id WHERE w.id = $1;

-- name: GetWalletOwnerByCurrency :one
SELECT w.id, w.user_id, w.currency, w.status, w.ledger_version, c.status AS customer_status, c.tier, c.country, c.revision, c.number
FROM wallets w JOIN customers c ON c.user_id = w.user_id WHERE w.user_id = $1 AND w.currency = $2;

-- name: LockWallet :one
SELECT w.id, w.user_id, w.currency, w.status, w.ledger_version, c.revision
FROM wallets w JOIN customers c ON c.user_id = w.user_id WHERE w.id = $1 FOR UPDATE OF w;

-- name: OpenWallet :exec
UPDATE wallets SET status = 'open', opened_at = COALESCE(opened_at, @at), ledger_version = @revision WHERE id = @id;
