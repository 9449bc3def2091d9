-- +goose Up
-- Paystack's list of banks, kept so that an outage there does not empty it.
CREATE TABLE banks (
	code    text        PRIMARY KEY,
	name    text        NOT NULL,
	seen_at timestamptz NOT NULL -- when the list last had it
);

-- Accounts that customers have linked. One is deleted by a mark: withdrawals name it for ever.
CREATE TABLE bank_accounts (
	id             uuid        CONSTRAINT bank_accounts_id_once PRIMARY KEY, -- the client's choice, which the step-up approves
	user_id        uuid        NOT NULL,
	bank_code      text        NOT NULL,
	bank_name      text        NOT NULL,
	number_sealed  bytea       NOT NULL,
	number_index   bytea       NOT NULL, -- blind, of bank and number
	last_four      text        NOT NULL,
	name_sealed    bytea       NOT NULL,
	name_checked   boolean     NOT NULL, -- told by the bank, else by the customer
	payable_from   timestamptz NOT NULL,
	created_at     timestamptz NOT NULL,
	deleted_at     timestamptz,
	recipient_code text        -- Paystack's, once it knows the account
);
CREATE UNIQUE INDEX bank_accounts_once ON bank_accounts (user_id, number_index) WHERE deleted_at IS NULL;
CREATE INDEX bank_accounts_user ON bank_accounts (user_id, id) WHERE deleted_at IS NULL;

GRANT UPDATE (name, seen_at), DELETE ON banks TO banking_app;
GRANT UPDATE (deleted_at, recipient_code) ON bank_accounts TO banking_app;
