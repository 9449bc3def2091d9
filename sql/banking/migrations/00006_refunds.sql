-- +goose Up
-- A deposit that is given back, or a part of it, as two people decided. Paystack takes no reference of ours for it, so it is sent once.
CREATE TABLE refunds (
	id            uuid        PRIMARY KEY,
	deposit_id    uuid        NOT NULL REFERENCES deposits,
	approval_id   uuid        NOT NULL CONSTRAINT refunds_approved_once UNIQUE,
	user_id       uuid        NOT NULL,
	wallet_id     uuid        NOT NULL,
	currency      text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
	amount_minor  bigint      NOT NULL CHECK (amount_minor > 0),
	status        text        NOT NULL,
	seq           integer     NOT NULL CHECK (seq > 0), -- of its last transition
	failure_code  text        NOT NULL DEFAULT '',
	hold_id       uuid,
	provider_id   text        CONSTRAINT refunds_provider_once UNIQUE, -- Paystack's number of the refund
	asked         integer     NOT NULL DEFAULT 0 CHECK (asked >= 0),
	first_sent_at timestamptz, -- committed before the first byte leaves
	absent_at     timestamptz, -- when Paystack's list first did not have it, long after it was sent
	created_at    timestamptz NOT NULL,
	updated_at    timestamptz NOT NULL,
	CONSTRAINT refunds_held CHECK (status IN ('stored', 'failed') OR hold_id IS NOT NULL),
	CONSTRAINT refunds_sent CHECK (status IN ('stored', 'held', 'failed') OR first_sent_at IS NOT NULL)
) WITH (fillfactor = 70);
CREATE INDEX refunds_deposit ON refunds (deposit_id);
CREATE INDEX refunds_status ON refunds (status, id DESC);

CREATE TABLE refund_transitions (
	refund_id             uuid        NOT NULL REFERENCES refunds,
	seq                   integer     NOT NULL,
	previous_seq          integer     GENERATED ALWAYS AS (CASE WHEN seq > 1 THEN seq - 1 END) STORED,
	from_status           text,
	to_status             text        NOT NULL,
	reason                text        NOT NULL DEFAULT '',
	evidence              text        NOT NULL CHECK (evidence IN ('people', 'ledger', 'send', 'answer', 'verify', 'silence')),
	evidence_id           uuid,
	at                    timestamptz NOT NULL,
	ledger_step           text        NOT NULL CHECK (ledger_step IN ('', 'capture', 'release')),
	ledger_transaction_id uuid,
	done_at               timestamptz,
	PRIMARY KEY (refund_id, seq),
	CONSTRAINT refund_transitions_end UNIQUE (refund_id, seq, to_status),
	CONSTRAINT refund_transitions_chain FOREIGN KEY (refund_id, previous_seq, from_status)
		REFERENCES refund_transitions (refund_id, seq, to_status),
	CONSTRAINT refund_transitions_first CHECK ((seq = 1) = (from_status IS NULL) AND seq > 0),
	CONSTRAINT refund_transitions_legal CHECK (CASE coalesce(from_status, '')
		WHEN ''          THEN to_status = 'stored'
		WHEN 'stored'    THEN to_status IN ('held', 'failed')
		WHEN 'held'      THEN to_status = 'requested'
		WHEN 'requested' THEN to_status IN ('accepted', 'unknown', 'attention', 'processed', 'failed')
		WHEN 'accepted'  THEN to_status IN ('attention', 'processed', 'failed')
		WHEN 'unknown'   THEN to_status IN ('accepted', 'attention', 'processed', 'failed')
		WHEN 'attention' THEN to_status IN ('processed', 'failed')
		ELSE false END),
	CONSTRAINT refund_transitions_done CHECK (done_at IS NOT NULL OR ledger_step <> '')
);
CREATE INDEX refund_transitions_due ON refund_transitions (at) WHERE done_at IS NULL;

ALTER TABLE refunds ADD CONSTRAINT refunds_last_transition FOREIGN KEY (id, seq, status)
	REFERENCES refund_transitions (refund_id, seq, to_status) DEFERRABLE INITIALLY DEFERRED;

GRANT UPDATE (status, seq, failure_code, hold_id, provider_id, asked, first_sent_at, absent_at, updated_at) ON refunds TO banking_app;
GRANT UPDATE (ledger_transaction_id, done_at) ON refund_transitions TO banking_app;
