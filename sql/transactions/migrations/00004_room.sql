-- +goose Up
-- Money above a maximum is freed as room appears, and "never" is NULL alone.

-- What looks for room looks at the few accounts that have such money. The predicate names no column that a posting changes, or each posting
-- would have to write to the index.
CREATE INDEX accounts_above_maximum ON accounts (id) WHERE over_cap_minor > 0;
CREATE INDEX holds_above_maximum ON holds (account_id, created_at, id) WHERE status = 'active' AND reason = 'over_cap';

-- Under which number the next release of a hold is sent: `<hold id>:room:<number>`. It is stored before it is sent, and grows when the outcome
-- is known, so that a release whose answer was lost is sent again as it was.
CREATE TABLE room_releases (
	hold_id uuid    PRIMARY KEY REFERENCES holds (id),
	number  integer NOT NULL DEFAULT 1 CHECK (number > 0)
);
GRANT UPDATE (number) ON room_releases TO transactions_app;

-- A hold until 1970-01-01T00:00:00Z was stored as one that never expires, while its leaf has the time. The row gets it where that makes the
-- leaf what was sealed (docs/ledger.md, The format: header, hold and outcome are the parts of a transaction that opens a hold); the ledger
-- then releases what is left of it. Leaves that were computed from the row later have no time, and neither has the row.
WITH held AS (
	SELECT h.id, t.salt, substring(coalesce(s.leaf_hashes, q.leaf_hashes) FROM 32 * t.batch_position + 1 FOR 32) AS leaf, ARRAY[
		'{"action":"hold","batch":' || t.batch_id || ',"batch_position":' || t.batch_position || ',"channel":"' || t.channel || '","id":"' || t.id || '"'
			|| coalesce(',"metadata_hash":"' || encode(t.metadata_hash, 'hex') || '"', '') || ',"postings":0,"recorded_at":"'
			|| to_char(t.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '","reference":"' || t.reference || '","type":"' || t.type || '"}',
		'{"account":"' || h.account_id || '","amount":' || h.amount_minor || ',"currency":"' || h.currency || '","expires_at":"1970-01-01T00:00:00.000000Z","lines":['
			|| (SELECT string_agg('{"amount":' || (l.value ->> 'amount') || ',"destination":"' || (l.value ->> 'destination') || '"}', ',' ORDER BY l.n)
				FROM jsonb_array_elements(h.lines) WITH ORDINALITY AS l (value, n)) || '],"reason":"requested"}',
		'{"balances":"' || encode(t.balances, 'hex') || '","hold_delta":' || t.hold_delta_minor || ',"hold_id":"' || t.id || '","request_hash":"'
			|| encode(r.body_hash, 'hex') || '"}'] AS parts
	FROM holds h
	JOIN transactions t ON t.id = h.id AND t.recorded_at = h.created_at AND t.action = 'hold' AND t.effective_at IS NULL
	JOIN ledger_references r ON r.reference = t.reference AND r.transaction_id = t.id
	LEFT JOIN sealed_batches s ON s.batch_id = t.batch_id
	LEFT JOIN seal_queue q ON q.id = t.batch_id
	WHERE h.expires_at IS NULL AND h.reason = 'requested'
), hashed AS (
	SELECT h.id, h.leaf, sha256('\x00'::bytea || convert_to(E'sendtip-leaf/1\n', 'UTF8') || string_agg(
		sha256('\x02'::bytea || substring(sha256('\x03'::bytea || h.salt || int4send(p.n::int - 1)) FOR 16) || convert_to(p.json, 'UTF8')), ''::bytea ORDER BY p.n)) AS with_epoch
	FROM held h, unnest(h.parts) WITH ORDINALITY AS p (json, n) GROUP BY h.id, h.leaf
)
UPDATE holds h SET expires_at = 'epoch' FROM hashed x WHERE x.id = h.id AND x.leaf = x.with_epoch;
