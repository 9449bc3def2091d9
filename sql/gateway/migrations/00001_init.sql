-- +goose Up
CREATE TABLE api_keys (
    id         uuid PRIMARY KEY,
    name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    hint       text NOT NULL,
    -- SHA-256 of the key, which holds 256 random bits; the key itself is stored nowhere.
    hash       bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes     text[] NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 20),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz CHECK (expires_at > created_at),
    revoked_at timestamptz
);

-- The set that gateways hold in memory.
CREATE INDEX api_keys_live ON api_keys (id) WHERE revoked_at IS NULL;

GRANT UPDATE (revoked_at) ON api_keys TO gateway_app;
