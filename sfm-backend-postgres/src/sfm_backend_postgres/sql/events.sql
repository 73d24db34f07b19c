-- The event log. Parameters are named as in the call.

-- name: read_events
SELECT position, namespace, type, key, version, at FROM sfm.event
WHERE position > %(after)s ORDER BY position LIMIT %(limit)s;

-- name: count_events
SELECT count(*) FROM (
    (SELECT FROM sfm.event WHERE position > %(after)s LIMIT %(limit)s)
    UNION ALL
    (SELECT FROM sfm.event_arrived LIMIT %(limit)s)
    LIMIT %(limit)s
) AS following;

-- name: any_arrived
SELECT EXISTS (SELECT FROM sfm.event_arrived);

-- name: lock_head
-- Until the transaction ends nobody else gives out positions.
SELECT position FROM sfm.event_head FOR UPDATE;

-- name: give_positions
-- Follows lock_head in the same transaction, as a statement of its own: it has
-- to see what the one before committed.
WITH arrived AS (
    DELETE FROM sfm.event_arrived
    WHERE id IN (SELECT id FROM sfm.event_arrived ORDER BY id LIMIT %(limit)s)
    RETURNING id, namespace, type, key, version, at
), placed AS (
    INSERT INTO sfm.event (position, namespace, type, key, version, at)
    SELECT (SELECT position FROM sfm.event_head) + row_number() OVER (ORDER BY id),
        namespace, type, key, version, at
    FROM arrived
    RETURNING position
)
UPDATE sfm.event_head
SET position = greatest(position, (SELECT max(position) FROM placed));

-- name: end_of_events
SELECT position FROM sfm.event_head;

-- name: trimmed
-- Positions follow one another without a gap, so what is missing at the start was removed.
SELECT coalesce(
    (SELECT min(position) - 1 FROM sfm.event), (SELECT position FROM sfm.event_head)
);

-- name: trim_events
DELETE FROM sfm.event WHERE position <= %(through)s;
