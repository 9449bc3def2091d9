-- +goose Up
-- A deposit by Paystack is what its last transition made of it, as a withdrawal is. Its id is Paystack's reference.
CREATE TABLE deposits (
	id             uuid        PRIMARY KEY,
	idempotency_id uuid        NOT NULL, -- of the request, whose answer waits for the page's address
	user_id        uuid        NOT NULL,
	wallet_id      uuid        NOT NULL,
	channel        text        NOT NULL CHECK (channel IN ('page', 'mpesa')),
	phone_sealed   bytea,                -- that is asked to pay
	currency       text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
	amount_minor   bigint      NOT NULL CHECK (amount_minor > 0),
	fee_minor      bigint      NOT NULL CHECK (fee_minor >= 0),
	excise_minor   bigint      NOT NULL CHECK (excise_minor >= 0),
	tariff_version text        NOT NULL,
	status         text        NOT NULL,
	seq            integer     NOT NULL CHECK (seq > 0), -- of its last transition
	failure_code   text        NOT NULL DEFAULT '',
	checkout_url   text,
	display_text   text,
	provider_id    text,        -- Paystack's number of the payment, once money came
	receipt        text,        -- the operator's
	came_minor     bigint      CHECK (came_minor > 0), -- what came, in the currency of the deposit
	rail_fee_minor bigint      CHECK (rail_fee_minor >= 0), -- what Paystack keeps of it
	asked          integer     NOT NULL DEFAULT 0 CHECK (asked >= 0),
	first_sent_at  timestamptz, -- committed before the first byte leaves
	created_at     timestamptz NOT NULL,
	updated_at     timestamptz NOT NULL,
	CONSTRAINT deposits_leave_something CHECK (fee_minor + excise_minor < amount_minor),
	CONSTRAINT deposits_paid CHECK (status <> 'paid' OR (failure_code = '' AND came_minor = amount_minor AND provider_id IS NOT NULL)),
	CONSTRAINT deposits_sent CHECK (status NOT IN ('requested', 'waiting', 'paid', 'expired', 'broken') OR first_sent_at IS NOT NULL),
	CHECK ((channel = 'mpesa') = (phone_sealed IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX deposits_user ON deposits (user_id, id DESC);
CREATE INDEX deposits_status ON deposits (status, id DESC);

CREATE TABLE deposit_transitions (
	deposit_id            uuid        NOT NULL REFERENCES deposits,
	seq                   integer     NOT NULL,
	previous_seq          integer     GENERATED ALWAYS AS (CASE WHEN seq > 1 THEN seq - 1 END) STORED,
	from_status           text,
	to_status             text        NOT NULL,
	reason                text        NOT NULL DEFAULT '',
	evidence              text        NOT NULL CHECK (evidence IN ('request', 'limit', 'send', 'answer', 'verify', 'silence')),
	at                    timestamptz NOT NULL,
	ledger_step           text        NOT NULL CHECK (ledger_step IN ('', 'credit', 'suspense')),
	limit_step            text        NOT NULL CHECK (limit_step IN ('', 'commit', 'release')),
	booked                text        NOT NULL DEFAULT '' CHECK (booked IN ('', 'nothing', 'wallet', 'suspense')),
	ledger_transaction_id uuid,
	done_at               timestamptz,
	PRIMARY KEY (deposit_id, seq),
	CONSTRAINT deposit_transitions_end UNIQUE (deposit_id, seq, to_status),
	CONSTRAINT deposit_transitions_chain FOREIGN KEY (deposit_id, previous_seq, from_status)
		REFERENCES deposit_transitions (deposit_id, seq, to_status),
	CONSTRAINT deposit_transitions_first CHECK ((seq = 1) = (from_status IS NULL) AND seq > 0),
	CONSTRAINT deposit_transitions_legal CHECK (CASE coalesce(from_status, '')
		WHEN ''          THEN to_status = 'stored'
		WHEN 'stored'    THEN to_status IN ('requested', 'failed')
		WHEN 'requested' THEN to_status IN ('waiting', 'paid', 'failed', 'expired', 'broken')
		WHEN 'waiting'   THEN to_status IN ('paid', 'failed', 'expired', 'broken')
		WHEN 'failed'    THEN to_status IN ('paid', 'broken')
		WHEN 'expired'   THEN to_status IN ('paid', 'broken')
		ELSE false END),
	CONSTRAINT deposit_transitions_done CHECK (done_at IS NOT NULL OR ledger_step <> '' OR limit_step <> '')
);
CREATE INDEX deposit_transitions_due ON deposit_transitions (at) WHERE done_at IS NULL;
-- Money comes once.
CREATE UNIQUE INDEX deposit_transitions_came_once ON deposit_transitions (deposit_id) WHERE to_status IN ('paid', 'broken');

ALTER TABLE deposits ADD CONSTRAINT deposits_last_transition FOREIGN KEY (id, seq, status)
	REFERENCES deposit_transitions (deposit_id, seq, to_status) DEFERRABLE INITIALLY DEFERRED;

-- What Paystack says of a payment that is not what was asked for.
CREATE TABLE deposit_breaks (
	deposit_id   uuid        NOT NULL REFERENCES deposits,
	kind         text        NOT NULL CHECK (kind IN ('amount', 'currency', 'domain')),
	amount_minor bigint      NOT NULL,
	currency     text        NOT NULL,
	at           timestamptz NOT NULL,
	PRIMARY KEY (deposit_id, kind)
);

GRANT UPDATE (status, seq, failure_code, checkout_url, display_text, provider_id, receipt, came_minor, rail_fee_minor, asked, first_sent_at, updated_at)
	ON deposits TO banking_app;
GRANT UPDATE (booked, ledger_transaction_id, done_at) ON deposit_transitions TO banking_app;
