-- +goose Up
-- The ledger. Accounts hold growing counters; transactions and postings are only ever added.

CREATE TABLE accounts (
	id                    uuid        PRIMARY KEY,
	code                  text        CONSTRAINT accounts_code UNIQUE, -- system accounts only
	owner_id              uuid,                                        -- everybody else's; never changes
	kind                  text        NOT NULL CHECK (kind IN ('customer_wallet', 'agent_float', 'savings_pot', 'loan_receivable', 'system')),
	currency              text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
	normal_side           text        NOT NULL CHECK (normal_side IN ('debit', 'credit')),
	status                text        NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'frozen', 'closed')),
	debits_minor          bigint      NOT NULL DEFAULT 0 CHECK (debits_minor >= 0),
	credits_minor         bigint      NOT NULL DEFAULT 0 CHECK (credits_minor >= 0),
	pending_debits_minor  bigint      NOT NULL DEFAULT 0 CHECK (pending_debits_minor >= 0),
	pending_credits_minor bigint      NOT NULL DEFAULT 0 CHECK (pending_credits_minor >= 0),
	over_cap_minor        bigint      NOT NULL DEFAULT 0 CHECK (over_cap_minor >= 0), -- the part of the pending debits that is held above the maximum
	minimum_minor         bigint,
	maximum_minor         bigint,
	sequence              bigint      NOT NULL DEFAULT 0 CHECK (sequence >= 0),
	last_recorded_at      timestamptz NOT NULL DEFAULT 'epoch',
	created_at            timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT accounts_owned_or_system CHECK ((kind = 'system') = (code IS NOT NULL) AND (kind = 'system') = (owner_id IS NULL)),
	CONSTRAINT accounts_over_cap CHECK (over_cap_minor <= pending_debits_minor),
	-- The rule of domain.Account, held a second time: what is available never falls below the minimum.
	CONSTRAINT accounts_minimum CHECK (minimum_minor IS NULL OR minimum_minor <= CASE normal_side
		WHEN 'credit' THEN credits_minor - debits_minor - pending_debits_minor
		ELSE debits_minor - credits_minor - pending_credits_minor END)
) WITH (fillfactor = 70); -- every posting updates two rows here: room for the new versions keeps the updates off the indexes
CREATE INDEX accounts_owner ON accounts (owner_id) WHERE owner_id IS NOT NULL;

-- The only idempotency key of the ledger. Unpartitioned, so that a reference is unique for ever.
CREATE TABLE ledger_references (
	reference      text        PRIMARY KEY CHECK (length(reference) BETWEEN 1 AND 64),
	body_hash      bytea       NOT NULL CHECK (length(body_hash) = 32),
	status         text        CHECK (status IN ('posted', 'refused')), -- absent only inside the transaction that decides
	transaction_id uuid,
	outcome        jsonb,
	recorded_at    timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT ledger_references_decided CHECK ((status IS NULL) = (outcome IS NULL) AND (status IS NOT DISTINCT FROM 'posted') = (transaction_id IS NOT NULL))
) WITH (fillfactor = 70);

CREATE TABLE transactions (
	id               uuid        NOT NULL,
	recorded_at      timestamptz NOT NULL,
	reference        text        NOT NULL,
	action           text        NOT NULL CHECK (action IN ('post', 'hold', 'capture', 'release', 'reverse')),
	type             text        NOT NULL,
	channel          text        NOT NULL CHECK (channel IN ('mpesa', 'paystack', 'bank', 'internal')),
	hold_id          uuid,
	hold_delta_minor bigint      NOT NULL DEFAULT 0, -- what it added to (or took from) the hold: the sum is what the hold still holds
	reverses_id      uuid,
	PRIMARY KEY (id, recorded_at),
	CONSTRAINT transactions_hold CHECK ((hold_id IS NOT NULL) = (hold_delta_minor <> 0)),
	CONSTRAINT transactions_reverses CHECK ((action = 'reverse') = (reverses_id IS NOT NULL))
) PARTITION BY RANGE (recorded_at);
CREATE INDEX transactions_reverses_id ON transactions (reverses_id) WHERE reverses_id IS NOT NULL;
CREATE INDEX transactions_hold_id ON transactions (hold_id) WHERE hold_id IS NOT NULL;
CREATE TABLE transactions_default PARTITION OF transactions DEFAULT;

-- One row is one posting: balanced by its shape. No foreign keys to accounts: the posting path has locked both rows, and accounts
-- are never deleted, so the check would only cost two look-ups per row.
CREATE TABLE postings (
	transaction_id            uuid        NOT NULL,
	position                  smallint    NOT NULL CHECK (position >= 0),
	recorded_at               timestamptz NOT NULL,
	source_id                 uuid        NOT NULL, -- debited
	destination_id            uuid        NOT NULL, -- credited
	currency                  text        NOT NULL,
	amount_minor              bigint      NOT NULL CHECK (amount_minor > 0 AND amount_minor <= 9007199254740991),
	source_sequence           bigint      NOT NULL CHECK (source_sequence > 0),
	source_balance_minor      bigint      NOT NULL, -- on the account's normal side, after this posting
	destination_sequence      bigint      NOT NULL CHECK (destination_sequence > 0),
	destination_balance_minor bigint      NOT NULL,
	reverses_position         smallint,             -- which posting of the original it turns back
	PRIMARY KEY (transaction_id, position, recorded_at),
	CONSTRAINT postings_two_accounts CHECK (source_id <> destination_id)
) PARTITION BY RANGE (recorded_at);
CREATE INDEX postings_source ON postings (source_id, source_sequence);
CREATE INDEX postings_destination ON postings (destination_id, destination_sequence);
CREATE TABLE postings_default PARTITION OF postings DEFAULT;

