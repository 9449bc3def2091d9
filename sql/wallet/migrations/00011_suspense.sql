-- +goose Up

-- Money in suspense, one row per pay-in that fits no wallet, until it is somebody's or back with its payer. The payer and what they typed are
-- in the message that told of the payment, sealed.
CREATE TABLE suspense_items (
	id           uuid        PRIMARY KEY, -- of the deposit or the top-up
	source       text        NOT NULL CHECK (source IN ('deposit', 'topup')),
	why          text        NOT NULL CHECK (why IN ('no_owner', 'refused')), -- nobody's account, or the wallet could not take it
	currency     text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
	amount_minor bigint      NOT NULL CHECK (amount_minor > 0),
	status       text        NOT NULL,
	seq          integer     NOT NULL CHECK (seq > 0), -- of its last transition
	booked_at    timestamptz NOT NULL -- at suspense
) WITH (fillfactor = 70);
CREATE INDEX suspense_items_status ON suspense_items (status, id);
CREATE INDEX suspense_items_open ON suspense_items (booked_at) WHERE status IN ('open', 'matching', 'returning');

-- Every transition that ever was. One that the machine does not have cannot be written, nor one that does not begin where the last ended. A
-- return is certain before it is booked: done_at says when it was.
CREATE TABLE suspense_transitions (
	item_id               uuid        NOT NULL REFERENCES suspense_items,
	seq                   integer     NOT NULL,
	previous_seq          integer     GENERATED ALWAYS AS (CASE WHEN seq > 1 THEN seq - 1 END) STORED,
	from_status           text,
	to_status             text        NOT NULL,
	reason                text        NOT NULL DEFAULT '', -- a code: why it is open again
	words_sealed          bytea,                           -- why a person decided so
	evidence              text        NOT NULL CHECK (evidence IN ('credit', 'person', 'people', 'ledger', 'answer', 'result', 'status')),
	evidence_id           uuid,        -- of the person, the approval, the request or the message
	wallet_id             uuid        REFERENCES wallets, -- whose it is taken for
	receipt               text,        -- of the reversal
	ledger_transaction_id uuid,
	at                    timestamptz NOT NULL,
	done_at               timestamptz, -- at once where nothing follows at the ledger
	PRIMARY KEY (item_id, seq),
	CONSTRAINT suspense_transitions_end UNIQUE (item_id, seq, to_status),
	CONSTRAINT suspense_transitions_chain FOREIGN KEY (item_id, previous_seq, from_status)
		REFERENCES suspense_transitions (item_id, seq, to_status),
	CONSTRAINT suspense_transitions_first CHECK ((seq = 1) = (from_status IS NULL) AND seq > 0),
	CONSTRAINT suspense_transitions_legal CHECK (CASE coalesce(from_status, '')
		WHEN ''          THEN to_status = 'open'
		WHEN 'open'      THEN to_status IN ('matching', 'returning', 'returned')
		WHEN 'matching'  THEN to_status IN ('matched', 'open')
		WHEN 'returning' THEN to_status IN ('returned', 'open')
		ELSE false END),
	CONSTRAINT suspense_transitions_wallet CHECK ((to_status IN ('matching', 'matched')) = (wallet_id IS NOT NULL)),
	CONSTRAINT suspense_transitions_done CHECK (done_at IS NOT NULL OR to_status = 'returned'),
	CONSTRAINT suspense_transitions_booked CHECK ((ledger_transaction_id IS NOT NULL) = (to_status IN ('matched', 'returned') AND done_at IS NOT NULL))
);
ALTER TABLE suspense_items ADD CONSTRAINT suspense_items_last_transition FOREIGN KEY (id, seq, status)
	REFERENCES suspense_transitions (item_id, seq, to_status) DEFERRABLE INITIALLY DEFERRED;

-- What is credited to suspense becomes an item in the same transaction, whichever version of the service does it.
-- +goose StatementBegin
CREATE FUNCTION to_suspense(item uuid, from_table text, cause text, money text, minor bigint, at timestamptz) RETURNS void LANGUAGE sql AS $$
	INSERT INTO suspense_items (id, source, why, currency, amount_minor, status, seq, booked_at)
	VALUES (item, from_table, cause, money, minor, 'open', 1, at);
	INSERT INTO suspense_transitions (item_id, seq, to_status, evidence, at, done_at) VALUES (item, 1, 'open', 'credit', at, at);
