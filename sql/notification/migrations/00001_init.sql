-- +goose Up
-- One row per message: one recipient, one channel, one cause. Personal data stands in `message` only, sealed.
CREATE TABLE notifications (
    id                  uuid PRIMARY KEY,
    source_event_id     uuid NOT NULL,
    -- The customer, or for a one-time code its challenge: a code may be for somebody who is not a customer yet.
    recipient_id        uuid NOT NULL,
    user_id             uuid,
    channel             text NOT NULL CHECK (channel IN ('sms', 'email')),
    template            text NOT NULL CHECK (template ~ '^[a-z][a-z0-9_]{0,63}$'),
    params              jsonb NOT NULL, -- ids, amounts and codes of the event; never names, phones or one-time codes
    state               text NOT NULL DEFAULT 'pending'
                        CHECK (state IN ('pending', 'sending', 'sent', 'delivered', 'failed', 'unknown')),
    reason_code         text CHECK (length(reason_code) BETWEEN 1 AND 64),
    attempts            integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    message             bytea,          -- sealed: subject and text as sent, a one-time code masked
    provider_message_id text CHECK (length(provider_message_id) BETWEEN 1 AND 256),
    occurred_at         timestamptz NOT NULL,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    sent_at             timestamptz,
    CONSTRAINT notifications_once UNIQUE (source_event_id, recipient_id, channel),
    CONSTRAINT notifications_recipient CHECK (user_id IS NULL OR user_id = recipient_id),
    CONSTRAINT notifications_otp_unowned CHECK (template <> 'otp' OR (user_id IS NULL AND channel = 'sms')),
    CONSTRAINT notifications_sent CHECK (state NOT IN ('sent', 'delivered') OR (provider_message_id IS NOT NULL AND sent_at IS NOT NULL)),
    CONSTRAINT notifications_failed CHECK (state <> 'failed' OR reason_code IS NOT NULL)
);

-- A customer's list, newest first: ids are UUIDv7.
CREATE INDEX notifications_user ON notifications (user_id, id DESC) WHERE user_id IS NOT NULL;
-- A delivery report finds its message.
CREATE UNIQUE INDEX notifications_provider_message ON notifications (channel, provider_message_id) WHERE provider_message_id IS NOT NULL;

-- The cause of a message never changes; only its fate does.
GRANT UPDATE (state, reason_code, attempts, message, provider_message_id, updated_at, sent_at) ON notifications TO notification_app;

-- Delivery reports as they came. A report without id or status is kept for an operator and has no effect.
CREATE TABLE delivery_reports (
    id                  uuid PRIMARY KEY,
    provider_message_id text CHECK (length(provider_message_id) BETWEEN 1 AND 128),
    status              text CHECK (length(status) BETWEEN 1 AND 64),
    body                bytea NOT NULL, -- sealed form
    outcome             text NOT NULL CHECK (outcome IN ('received', 'applied', 'ignored', 'unmatched', 'unreadable')),
    received_at         timestamptz NOT NULL,
    judged_at           timestamptz,
    -- NULLs differ from each other, so unreadable reports are all kept.
    CONSTRAINT delivery_reports_once UNIQUE (provider_message_id, status)
);

GRANT UPDATE (outcome, judged_at) ON delivery_reports TO notification_app;
