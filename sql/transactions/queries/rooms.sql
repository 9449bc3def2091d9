-- name: ListRooms :many
-- Accounts that have money above their maximum and room for some of it, with the oldest hold of each.
SELECT a.id AS account_id, h.id AS hold_id
FROM accounts a CROSS JOIN LATERAL (
	SELECT o.id FROM holds o WHERE o.account_id = a.id AND o.status = 'active' AND o.reason = 'over_cap' ORDER BY o.created_at, o.id LIMIT 1
) h
WHERE a.over_cap_minor > 0 AND a.id > @after AND (a.maximum_minor IS NULL OR a.credits_minor - a.debits_minor - a.over_cap_minor < a.maximum_minor)
ORDER BY a.id LIMIT 100;

-- name: InsertRoomReleases :exec
-- In the order of the list, which the caller sorts: two replicas then never wait for each other in a ring.
INSERT INTO room_releases (hold_id) SELECT unnest(@hold_ids::uuid[]) ON CONFLICT (hold_id) DO NOTHING;

-- name: ListRoomReleases :many
SELECT hold_id, number FROM room_releases WHERE hold_id = ANY(@hold_ids::uuid[]) ORDER BY hold_id;

-- name: NextRoomReleases :exec
-- Only from the number whose outcome is known: another replica may be further.
WITH known AS (
	SELECT r.hold_id, r.number FROM room_releases r
	JOIN (SELECT unnest(@hold_ids::uuid[]) AS hold_id, unnest(@numbers::integer[]) AS number) v ON v.hold_id = r.hold_id AND v.number = r.number
	ORDER BY r.hold_id FOR UPDATE OF r
)
UPDATE room_releases r SET number = r.number + 1 FROM known k WHERE k.hold_id = r.hold_id;
