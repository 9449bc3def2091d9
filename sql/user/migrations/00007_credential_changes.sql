-- +goose Up

-- When a customer's PIN was replaced or the number changed, the last time. A device says itself when it was bound. No row: neither, or only
-- before this table.
CREATE TABLE credential_changes (
    user_id    uuid        PRIMARY KEY REFERENCES users (id),
    changed_at timestamptz NOT NULL
);
GRANT UPDATE (changed_at) ON credential_changes TO user_app;
