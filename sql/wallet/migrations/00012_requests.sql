-- +goose Up

-- A customer asks another for money. transfer_id is the payment that is under way or has paid it: while it is set, an open request can neither be
-- declined, withdrawn nor expire, and nothing else can pay it. A payment that fails gives the request back.
CREATE TABLE payment_requests (
	id                    uuid        PRIMARY KEY,
	requester_id          uuid        NOT NULL,
	wallet_id             uuid        NOT NULL REFERENCES wallets, -- where the money goes
	payer_id              uuid        NOT NULL,
	requester_name_sealed bytea, -- masked, for the payer
	payer_name_sealed     bytea, -- masked, for the requester
	currency              text        NOT NULL,
	amount_minor          bigint      NOT NULL CHECK (amount_minor > 0),
	note_sealed           bytea,
	status                text        NOT NULL CHECK (status IN ('open', 'paid', 'declined', 'cancelled', 'expired')),
	transfer_id           uuid        CONSTRAINT payment_requests_one_payment UNIQUE REFERENCES transfers,
	reminders             smallint    NOT NULL DEFAULT 0 CHECK (reminders BETWEEN 0 AND 3),
	asked_at              timestamptz NOT NULL, -- or last reminded
	created_at            timestamptz NOT NULL,
	expires_at            timestamptz NOT NULL CHECK (expires_at > created_at),
	closed_at             timestamptz,
	CHECK (requester_id <> payer_id),
	CHECK ((status = 'open') = (closed_at IS NULL)),
	CHECK (CASE status WHEN 'open' THEN true WHEN 'paid' THEN transfer_id IS NOT NULL ELSE transfer_id IS NULL END)
);
CREATE INDEX payment_requests_requester ON payment_requests (requester_id, id DESC);
CREATE INDEX payment_requests_payer ON payment_requests (payer_id, id DESC);
CREATE INDEX payment_requests_open ON payment_requests (expires_at) WHERE status = 'open';

-- What has ended stays as it ended; the payment of an open request changes only through none.
-- +goose StatementBegin
CREATE FUNCTION check_payment_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.status <> 'open' THEN
		RAISE EXCEPTION 'payment request % has ended as %', OLD.id, OLD.status USING ERRCODE = 'restrict_violation';
	END IF;
	IF OLD.transfer_id IS NOT NULL AND NEW.transfer_id IS NOT NULL AND NEW.transfer_id <> OLD.transfer_id THEN
		RAISE EXCEPTION 'payment request % is being paid by another transfer', OLD.id USING ERRCODE = 'restrict_violation';
	END IF;
	IF OLD.transfer_id IS NULL AND NEW.status = 'paid' OR OLD.transfer_id IS NOT NULL AND NEW.status NOT IN ('open', 'paid') THEN
		RAISE EXCEPTION 'payment request % cannot become %', OLD.id, NEW.status USING ERRCODE = 'restrict_violation';
	END IF;
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER payment_requests_moves BEFORE UPDATE ON payment_requests FOR EACH ROW EXECUTE FUNCTION check_payment_request();

ALTER TABLE transfer_quotes ADD COLUMN payment_request_id uuid REFERENCES payment_requests;
ALTER TABLE transfers ADD COLUMN payment_request_id uuid REFERENCES payment_requests;

-- +goose StatementBegin
DO $$
DECLARE app text := regexp_replace(current_user, '_owner$', '_app');
BEGIN
	EXECUTE format('GRANT UPDATE (status, transfer_id, reminders, asked_at, closed_at) ON payment_requests TO %I', app);
END $$;
-- +goose StatementEnd
