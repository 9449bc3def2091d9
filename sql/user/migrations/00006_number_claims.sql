-- +goose Up

-- A number that changed hands is nobody's until somebody proves it again; its former holder keeps the account without one.
ALTER TABLE users
    ALTER COLUMN phone_sealed DROP NOT NULL,
    ALTER COLUMN phone_index DROP NOT NULL,
    ADD CONSTRAINT users_phone_whole CHECK ((phone_sealed IS NULL) = (phone_index IS NULL));

-- Somebody proved, on a device that is not the holder's, that they receive what is sent to a customer's number.
CREATE TABLE number_claims (
    id           uuid        PRIMARY KEY,
    user_id      uuid        NOT NULL REFERENCES users (id), -- the holder when the case was opened
    phone_sealed bytea       NOT NULL,
    phone_index  bytea       NOT NULL,
    state        text        NOT NULL CHECK (state IN ('open', 'disputed', 'released', 'kept')),
    reason       text        NOT NULL DEFAULT '' CHECK (reason IN ('', 'rejected', 'suspended', 'given_up', 'silence', 'decided')),
    opened_at    timestamptz NOT NULL,
    answered_at  timestamptz,           -- when the holder answered
    closed_at    timestamptz,
    decided_by   uuid,                  -- who approved compliance's decision
    CONSTRAINT number_claims_closed CHECK ((state IN ('released', 'kept')) = (closed_at IS NOT NULL)),
    CONSTRAINT number_claims_decided CHECK ((reason = 'decided') = (decided_by IS NOT NULL)),
    CONSTRAINT number_claims_open CHECK ((state = 'open') = (reason = ''))
);
-- One case at a time, of a number and of a holder: the second is right also while keys of indexes are rotated.
CREATE UNIQUE INDEX number_claims_number_once ON number_claims (phone_index) WHERE state IN ('open', 'disputed');
CREATE UNIQUE INDEX number_claims_holder_once ON number_claims (user_id) WHERE state IN ('open', 'disputed');
CREATE INDEX number_claims_user ON number_claims (user_id, id);
CREATE INDEX number_claims_state ON number_claims (state, id);
-- Former holders, who sign in on their own devices with the number that they had.
CREATE INDEX number_claims_released ON number_claims (phone_index, id) WHERE state = 'released';

-- Approvals by PIN that were used: each works once.
CREATE TABLE step_ups (
    jti        text        CONSTRAINT step_ups_once PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX step_ups_expires ON step_ups (expires_at);

GRANT UPDATE (state, reason, answered_at, closed_at, decided_by) ON number_claims TO user_app;
GRANT DELETE ON step_ups TO user_app;
