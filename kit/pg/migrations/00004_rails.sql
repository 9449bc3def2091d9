-- +goose Up
-- kit/rail: how well each operation of a payment rail works, and whether it may be used.
-- +goose StatementBegin
DO $$
DECLARE app text := regexp_replace(current_user, '_owner$', '_app');
BEGIN
	CREATE TABLE rails (
		operation    text        PRIMARY KEY,
		state        text        NOT NULL DEFAULT 'up' CHECK (state IN ('up', 'down', 'probing')),
		reason       text        NOT NULL DEFAULT '', -- a stable word
		since        timestamptz NOT NULL,
		asked        bigint      NOT NULL DEFAULT 0,  -- payments that wanted through while probing
		let_at       timestamptz,                     -- when one was let through
		switched_off boolean     NOT NULL DEFAULT false,
		switched_at  timestamptz,
		approval     uuid,                            -- of the last switch by hand
		CONSTRAINT rails_switched_by CHECK ((approval IS NULL) = (switched_at IS NULL) AND (NOT switched_off OR approval IS NOT NULL))
	);
	-- What became of payments; kept for an hour. What is the customer's own doing is not here.
	CREATE TABLE rail_outcomes (
		operation text        NOT NULL,
		at        timestamptz NOT NULL,
		good      boolean     NOT NULL,
		took_ms   bigint      NOT NULL CHECK (took_ms >= 0) -- from the request until the rail said its end
	);
	CREATE INDEX rail_outcomes_at ON rail_outcomes (operation, at);

	EXECUTE format('GRANT UPDATE (state, reason, since, asked, let_at, switched_off, switched_at, approval) ON rails TO %I', app);
	EXECUTE format('GRANT DELETE ON rail_outcomes TO %I', app);
END $$;
-- +goose StatementEnd
