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

-- name: commit
-- Described in the migration that brings the function.
SELECT * FROM sfm.commit(
    %(stripes)s, %(owner)s, %(lease)s, %(namespaces)s,
    %(expect_places)s, %(expect_keys)s, %(expect_versions)s,
    %(write_places)s, %(write_keys)s, %(write_versions)s, %(write_values)s,
    %(count_places)s, %(count_names)s, %(count_amounts)s,
    %(dirty_places)s, %(dirty_keys)s,
    %(event_places)s, %(event_types)s, %(event_keys)s, %(event_versions)s, %(event_times)s
);

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
