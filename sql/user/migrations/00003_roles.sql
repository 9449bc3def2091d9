-- +goose Up

-- Staff have roles of their own, and an authenticator beside the PIN.
ALTER TABLE users DROP CONSTRAINT users_role_check;
ALTER TABLE users ADD CONSTRAINT users_role_check
    CHECK (role IN ('customer', 'agent', 'support', 'compliance', 'finance', 'config', 'admin'));
CREATE INDEX users_staff ON users (id) WHERE role NOT IN ('customer', 'agent');

-- RFC 6238. Whoever had no row before this table signs in to set one up.
CREATE TABLE totp_factors (
    user_id       uuid        PRIMARY KEY REFERENCES users (id),
    secret_sealed bytea       NOT NULL,
    created_at    timestamptz NOT NULL,
    confirmed_at  timestamptz,               -- absent: shown, and not used yet
    last_step     bigint      NOT NULL DEFAULT 0 -- time step of the newest code that was taken: each works once
);
GRANT UPDATE, DELETE ON totp_factors TO user_app;

-- What a session was opened with beside the PIN, and when it ends unless it is refreshed. A session of staff from before has neither: it has
-- no right of its role, and cannot be refreshed.
ALTER TABLE sessions
    ADD COLUMN factor     text NOT NULL DEFAULT '' CHECK (factor IN ('', 'totp')),
    ADD COLUMN idle_until timestamptz;

-- What the operator did alone with the command line where two people were needed; rows are only ever added.
CREATE TABLE break_glass_uses (
    id            uuid        PRIMARY KEY,
    action        text        NOT NULL,
    user_id       uuid        NOT NULL REFERENCES users (id),
    reason_sealed bytea       NOT NULL,
    used_at       timestamptz NOT NULL
);
CREATE INDEX break_glass_uses_time ON break_glass_uses (used_at);
