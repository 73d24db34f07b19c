-- Points and searches. Parameters are named as in the call. {schema} is the
-- schema of the extension; where there is a filter, {chosen} finds what it allows
-- and {allowed} keeps to that.

-- name: extension
-- The extension as it is, or as it could be.
SELECT available.installed_version, namespace.nspname
FROM pg_available_extensions AS available
LEFT JOIN pg_extension AS extension ON extension.extname = available.name
LEFT JOIN pg_namespace AS namespace ON namespace.oid = extension.extnamespace
WHERE available.name = 'vector';

-- name: ensure
INSERT INTO sfm.collection (name, dimension) VALUES (%(name)s, %(dimension)s)
ON CONFLICT (name) DO NOTHING;

-- name: find
SELECT dimension FROM sfm.collection WHERE name = %(name)s;

-- name: collections
SELECT name, dimension FROM sfm.collection ORDER BY name;

-- name: upsert
-- Described in the migration that brings the function.
SELECT sfm.write_points(
    %(collection)s, %(size)s, %(stripes)s, %(namespaces)s, %(coordinates)s, %(versions)s,
    %(types)s, %(payloads)s, %(lengths)s, %(vectors)s, %(holders)s, %(terms)s, %(weights)s
);

-- name: delete
SELECT sfm.delete_points(%(collection)s, %(stripes)s, %(namespaces)s, %(coordinates)s);

-- name: search
-- The best of each arm, with the scores of both. The constants of BM25, and how rare
-- a term is, are those of sfm_core.search.keyword.
WITH here AS MATERIALIZED (
    SELECT place.id FROM sfm.place JOIN sfm.collection ON collection.id = place.collection
    WHERE collection.name = %(collection)s AND place.namespace = %(namespace)s
), {chosen} near AS (
    SELECT point.id FROM sfm.point
    WHERE point.place = (SELECT id FROM here) AND %(dense)s {allowed}
    ORDER BY point.vector OPERATOR({schema}.<#>) %(vector)s::real[]::{schema}.vector
    LIMIT %(limit)s
), total AS (
    SELECT sum(points)::double precision AS points
    FROM sfm.place_total WHERE place = (SELECT id FROM here)
), word AS (
    SELECT asked.term, asked.weight * ln(1 + (total.points - held.points + 0.5) / (held.points + 0.5))
        AS weight
    FROM unnest(%(terms)s::bytea[], %(weights)s::real[]) AS asked (term, weight), total,
        LATERAL (
            SELECT count(*) AS points FROM sfm.posting
            WHERE place = (SELECT id FROM here) AND posting.term = asked.term
        ) AS held
), scored AS (
    SELECT posting.point, sum(
        word.weight * 1.9 * posting.weight
        / (posting.weight + 0.9 * (0.6 + 0.4 * posting.length / 30.0))
    ) AS score
    FROM word, sfm.posting
    WHERE posting.place = (SELECT id FROM here) AND posting.term = word.term
    GROUP BY posting.point
), spoken AS (
    SELECT point.id FROM scored JOIN sfm.point ON point.id = scored.point
    WHERE true {allowed}
    ORDER BY scored.score DESC LIMIT %(limit)s
)
SELECT point.coordinate, point.version,
    CASE WHEN %(dense)s
        THEN -(point.vector OPERATOR({schema}.<#>) %(vector)s::real[]::{schema}.vector) END,
    coalesce(scored.score, 0)
FROM (SELECT id FROM near UNION SELECT id FROM spoken) AS hit
JOIN sfm.point ON point.id = hit.id
LEFT JOIN scored ON scored.point = hit.id;

-- name: scroll
SELECT point.coordinate, point.version
FROM sfm.collection JOIN sfm.place ON place.collection = collection.id
JOIN sfm.point ON point.place = place.id
WHERE collection.name = %(collection)s AND place.namespace = %(namespace)s
    AND point.coordinate > %(after)s
ORDER BY point.coordinate LIMIT %(limit)s;

-- name: drop
-- What belonged to it is removed afterwards.
DELETE FROM sfm.collection WHERE name = %(name)s;

-- name: orphans
-- Places whose collection is gone.
SELECT id FROM sfm.place
WHERE NOT EXISTS (SELECT FROM sfm.collection WHERE collection.id = place.collection);

-- name: clear_points
-- In portions, so that emptying a large place holds no long transaction.
DELETE FROM sfm.point WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM sfm.point WHERE place = %(place)s LIMIT %(limit)s
));

-- name: clear_postings
DELETE FROM sfm.posting WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM sfm.posting WHERE place = %(place)s LIMIT %(limit)s
));

-- name: clear_place
WITH totals AS (DELETE FROM sfm.place_total WHERE place = %(place)s)
DELETE FROM sfm.place WHERE id = %(place)s;

-- name: fold_totals
-- Makes one row of the rows of each place; see fold_counters.
WITH gone AS (
    DELETE FROM sfm.place_total WHERE place IN (
        SELECT place FROM sfm.place_total GROUP BY place HAVING count(*) > 1
    )
    RETURNING place, points, length
)
INSERT INTO sfm.place_total (place, points, length)
SELECT place, sum(points)::bigint, sum(length) FROM gone GROUP BY place;
