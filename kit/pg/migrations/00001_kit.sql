-- +goose Up
-- Tables that the kit's packages own in every service's database.

-- The role that the service runs as; its owner runs this file.
-- +goose StatementBegin
DO $$
DECLARE app text := regexp_replace(current_user, '_owner$', '_app');
BEGIN
	-- kit/outbox: events to publish. The id orders events of one key; rows commit out of order, so readers never ask for `id > last`.
	CREATE TABLE outbox (
		id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		event_id     uuid        NOT NULL UNIQUE,
		topic        text        NOT NULL,
		key          text        NOT NULL,
		payload      bytea       NOT NULL,
		created_at   timestamptz NOT NULL DEFAULT now(),
		published_at timestamptz
	);
	CREATE INDEX outbox_unpublished ON outbox (id) WHERE published_at IS NULL;
	CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;

	-- kit/event: events whose effect is in this database.
	CREATE TABLE inbox (
		consumer    text        NOT NULL,
		event_id    uuid        NOT NULL,
		received_at timestamptz NOT NULL DEFAULT now(),
		PRIMARY KEY (consumer, event_id)
	);
	CREATE INDEX inbox_received ON inbox (received_at);

	-- kit/idem: one row per idempotency key of a principal and operation. The result is sealed.
	CREATE TABLE idempotency_keys (
		id          uuid        PRIMARY KEY,
		principal   text        NOT NULL,
		operation   text        NOT NULL,
		key         text        NOT NULL,
		fingerprint bytea       NOT NULL,
		location    text        NOT NULL DEFAULT '',
		status      integer,
		result      bytea,
		created_at  timestamptz NOT NULL DEFAULT now(),
		finished_at timestamptz,
		CONSTRAINT idempotency_keys_once UNIQUE (principal, operation, key),
		CONSTRAINT idempotency_keys_finished CHECK ((status IS NULL) = (finished_at IS NULL))
	);
	CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

	-- kit/audit: who changed what. Rows are only ever added.
	CREATE TABLE audit_log (
		id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		at          timestamptz NOT NULL DEFAULT now(),
		actor       text        NOT NULL,
		on_behalf   text        NOT NULL DEFAULT '',
		operation   text        NOT NULL,
		action      text        NOT NULL,
		object_type text        NOT NULL,
		object_id   text        NOT NULL,
		request_id  text        NOT NULL DEFAULT '',
		detail      jsonb       NOT NULL DEFAULT '{}'
	);
	CREATE INDEX audit_log_object ON audit_log (object_type, object_id, id);

	EXECUTE format('GRANT UPDATE (published_at), DELETE ON outbox TO %I', app);
	EXECUTE format('GRANT DELETE ON inbox TO %I', app);
	EXECUTE format('GRANT UPDATE (status, result, location, finished_at), DELETE ON idempotency_keys TO %I', app);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION audit_log_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'audit_log is append-only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
	FOR EACH STATEMENT EXECUTE FUNCTION audit_log_append_only();