$$;
CREATE FUNCTION deposit_to_suspense() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM to_suspense(NEW.id, 'deposit', CASE WHEN NEW.wallet_id IS NULL THEN 'no_owner' ELSE 'refused' END, NEW.currency, NEW.amount_minor,
		NEW.closed_at);
	RETURN NULL;
END $$;
CREATE FUNCTION topup_to_suspense() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM to_suspense(NEW.id, 'topup', 'refused', NEW.currency, NEW.amount_minor, NEW.updated_at);
	RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER deposit_to_suspense AFTER UPDATE OF credit ON deposits FOR EACH ROW
	WHEN (NEW.credit = 'suspense' AND OLD.credit <> 'suspense') EXECUTE FUNCTION deposit_to_suspense();
CREATE TRIGGER topup_to_suspense AFTER UPDATE OF credit ON topups FOR EACH ROW
	WHEN (NEW.credit = 'suspense' AND OLD.credit <> 'suspense') EXECUTE FUNCTION topup_to_suspense();

-- Those of before.
INSERT INTO suspense_items (id, source, why, currency, amount_minor, status, seq, booked_at)
SELECT id, 'deposit', CASE WHEN wallet_id IS NULL THEN 'no_owner' ELSE 'refused' END, currency, amount_minor, 'open', 1,
	coalesce(closed_at, created_at) FROM deposits WHERE credit = 'suspense'
UNION ALL
SELECT id, 'topup', 'refused', currency, amount_minor, 'open', 1, updated_at FROM topups WHERE credit = 'suspense';
INSERT INTO suspense_transitions (item_id, seq, to_status, evidence, at, done_at)
SELECT id, 1, 'open', 'credit', booked_at, booked_at FROM suspense_items;

-- What was asked of Safaricom, committed before the first byte left. A result counts only for one of these.
CREATE TABLE rail_requests (
	id              uuid        PRIMARY KEY,
	kind            text        NOT NULL CHECK (kind IN ('reversal', 'status')),
	item_id         uuid        REFERENCES suspense_items,
	about           uuid        REFERENCES rail_requests, -- of a question: the reversal
	seq             integer     NOT NULL DEFAULT 0, -- of the decision that it carries out
	named           text        NOT NULL DEFAULT '' CHECK (named IN ('', 'conversation', 'receipt')), -- what a question asks by
	sent_at         timestamptz NOT NULL,
	conversation_id text,       -- Safaricom's, once it has answered
	originator_id   text,       -- Safaricom's name of the order, by which it can be asked for
	answer          text        NOT NULL DEFAULT '' CHECK (answer IN ('', 'accepted', 'refused', 'busy', 'lost')),
	answered_at     timestamptz,
	outcome         text        NOT NULL DEFAULT '' CHECK (outcome IN ('', 'done', 'failed', 'standing')),
	reason          text        NOT NULL DEFAULT '',
	closed_at       timestamptz,
	CHECK ((outcome = '') = (closed_at IS NULL)),
	CHECK ((kind = 'status') = (about IS NOT NULL)),
	CHECK ((kind = 'status') = (named <> ''))
);
CREATE INDEX rail_requests_item ON rail_requests (item_id, sent_at);

-- What Safaricom posted about them, sealed as it came, and what we made of it.
CREATE TABLE rail_messages (
	id          uuid        PRIMARY KEY,
	kind        text        NOT NULL CHECK (kind IN ('result', 'timeout')),
	request_id  uuid        NOT NULL,
	body_hash   bytea       NOT NULL,
	body_sealed bytea       NOT NULL,
	source      text        NOT NULL CHECK (source IN ('known', 'stranger')),
	received_at timestamptz NOT NULL,
	judged_at   timestamptz,
	verdict     text,
	CONSTRAINT rail_messages_once UNIQUE (request_id, kind, source, body_hash),
	CHECK ((judged_at IS NULL) = (verdict IS NULL))
);

-- +goose StatementBegin
DO $$
DECLARE app text := regexp_replace(current_user, '_owner$', '_app');
BEGIN
	EXECUTE format('GRANT UPDATE (status, seq) ON suspense_items TO %I', app);
	EXECUTE format('GRANT UPDATE (ledger_transaction_id, done_at) ON suspense_transitions TO %I', app);
	EXECUTE format('GRANT UPDATE (conversation_id, originator_id, answer, answered_at, outcome, reason, closed_at) ON rail_requests TO %I', app);
	EXECUTE format('GRANT UPDATE (judged_at, verdict) ON rail_messages TO %I', app);
END $$;
-- +goose StatementEnd
