-- +goose Up
-- kit/approve: changes that one person proposes and another decides. What is proposed and why is sealed; a decided row never changes.
-- +goose StatementBegin
DO $$
DECLARE app text := regexp_replace(current_user, '_owner$', '_app');
BEGIN
	CREATE TABLE approvals (
		id              uuid        PRIMARY KEY,
		action          text        NOT NULL,
		object_type     text        NOT NULL,
		object_id       text        NOT NULL,
		payload_sealed  bytea       NOT NULL,
		digest          text        NOT NULL, -- keyed hash of action, object and payload: what the checker has seen
		reason_sealed   bytea       NOT NULL,
		maker           uuid        NOT NULL,
		made_at         timestamptz NOT NULL,
		expires_at      timestamptz NOT NULL,
		state           text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'rejected', 'withdrawn', 'expired')),
		checker         uuid,
		decided_at      timestamptz,
		decision_sealed bytea, -- the words of who rejected it
		CONSTRAINT approvals_two_people CHECK (state NOT IN ('approved', 'rejected') OR checker <> maker),
		CONSTRAINT approvals_decided_by CHECK ((state IN ('approved', 'rejected')) = (checker IS NOT NULL)),
		CONSTRAINT approvals_decided_at CHECK ((state = 'open') = (decided_at IS NULL)),
		CONSTRAINT approvals_in_time CHECK (state <> 'approved' OR decided_at < expires_at)
	);
	CREATE UNIQUE INDEX approvals_one_open ON approvals (action, object_id) WHERE state = 'open';
	CREATE INDEX approvals_open ON approvals (expires_at) WHERE state = 'open';

	EXECUTE format('GRANT UPDATE (state, checker, decided_at, decision_sealed) ON approvals TO %I', app);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION approvals_decided_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.state <> 'open' OR NEW.state = 'open' THEN
		RAISE EXCEPTION 'an approval is decided once';
	END IF;
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER approvals_decided_once BEFORE UPDATE ON approvals FOR EACH ROW EXECUTE FUNCTION approvals_decided_once();
