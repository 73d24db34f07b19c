-- The outbox and the event log. Parameters are named as in the call.

-- name: note
-- One note per dirty key, leased to the committer; ids ascend in the order given.
INSERT INTO sfm.outbox (namespace, key, committed_at, owner, free_at)
SELECT namespace, key, moment.now, %(owner)s, moment.now + %(lease)s
FROM (SELECT sfm.now() AS now OFFSET 0) AS moment,
    unnest(%(namespaces)s::text[], %(keys)s::bytea[]) WITH ORDINALITY
        AS dirty (namespace, key, place)
ORDER BY place
RETURNING id;

-- name: claim
-- Notes that another claim is just taking are passed over instead of waited for.
WITH free AS MATERIALIZED (
    SELECT id FROM sfm.outbox WHERE free_at <= sfm.now()
    ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE sfm.outbox SET owner = %(owner)s, free_at = sfm.now() + %(lease)s
FROM free WHERE outbox.id = free.id
RETURNING outbox.id, outbox.namespace, outbox.key, outbox.attempts;

-- name: acknowledge
DELETE FROM sfm.outbox WHERE id = ANY(%(ids)s::bigint[]);

-- name: release
UPDATE sfm.outbox
SET owner = '', free_at = sfm.now() + %(delay)s, attempts = attempts + 1
WHERE id = ANY(%(ids)s::bigint[]) AND owner = %(owner)s;

-- name: outbox_status
SELECT count(*), min(committed_at) FROM sfm.outbox;

-- name: log
-- Ids ascend in the order given. Commits that touch one key come one after the
-- other, so the ids of its events are in the order of its versions.
INSERT INTO sfm.event_arrived (namespace, type, key, version, at)
SELECT namespace, type, key, version, at
FROM unnest(
    %(namespaces)s::text[], %(types)s::text[], %(keys)s::bytea[],
    %(versions)s::bigint[], %(times)s::timestamptz[]
) WITH ORDINALITY AS event (namespace, type, key, version, at, place)
ORDER BY place;

-- name: read_events
SELECT position, namespace, type, key, version, at FROM sfm.event
WHERE position > %(after)s ORDER BY position LIMIT %(limit)s;

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

-- name: trim_events
DELETE FROM sfm.event WHERE position <= %(through)s;
