-- +goose Up

-- Where a message came from. Those of before nobody looked at: they count as a stranger's. A stranger who sends a message first must not
-- make the genuine one a repeat.
ALTER TABLE callbacks ADD COLUMN source text NOT NULL DEFAULT 'stranger' CHECK (source IN ('known', 'stranger'));
ALTER TABLE callbacks ALTER COLUMN source DROP DEFAULT;
ALTER TABLE callbacks DROP CONSTRAINT callbacks_once;
ALTER TABLE callbacks ADD CONSTRAINT callbacks_once UNIQUE (kind, provider_id, body_hash, source);

-- Receipts are case-insensitive. The older row of two that differ in nothing else keeps the key; stored receipts stay as they are, because
-- references at the ledger were made from them.
ALTER TABLE receipts ADD COLUMN receipt_key text;
UPDATE receipts r SET receipt_key = upper(r.receipt)
FROM (SELECT receipt, row_number() OVER (PARTITION BY upper(receipt) ORDER BY created_at, receipt) AS place FROM receipts) ranked
WHERE ranked.receipt = r.receipt AND ranked.place = 1;
ALTER TABLE receipts ADD CONSTRAINT receipts_key UNIQUE (receipt_key);
ALTER TABLE receipts DROP CONSTRAINT receipts_source_check;
ALTER TABLE receipts ADD CONSTRAINT receipts_source_check CHECK (source IN ('callback', 'c2b', 'pull'));

-- What a message says that only Safaricom's own books can confirm. It moves nothing; several may wait for one receipt.
CREATE TABLE claims (
	callback_id   uuid        PRIMARY KEY REFERENCES callbacks,
	receipt_key   text        NOT NULL,
	amount_minor  bigint      NOT NULL CHECK (amount_minor > 0),
	account_index bytea       NOT NULL, -- of the account's normal form: payers type names and phones there
	paid_at       timestamptz NOT NULL, -- as the message says, or when it came
	state         text        NOT NULL CHECK (state IN ('open', 'confirmed', 'refuted', 'case')),
	asked         integer     NOT NULL DEFAULT 0,
	next_ask_at   timestamptz,
	created_at    timestamptz NOT NULL,
	CHECK ((state = 'open') = (next_ask_at IS NOT NULL))
);
CREATE INDEX claims_due ON claims (asked, next_ask_at) WHERE state = 'open';
CREATE INDEX claims_receipt ON claims (receipt_key) WHERE state = 'open';

-- What a person of finance has to look at.
CREATE TABLE cases (
	id          uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
	kind        text        NOT NULL CHECK (kind IN ('claim', 'unreadable', 'receipt_pair')),
	callback_id uuid        REFERENCES callbacks,
	receipt     text,
	created_at  timestamptz NOT NULL,
	closed_at   timestamptz,
	CHECK (num_nonnulls(callback_id, receipt) = 1),
	CONSTRAINT cases_once UNIQUE (kind, callback_id)
);
CREATE INDEX cases_open ON cases (created_at) WHERE closed_at IS NULL;
INSERT INTO cases (kind, receipt, created_at) SELECT 'receipt_pair', receipt, now() FROM receipts WHERE receipt_key IS NULL;

-- How often a provider was asked in a minute, over all replicas.
CREATE TABLE question_budgets (
	name   text        PRIMARY KEY,
	minute timestamptz NOT NULL,
	used   integer     NOT NULL CHECK (used >= 0)
);
INSERT INTO question_budgets (name, minute, used) VALUES ('pull', '2026-01-01 00:00:00+00', 0);

-- +goose StatementBegin
DO $$
DECLARE app text := regexp_replace(current_user, '_owner$', '_app');
BEGIN
	EXECUTE format('GRANT UPDATE (state, asked, next_ask_at) ON claims TO %I', app);
	EXECUTE format('GRANT UPDATE (closed_at) ON cases TO %I', app);
	EXECUTE format('GRANT UPDATE (minute, used) ON question_budgets TO %I', app);
END $$;
-- +goose StatementEnd
