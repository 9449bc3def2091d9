-- name: VerifyCustomer :one
-- Tier and country of a verified identity. An older version tells at most the country, where no event has told it before; else no row
-- comes back.
INSERT INTO customers (user_id, status, status_version, tier, country, version, updated_at)
VALUES (@user_id, 'active', -1, @tier, @country, @version, @at)
ON CONFLICT (user_id) DO UPDATE SET
	tier = CASE WHEN customers.version < EXCLUDED.version THEN EXCLUDED.tier ELSE customers.tier END,
	country = EXCLUDED.country, version = GREATEST(customers.version, EXCLUDED.version), updated_at = EXCLUDED.updated_at
WHERE customers.version < EXCLUDED.version OR customers.country = ''
RETURNING user_id;

-- name: SetCustomerStatus :one
-- The status, and the tier unless a newer event told it. No row comes back when both are known from newer events.
INSERT INTO customers (user_id, status, status_version, tier, version, updated_at)
VALUES (@user_id, @status, @version, @tier, @version, @at)
ON CONFLICT (user_id) DO UPDATE SET
	status = CASE WHEN customers.status_version < EXCLUDED.status_version THEN EXCLUDED.status ELSE customers.status END,
	status_version = GREATEST(customers.status_version, EXCLUDED.status_version),
	tier = CASE WHEN customers.version < EXCLUDED.version THEN EXCLUDED.tier ELSE customers.tier END,
	version = GREATEST(customers.version, EXCLUDED.version),
	updated_at = EXCLUDED.updated_at
WHERE customers.status_version < EXCLUDED.status_version OR customers.version < EXCLUDED.version
RETURNING user_id;

-- name: GetCustomer :one
SELECT user_id, status, tier, country, version FROM customers WHERE user_id = $1;
