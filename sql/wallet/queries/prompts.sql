-- name: AddPromptedPhone :exec
INSERT INTO prompted_phones (phone_index, recent, declined, updated_at) VALUES (@phone_index, '{}', 0, @at) ON CONFLICT (phone_index) DO NOTHING;

-- name: LockPromptedPhones :many
-- A number's row under each key that may have made its index.
SELECT phone_index, recent, declined, blocked_until FROM prompted_phones WHERE phone_index = ANY(@indexes::bytea[]) ORDER BY phone_index FOR UPDATE;

-- name: UpdatePromptedPhone :exec
UPDATE prompted_phones SET recent = @recent, declined = @declined, blocked_until = sqlc.narg(blocked_until), updated_at = @at
WHERE phone_index = @phone_index;

-- name: DeletePromptedPhones :exec
DELETE FROM prompted_phones WHERE phone_index = ANY(@indexes::bytea[]);

-- name: SweepPromptedPhones :execrows
DELETE FROM prompted_phones WHERE phone_index IN (SELECT p.phone_index FROM prompted_phones p WHERE p.updated_at < @before LIMIT 1000);