-- Callers' facts, apart from the immutable rows, so that they can be erased one day without touching those.
CREATE TABLE transaction_metadata (
	transaction_id uuid  PRIMARY KEY,
	metadata       jsonb NOT NULL
);

CREATE TABLE holds (
	id             uuid        PRIMARY KEY, -- the transaction that made it
	account_id     uuid        NOT NULL REFERENCES accounts (id),
	currency       text        NOT NULL,
	amount_minor   bigint      NOT NULL CHECK (amount_minor > 0),
	captured_minor bigint      NOT NULL DEFAULT 0 CHECK (captured_minor >= 0),
	released_minor bigint      NOT NULL DEFAULT 0 CHECK (released_minor >= 0),
	lines          jsonb       NOT NULL DEFAULT '[]', -- [{destination, amount, remaining}]: whose credit is pending
	reason         text        NOT NULL CHECK (reason IN ('requested', 'over_cap')),
	status         text        NOT NULL CHECK (status IN ('active', 'captured', 'released', 'expired')),
	expires_at     timestamptz,
	created_at     timestamptz NOT NULL,
	CONSTRAINT holds_within CHECK (captured_minor + released_minor <= amount_minor),
	CONSTRAINT holds_done CHECK ((status = 'active') = (captured_minor + released_minor < amount_minor)),
	CONSTRAINT holds_over_cap CHECK (reason <> 'over_cap' OR expires_at IS NULL)
) WITH (fillfactor = 80);
CREATE INDEX holds_expiry ON holds (expires_at) WHERE status = 'active' AND expires_at IS NOT NULL;
CREATE INDEX holds_account ON holds (account_id) WHERE status = 'active';

-- Rows that are never changed or removed, by whomever: a grant alone would not stop the owner.
-- +goose StatementBegin
CREATE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION '% of % is not allowed: the ledger is append-only', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd
CREATE TRIGGER transactions_append_only BEFORE UPDATE OR DELETE ON transactions FOR EACH ROW EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER postings_append_only BEFORE UPDATE OR DELETE ON postings FOR EACH ROW EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER transactions_no_truncate BEFORE TRUNCATE ON transactions FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER postings_no_truncate BEFORE TRUNCATE ON postings FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER transactions_no_truncate BEFORE TRUNCATE ON transactions_default FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER postings_no_truncate BEFORE TRUNCATE ON postings_default FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER ledger_references_decided_once BEFORE UPDATE ON ledger_references FOR EACH ROW WHEN (OLD.status IS NOT NULL) EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER ledger_references_kept BEFORE DELETE ON ledger_references FOR EACH ROW EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER ledger_references_no_truncate BEFORE TRUNCATE ON ledger_references FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER accounts_identity BEFORE UPDATE OF id, code, owner_id, kind, currency, normal_side, created_at ON accounts FOR EACH ROW EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER accounts_kept BEFORE DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER accounts_no_truncate BEFORE TRUNCATE ON accounts FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();

-- Makes the partitions of this month and of the three that follow, and returns how many it made. Runs as its owner, because the
-- service may not create tables. ATTACH, unlike CREATE … PARTITION OF, does not stop those who write to the parent.
-- +goose StatementBegin
CREATE FUNCTION create_ledger_partitions() RETURNS integer
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
	parent text;
	part   text;
	month  timestamptz;
	made   integer := 0;
BEGIN
	PERFORM pg_advisory_xact_lock(hashtext('create_ledger_partitions'));
	FOREACH parent IN ARRAY ARRAY['transactions', 'postings'] LOOP
		FOR ahead IN 0..3 LOOP
			month := date_trunc('month', now()) + make_interval(months => ahead);
			part := parent || '_' || to_char(month, 'YYYY_MM');
			CONTINUE WHEN to_regclass('public.' || part) IS NOT NULL;
			EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', part, parent);
			EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
				parent, part, month, month + interval '1 month');
			EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON public.%I FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_append_only()',
				parent || '_no_truncate', part);
			made := made + 1;
		END LOOP;
	END LOOP;
	RETURN made;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION create_ledger_partitions() FROM PUBLIC;
REVOKE ALL ON FUNCTION ledger_append_only() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION create_ledger_partitions() TO transactions_app;
SELECT create_ledger_partitions();

-- What the service may change. Transactions and postings get neither UPDATE nor DELETE.
GRANT UPDATE (status, debits_minor, credits_minor, pending_debits_minor, pending_credits_minor, over_cap_minor, minimum_minor, maximum_minor, sequence, last_recorded_at)
	ON accounts TO transactions_app;
GRANT UPDATE (status, transaction_id, outcome) ON ledger_references TO transactions_app;
GRANT UPDATE (captured_minor, released_minor, lines, status) ON holds TO transactions_app;
