-- +goose Up

-- The session that was shown the secret: only it may confirm it. Without one, whoever had begun begins again.
DELETE FROM totp_factors WHERE confirmed_at IS NULL;
ALTER TABLE totp_factors ADD COLUMN session_id uuid;
