-- +goose Up
-- Personal data (whose phone, whose name) is sealed from the first row.

-- What a withdrawal would cost, pinned for five minutes.
CREATE TABLE withdrawal_quotes (
	id                 uuid        PRIMARY KEY,
	user_id            uuid        NOT NULL,
	wallet_id          uuid        NOT NULL,
	rail               text        NOT NULL CHECK (rail IN ('mpesa')),
	destination_sealed bytea       NOT NULL, -- an E.164 number
	name_sealed        bytea,                -- masked, absent where nobody knows it
	currency           text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
	amount_minor       bigint      NOT NULL CHECK (amount_minor > 0),
	fee_minor          bigint      NOT NULL CHECK (fee_minor >= 0),
	excise_minor       bigint      NOT NULL CHECK (excise_minor >= 0),
	tariff_version     text        NOT NULL,
	created_at         timestamptz NOT NULL,
	expires_at         timestamptz NOT NULL
);
CREATE INDEX withdrawal_quotes_expires ON withdrawal_quotes (expires_at);

-- A withdrawal is what its last transition made of it: the two are written together, and the foreign key below holds them together.
CREATE TABLE withdrawals (
	id                 uuid        PRIMARY KEY,
	quote_id           uuid        NOT NULL CONSTRAINT withdrawals_quote_once UNIQUE,
	user_id            uuid        NOT NULL,
	wallet_id          uuid        NOT NULL,
	rail               text        NOT NULL CHECK (rail IN ('mpesa')),
	destination_sealed bytea       NOT NULL,
	name_sealed        bytea,
	currency           text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
	amount_minor       bigint      NOT NULL CHECK (amount_minor > 0),
	fee_minor          bigint      NOT NULL CHECK (fee_minor >= 0),
	excise_minor       bigint      NOT NULL CHECK (excise_minor >= 0),
	client_reference   text,
	status             text        NOT NULL,
	seq                integer     NOT NULL CHECK (seq > 0), -- of its last transition
	failure_code       text        NOT NULL DEFAULT '',
	hold_id            uuid,        -- the ledger's, once it is known
	receipt            text,        -- the rail's, once it is paid
	asked              integer     NOT NULL DEFAULT 0 CHECK (asked >= 0), -- how often the rail was asked, resends included
	first_sent_at      timestamptz, -- committed before the first byte leaves
	created_at         timestamptz NOT NULL,
	updated_at         timestamptz NOT NULL,
	CONSTRAINT withdrawals_receipt_once UNIQUE (rail, receipt),
	CONSTRAINT withdrawals_paid_has_no_failure CHECK (status <> 'paid' OR failure_code = ''),
	CONSTRAINT withdrawals_held CHECK (status NOT IN ('held', 'requested', 'accepted', 'unknown', 'in_doubt', 'paid', 'returned', 'reversed')
		OR hold_id IS NOT NULL),
	CONSTRAINT withdrawals_sent CHECK (status NOT IN ('requested', 'accepted', 'unknown', 'in_doubt', 'paid', 'returned', 'reversed')
		OR first_sent_at IS NOT NULL)
) WITH (fillfactor = 70);
CREATE INDEX withdrawals_user ON withdrawals (user_id, id DESC);
CREATE INDEX withdrawals_reference ON withdrawals (user_id, client_reference, id DESC) WHERE client_reference IS NOT NULL;
CREATE INDEX withdrawals_open ON withdrawals (status, id) WHERE status IN ('stored', 'held', 'requested', 'accepted', 'unknown', 'in_doubt');

