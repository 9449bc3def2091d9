-- +goose Up

-- Somebody without phone and PIN proved a number and showed the document of an account. The id is the challenge's.
CREATE TABLE recoveries (
    id                uuid        PRIMARY KEY,
    state             text        NOT NULL
        CHECK (state IN ('checking', 'checked', 'cooling', 'applied', 'cancelled', 'failed', 'refused', 'expired')),
    reason_code       text        NOT NULL DEFAULT '',
    user_id           uuid        REFERENCES users (id), -- absent until the document was found to be a customer's
    phone_sealed      bytea       NOT NULL,              -- the number to be
    phone_country     text        NOT NULL,
    country           text        NOT NULL,              -- of the document
    id_type           text        NOT NULL,
    id_index          bytea       NOT NULL,
    submission_sealed bytea       NOT NULL,
    result_sealed     bytea,
    consent_version   text        NOT NULL,
    pin_sealed        bytea,                             -- the hash to be, sealed; gone once it is the customer's or nobody's
    device_index      bytea       NOT NULL,
    token_hash        bytea       NOT NULL,              -- SHA-256 of 256 bits that nobody can guess
    attempt           integer     NOT NULL DEFAULT 1 CHECK (attempt > 0),
    sent_at           timestamptz,
    created_at        timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,              -- without a decision by then it has ended
    applies_at        timestamptz,
    closed_at         timestamptz,
    CONSTRAINT recoveries_closed CHECK ((state IN ('checking', 'checked', 'cooling')) = (closed_at IS NULL)
        AND (closed_at IS NULL) = (pin_sealed IS NOT NULL)),
    CONSTRAINT recoveries_known CHECK (user_id IS NOT NULL OR state IN ('checking', 'refused', 'expired')),
    CONSTRAINT recoveries_cooling CHECK ((state IN ('cooling', 'applied', 'cancelled', 'failed')) = (applies_at IS NOT NULL))
);
CREATE UNIQUE INDEX recoveries_one_cooling ON recoveries (user_id) WHERE state = 'cooling';
CREATE INDEX recoveries_state ON recoveries (state, id);
CREATE INDEX recoveries_user ON recoveries (user_id, id);
CREATE INDEX recoveries_expires ON recoveries (expires_at) WHERE state IN ('checking', 'checked');

CREATE TABLE recovery_callbacks (
    id          uuid        PRIMARY KEY,
    recovery_id uuid        NOT NULL REFERENCES recoveries (id),
    body_sealed bytea       NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE INDEX recovery_callbacks_recovery ON recovery_callbacks (recovery_id);

GRANT UPDATE (state, reason_code, user_id, result_sealed, pin_sealed, attempt, sent_at, applies_at, closed_at) ON recoveries TO user_app;
GRANT DELETE ON devices TO user_app;
