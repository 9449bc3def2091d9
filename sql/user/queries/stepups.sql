-- name: SpendStepUp :exec
INSERT INTO step_ups (jti, expires_at) VALUES ($1, $2);

-- name: SweepStepUps :execrows
DELETE FROM step_ups WHERE jti IN (SELECT s.jti FROM step_ups s WHERE s.expires_at < sqlc.arg(before) LIMIT 1000);
