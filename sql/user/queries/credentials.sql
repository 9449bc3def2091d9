-- name: NoteCredentialChange :exec
INSERT INTO credential_changes AS c (user_id, changed_at) VALUES (sqlc.arg(user_id), sqlc.arg(now))
ON CONFLICT (user_id) DO UPDATE SET changed_at = greatest(c.changed_at, EXCLUDED.changed_at);

-- name: CredentialsChanged :many
-- When a customer's credentials changed: the last time of those that have a row of their own, and each device.
SELECT c.changed_at FROM credential_changes c WHERE c.user_id = sqlc.arg(user_id)
UNION ALL SELECT d.bound_at FROM devices d WHERE d.user_id = sqlc.arg(user_id);
