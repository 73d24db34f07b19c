-- The outbox. Parameters are named as in the call.

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
-- Nobody has to wait for the disk: a note that a crash brings back is worked off once more.
WITH unhurried AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
DELETE FROM sfm.outbox USING unhurried WHERE id = ANY(%(ids)s::bigint[]);

-- name: release
UPDATE sfm.outbox
SET owner = '', free_at = sfm.now() + %(delay)s, attempts = attempts + 1
WHERE id = ANY(%(ids)s::bigint[]) AND owner = %(owner)s;

-- name: outstanding
SELECT id FROM sfm.outbox WHERE id = ANY(%(ids)s::bigint[]);

-- name: outbox_status
SELECT count(*), min(committed_at) FROM sfm.outbox;

-- name: tell_of_work
-- Wakes whoever listens; it is not part of a commit, see _waking.py.
SELECT pg_notify('sfm_work', '');
