-- The graph. Parameters are named as in the call.

-- name: upsert
INSERT INTO sfm.edge (namespace, source, type, target, weight, version)
SELECT %(namespace)s, * FROM unnest(
    %(sources)s::bytea[], %(types)s::text[], %(targets)s::bytea[],
    %(weights)s::double precision[], %(versions)s::bigint[]
)
ON CONFLICT (namespace, source, type, target)
DO UPDATE SET weight = excluded.weight, version = excluded.version;

-- name: delete
DELETE FROM sfm.edge
USING unnest(%(sources)s::bytea[], %(types)s::text[], %(targets)s::bytea[])
    AS gone (source, type, target)
WHERE edge.namespace = %(namespace)s AND edge.source = gone.source
    AND edge.type = gone.type AND edge.target = gone.target;

-- name: neighbors_out
-- The first edges that start at each node of a frontier.
SELECT node.place, found.* FROM unnest(%(nodes)s::bytea[]) WITH ORDINALITY AS node (key, place)
CROSS JOIN LATERAL (
    SELECT source, type, target, weight, version FROM sfm.edge
    WHERE namespace = %(namespace)s AND source = node.key
        AND (%(link_type)s::text IS NULL OR type = %(link_type)s)
    ORDER BY weight, target, type LIMIT %(limit)s
) AS found
ORDER BY node.place, found.weight, found.target, found.type;

-- name: neighbors_in
-- The first edges that lead to each node of a frontier.
SELECT node.place, found.* FROM unnest(%(nodes)s::bytea[]) WITH ORDINALITY AS node (key, place)
CROSS JOIN LATERAL (
    SELECT source, type, target, weight, version FROM sfm.edge
    WHERE namespace = %(namespace)s AND target = node.key
        AND (%(link_type)s::text IS NULL OR type = %(link_type)s)
    ORDER BY weight, source, type LIMIT %(limit)s
) AS found
ORDER BY node.place, found.weight, found.source, found.type;

-- name: shortest_path
-- Described in the migration that brings the function.
SELECT * FROM sfm.shortest_path(
    %(namespace)s, %(source)s, %(target)s, %(link_type)s, %(max_nodes)s
);

-- name: scroll
SELECT source, type, target, weight, version FROM sfm.edge
WHERE namespace = %(namespace)s AND (source, type, target) > (%(source)s, %(type)s, %(target)s)
ORDER BY source, type, target LIMIT %(limit)s;

-- name: drop_some
-- In portions, so that emptying a large namespace holds no long transaction.
DELETE FROM sfm.edge WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM sfm.edge WHERE namespace = %(namespace)s LIMIT %(limit)s
));