-- Every transition that ever was. One that the machine does not have cannot be written, nor one that does not begin where the last ended.
-- What follows at the ledger and at the limits is part of the row, and done when done_at says so.
CREATE TABLE withdrawal_transitions (
	withdrawal_id         uuid        NOT NULL REFERENCES withdrawals,
	seq                   integer     NOT NULL,
	previous_seq          integer     GENERATED ALWAYS AS (CASE WHEN seq > 1 THEN seq - 1 END) STORED,
	from_status           text,
	to_status             text        NOT NULL,
	reason                text        NOT NULL DEFAULT '',
	evidence              text        NOT NULL CHECK (evidence IN ('request', 'limit', 'ledger', 'customer', 'send', 'answer', 'result',
		'status', 'silence', 'people')),
	evidence_id           uuid,        -- of the message, request or approval that shows it
	at                    timestamptz NOT NULL,
	ledger_step           text        NOT NULL CHECK (ledger_step IN ('', 'capture', 'release', 'doubt', 'clear', 'return', 'late', 'undo')),
	limit_step            text        NOT NULL CHECK (limit_step IN ('', 'commit', 'release')),
	booked                text        NOT NULL DEFAULT '' CHECK (booked IN ('', 'nothing', 'wallet', 'in_doubt', 'suspense', 'receivable')),
	ledger_transaction_id uuid,
	done_at               timestamptz, -- at once where nothing follows
	PRIMARY KEY (withdrawal_id, seq),
	CONSTRAINT withdrawal_transitions_end UNIQUE (withdrawal_id, seq, to_status),
	CONSTRAINT withdrawal_transitions_chain FOREIGN KEY (withdrawal_id, previous_seq, from_status)
		REFERENCES withdrawal_transitions (withdrawal_id, seq, to_status),
	CONSTRAINT withdrawal_transitions_first CHECK ((seq = 1) = (from_status IS NULL) AND seq > 0),
	CONSTRAINT withdrawal_transitions_legal CHECK (CASE coalesce(from_status, '')
		WHEN ''          THEN to_status = 'stored'
		WHEN 'stored'    THEN to_status IN ('held', 'failed', 'cancelled')
		WHEN 'held'      THEN to_status IN ('requested', 'failed', 'cancelled')
		WHEN 'requested' THEN to_status IN ('accepted', 'unknown', 'paid', 'failed')
		WHEN 'accepted'  THEN to_status IN ('unknown', 'in_doubt', 'paid', 'failed')
		WHEN 'unknown'   THEN to_status IN ('accepted', 'in_doubt', 'paid', 'failed')
		WHEN 'in_doubt'  THEN to_status IN ('paid', 'returned')
		WHEN 'failed'    THEN to_status = 'paid'
		WHEN 'returned'  THEN to_status = 'paid'
		WHEN 'paid'      THEN to_status = 'reversed'
		ELSE false END),
	CONSTRAINT withdrawal_transitions_done CHECK (done_at IS NOT NULL OR ledger_step <> '' OR limit_step <> '')
);
CREATE INDEX withdrawal_transitions_due ON withdrawal_transitions (at) WHERE done_at IS NULL;

ALTER TABLE withdrawals ADD CONSTRAINT withdrawals_last_transition FOREIGN KEY (id, seq, status)
	REFERENCES withdrawal_transitions (withdrawal_id, seq, to_status) DEFERRABLE INITIALLY DEFERRED;

-- What was sent to a rail, committed before the first byte left. A result counts only for one of these, and once.
CREATE TABLE rail_requests (
	id              uuid        PRIMARY KEY,
	withdrawal_id   uuid        NOT NULL REFERENCES withdrawals,
	kind            text        NOT NULL CHECK (kind IN ('pay', 'status')),
	sent_at         timestamptz NOT NULL,
	conversation_id text,       -- the rail's, once it has answered
	answer          text        NOT NULL DEFAULT '' CHECK (answer IN ('', 'accepted', 'refused', 'lost')),
	answered_at     timestamptz,
	closed_at       timestamptz -- a result was counted: the address is used up
);
CREATE UNIQUE INDEX rail_requests_pay_once ON rail_requests (withdrawal_id) WHERE kind = 'pay';
CREATE INDEX rail_requests_withdrawal ON rail_requests (withdrawal_id);

-- What providers posted, sealed as it came, and what we made of it.
CREATE TABLE provider_events (
	id          uuid        PRIMARY KEY,
	kind        text        NOT NULL CHECK (kind IN ('result', 'timeout')),
	request_id  uuid        NOT NULL,
	body_hash   bytea       NOT NULL,
	body_sealed bytea       NOT NULL,
	source      text        NOT NULL CHECK (source IN ('known', 'stranger')),
	received_at timestamptz NOT NULL,
	judged_at   timestamptz,
	verdict     text,
	CONSTRAINT provider_events_once UNIQUE (request_id, kind, source, body_hash),
	CHECK ((judged_at IS NULL) = (verdict IS NULL))
);
CREATE INDEX provider_events_unjudged ON provider_events (received_at) WHERE judged_at IS NULL;

-- A step-up token approves once.
CREATE TABLE step_ups (
	jti           text        CONSTRAINT step_ups_once PRIMARY KEY,
	withdrawal_id uuid        NOT NULL,
	expires_at    timestamptz NOT NULL
);
CREATE INDEX step_ups_expires ON step_ups (expires_at);

GRANT UPDATE (expires_at), DELETE ON withdrawal_quotes TO banking_app; -- a quote is locked while it is spent
GRANT DELETE ON step_ups TO banking_app;
GRANT UPDATE (status, seq, failure_code, hold_id, receipt, asked, first_sent_at, updated_at) ON withdrawals TO banking_app;
GRANT UPDATE (booked, ledger_transaction_id, done_at) ON withdrawal_transitions TO banking_app;
GRANT UPDATE (conversation_id, answer, answered_at, closed_at) ON rail_requests TO banking_app;
GRANT UPDATE (judged_at, verdict) ON provider_events TO banking_app;
