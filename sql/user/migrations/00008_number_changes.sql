-- +goose Up

ALTER TABLE otp_challenges DROP CONSTRAINT otp_challenges_purpose_check;
ALTER TABLE otp_challenges ADD CONSTRAINT otp_challenges_purpose_check
    CHECK (purpose IN ('registration', 'login', 'pin_reset', 'number_change', 'recovery'));

-- A customer proved another number, approved the change with the PIN, and has a day in which any of their devices may stop it. The id is the
-- challenge's.
CREATE TABLE number_changes (
    id           uuid        PRIMARY KEY,
    user_id      uuid        NOT NULL REFERENCES users (id),
    phone_sealed bytea       NOT NULL, -- the number to be
    state        text        NOT NULL CHECK (state IN ('cooling', 'applied', 'cancelled', 'failed')),
    reason_code  text        NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL,
    applies_at   timestamptz NOT NULL,
    closed_at    timestamptz,
    CONSTRAINT number_changes_closed CHECK ((state = 'cooling') = (closed_at IS NULL)),
    CONSTRAINT number_changes_reason CHECK ((state IN ('cancelled', 'failed')) = (reason_code <> ''))
);
CREATE UNIQUE INDEX number_changes_one_open ON number_changes (user_id) WHERE state = 'cooling';
CREATE INDEX number_changes_user ON number_changes (user_id, id);
GRANT UPDATE (state, reason_code, closed_at) ON number_changes TO user_app;

-- Numbers that customers have just left: each is told once more. The sweep deletes them.
CREATE TABLE former_numbers (
    id           uuid        PRIMARY KEY,
    user_id      uuid        NOT NULL REFERENCES users (id),
    phone_sealed bytea       NOT NULL,
    left_at      timestamptz NOT NULL
);
CREATE INDEX former_numbers_left ON former_numbers (left_at);
GRANT DELETE ON former_numbers TO user_app;
