-- Entries, counters and namespaces. Parameters are named as in the call.

-- name: get_many
-- Entries of one namespace under many keys, in no particular order.
SELECT key, value, version FROM sfm.entry
WHERE namespace = %(namespace)s AND key = ANY(%(keys)s::bytea[]);

-- name: scan_forward
-- The first entries of many ranges, each found by the index on its own.
SELECT wanted.place, found.key, found.value, found.version
FROM unnest(%(places)s::integer[], %(starts)s::bytea[], %(ends)s::bytea[])
    AS wanted (place, first, stop)
CROSS JOIN LATERAL (
    SELECT key, value, version FROM sfm.entry
    WHERE namespace = %(namespace)s AND key >= wanted.first AND key < wanted.stop
    ORDER BY key LIMIT %(limit)s
) AS found;

-- name: scan_backward
-- The last entries of many ranges, each found by the index on its own.
SELECT wanted.place, found.key, found.value, found.version
FROM unnest(%(places)s::integer[], %(starts)s::bytea[], %(ends)s::bytea[])
    AS wanted (place, first, stop)
CROSS JOIN LATERAL (
    SELECT key, value, version FROM sfm.entry
    WHERE namespace = %(namespace)s AND key >= wanted.first AND key < wanted.stop
    ORDER BY key DESC LIMIT %(limit)s
) AS found;

-- name: lock_keys
-- Waits for the commits that touch the same keys, until the transaction ends.
-- A key that is absent has no row to lock, so keys are hashed to a few numbers;
-- these come in ascending order, so that two commits cannot wait for each other.
-- The first number ("SFM1") keeps clear of the locks of other programs.
SELECT count(pg_advisory_xact_lock(1397116209, stripe))
FROM unnest(%(stripes)s::integer[]) AS stripe;

-- name: limit_waiting
-- A process that is gone without a word may leave a transaction that waits.
SELECT set_config('lock_timeout', %(milliseconds)s, true);

-- name: read_expected
-- What stands under the keys that commits have expectations about.
SELECT wanted.namespace, wanted.key, entry.value, entry.version
FROM unnest(%(namespaces)s::text[], %(keys)s::bytea[]) AS wanted (namespace, key)
JOIN sfm.entry ON entry.namespace = wanted.namespace AND entry.key = wanted.key;

-- name: remove
DELETE FROM sfm.entry
USING unnest(%(namespaces)s::text[], %(keys)s::bytea[]) AS gone (namespace, key)
WHERE entry.namespace = gone.namespace AND entry.key = gone.key;

-- name: put
INSERT INTO sfm.entry (namespace, key, version, value)
SELECT * FROM unnest(
    %(namespaces)s::text[], %(keys)s::bytea[], %(versions)s::bigint[], %(values)s::bytea[]
)
ON CONFLICT (namespace, key)
DO UPDATE SET version = excluded.version, value = excluded.value;

-- name: use_namespaces
-- Names come in ascending order, so that two commits cannot wait for each other.
INSERT INTO sfm.namespace (name)
SELECT name FROM unnest(%(namespaces)s::text[]) AS name
ON CONFLICT (name) DO NOTHING;

-- name: count
INSERT INTO sfm.counter (namespace, name, amount)
SELECT * FROM unnest(%(namespaces)s::text[], %(names)s::text[], %(amounts)s::bigint[]);

-- name: counters
SELECT name, sum(amount)::bigint FROM sfm.counter
WHERE namespace = %(namespace)s GROUP BY name;

-- name: fold_counters
-- Makes one row of the rows of each counter. Each row is removed by one
-- transaction only, whoever else folds at the same time, so no amount is lost.
WITH gone AS (
    DELETE FROM sfm.counter WHERE (namespace, name) IN (
        SELECT namespace, name FROM sfm.counter
        GROUP BY namespace, name HAVING count(*) > 1
    )
    RETURNING namespace, name, amount
)
INSERT INTO sfm.counter (namespace, name, amount)
SELECT namespace, name, sum(amount)::bigint FROM gone GROUP BY namespace, name;

-- name: namespaces
-- The system namespace is the one without a name.
SELECT name FROM sfm.namespace
WHERE name > %(after)s AND name <> '' ORDER BY name LIMIT %(limit)s;

-- name: ping
SELECT count(*) FROM sfm.event_head;
