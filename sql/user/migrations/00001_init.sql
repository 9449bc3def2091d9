-- +goose Up
-- Personal data is sealed from the first row; what is looked up by equality has a blind index beside it.

CREATE TABLE users (
    id           uuid        PRIMARY KEY,
    phone_sealed bytea       NOT NULL,
    phone_index  bytea       NOT NULL,
    email_sealed bytea,
    name_sealed  bytea, -- from the verified identity, absent before
    country      text        NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    language     text        NOT NULL,
    role         text        NOT NULL CHECK (role IN ('customer', 'admin')),
    status       text        NOT NULL CHECK (status IN ('active', 'suspended')),
    kyc_status   text        NOT NULL CHECK (kyc_status IN ('none', 'pending', 'review', 'verified', 'rejected')),
    tier         integer     NOT NULL CHECK (tier BETWEEN 0 AND 3),
    version      bigint      NOT NULL DEFAULT 1 CHECK (version > 0),
    pin_sealed   bytea       NOT NULL, -- an argon2id string, sealed as well: 10,000 PINs are soon tried on a stolen copy
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_phone_once UNIQUE (phone_index),
    CONSTRAINT users_tier_needs_kyc CHECK (tier = 0 OR kyc_status = 'verified')
);

-- Tries of a PIN, by phone and not by customer: a phone that nobody registered locks like any other, so a lock tells nothing.
CREATE TABLE pin_attempts (
    phone_index  bytea       PRIMARY KEY,
    tries        integer     NOT NULL CHECK (tries BETWEEN 0 AND 5),
    locks        integer     NOT NULL CHECK (locks >= 0),
    locked_until timestamptz,
    updated_at   timestamptz NOT NULL
);
CREATE INDEX pin_attempts_updated ON pin_attempts (updated_at);

CREATE TABLE devices (
    user_id      uuid        NOT NULL REFERENCES users (id),
    device_index bytea       NOT NULL,
    bound_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, device_index)
);

CREATE TABLE otp_challenges (
    id           uuid        PRIMARY KEY,
    purpose      text        NOT NULL CHECK (purpose IN ('registration', 'login', 'pin_reset')),
    phone_sealed bytea       NOT NULL,
    phone_index  bytea       NOT NULL,
    country      text        NOT NULL DEFAULT '',
    language     text        NOT NULL,
    user_id      uuid        REFERENCES users (id), -- absent for a registration, and for a login of an unknown phone
    device_index bytea,
    code_sealed  bytea       NOT NULL,
    tries        integer     NOT NULL DEFAULT 0 CHECK (tries BETWEEN 0 AND 5),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    consumed_at  timestamptz
);
CREATE INDEX otp_challenges_phone ON otp_challenges (phone_index, created_at);
CREATE INDEX otp_challenges_expires ON otp_challenges (expires_at);

-- A session is the family of its refresh tokens.
CREATE TABLE sessions (
    id            uuid        PRIMARY KEY,
    user_id       uuid        NOT NULL REFERENCES users (id),
    device_index  bytea       NOT NULL,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    revoked_at    timestamptz,
    revoke_reason text        NOT NULL DEFAULT ''
);
CREATE INDEX sessions_live ON sessions (user_id) WHERE revoked_at IS NULL;
CREATE INDEX sessions_expires ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    hash           bytea       PRIMARY KEY, -- SHA-256 of 256 random bits: there is nothing to guess
    session_id     uuid        NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    created_at     timestamptz NOT NULL,
    used_at        timestamptz,
    used_by        bytea,                   -- SHA-256 of the Idempotency-Key that spent it
    successor_hash bytea,
    CONSTRAINT refresh_tokens_spent CHECK ((used_at IS NULL) = (successor_hash IS NULL) AND (used_at IS NULL) = (used_by IS NULL))
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

CREATE TABLE revocations (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text        NOT NULL CHECK (kind IN ('session')),
    subject_id uuid        NOT NULL,
    revoked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX revocations_time ON revocations (revoked_at);

CREATE TABLE kyc_verifications (
    id                uuid        PRIMARY KEY,
    user_id           uuid        NOT NULL REFERENCES users (id),
    status            text        NOT NULL CHECK (status IN ('pending', 'review', 'verified', 'rejected')),
    reason_code       text        NOT NULL DEFAULT '',
    country           text        NOT NULL,
    id_type           text        NOT NULL,
    id_index          bytea       NOT NULL,
    submission_sealed bytea       NOT NULL,
    result_sealed     bytea,
    consent_version   text        NOT NULL,
    attempt           integer     NOT NULL DEFAULT 1 CHECK (attempt > 0), -- one job of the provider per attempt
    sent_at           timestamptz,                                        -- the attempt was accepted
    submitted_at      timestamptz NOT NULL,
    decided_at        timestamptz,
    decided_by        uuid,
    CONSTRAINT kyc_verifications_decided CHECK ((status IN ('verified', 'rejected')) = (decided_at IS NOT NULL))
);
CREATE UNIQUE INDEX kyc_verifications_one_open ON kyc_verifications (user_id) WHERE status IN ('pending', 'review');
-- One document, one verified customer.
CREATE UNIQUE INDEX kyc_verifications_identity_once ON kyc_verifications (id_index) WHERE status = 'verified';
CREATE INDEX kyc_verifications_user ON kyc_verifications (user_id, submitted_at);
CREATE INDEX kyc_verifications_review ON kyc_verifications (id) WHERE status = 'review';

CREATE TABLE kyc_callbacks (
    id          uuid        PRIMARY KEY,
    kyc_id      uuid        NOT NULL REFERENCES kyc_verifications (id),
    body_sealed bytea       NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX kyc_callbacks_kyc ON kyc_callbacks (kyc_id);

GRANT UPDATE ON users, pin_attempts, otp_challenges, sessions, refresh_tokens, kyc_verifications TO user_app;
GRANT DELETE ON pin_attempts, otp_challenges, sessions, refresh_tokens, revocations TO user_app;
