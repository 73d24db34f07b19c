-- Shortest paths inside the server, where each step would otherwise be a round trip.

-- Finds the path with the least sum of weights, as its edges in order; no rows
-- where there is none, or where source and target are one.
--
-- Nearest nodes are looked at first, some at a time; what turns out to be nearer
-- than it seemed is looked at again, until nothing is left that is nearer than the
-- target. So the answer is exact for weights of at least 0.
--
-- space       The namespace.
-- link_type   Only edges of this type; NULL for all.
-- max_nodes   Nodes that may be settled before it gives up with SFM02.
--
-- What was reached is kept in a temporary table of the session, so the function
-- cannot be used where a transaction may not write.
CREATE FUNCTION sfm.shortest_path(
    space text, source bytea, target bytea, link_type text, max_nodes integer
)
RETURNS TABLE (edge_source bytea, edge_type text, edge_target bytea)
LANGUAGE plpgsql VOLATILE
-- A temporary table has no statistics; what it is asked has an index each time.
SET enable_seqscan = off
SET jit = off
AS $body$
DECLARE
    portion CONSTANT integer := 256;
    largest CONSTANT double precision := 1.7976931348623157e308;
    bound double precision := 'Infinity';
    nearest double precision;
    looked integer := 0;
    nodes bytea[];
    distances double precision[];
BEGIN
    IF to_regclass('pg_temp.sfm_reached') IS NULL THEN
        CREATE TEMPORARY TABLE sfm_reached (
            node bytea PRIMARY KEY,
            distance double precision NOT NULL,
            came_from bytea,
            came_by text,
            open boolean NOT NULL
        ) ON COMMIT DELETE ROWS;
        CREATE INDEX ON sfm_reached (distance) WHERE open;
    END IF;
    DELETE FROM pg_temp.sfm_reached;
    INSERT INTO pg_temp.sfm_reached (node, distance, open) VALUES (source, 0, true);

    LOOP
        SELECT array_agg(nearby.node), array_agg(nearby.distance), min(nearby.distance)
        INTO nodes, distances, nearest
        FROM (
            SELECT reached.node, reached.distance FROM pg_temp.sfm_reached AS reached
            WHERE reached.open AND reached.distance < bound
            ORDER BY reached.distance LIMIT portion
        ) AS nearby;
        EXIT WHEN nodes IS NULL;

        IF looked > max_nodes AND max_nodes < (
            SELECT count(*) FROM pg_temp.sfm_reached AS reached
            WHERE NOT reached.open AND reached.distance < nearest
        ) THEN
            RAISE EXCEPTION 'no path among the % nearest nodes', max_nodes
                USING ERRCODE = 'SFM02';
        END IF;
        looked := looked + cardinality(nodes);

        UPDATE pg_temp.sfm_reached AS reached SET open = false
        WHERE reached.node = ANY(nodes);

        INSERT INTO pg_temp.sfm_reached AS known (node, distance, came_from, came_by, open)
        SELECT DISTINCT ON (edge.target)
            edge.target, batch.distance + edge.weight, edge.source, edge.type, true
        FROM unnest(nodes, distances) AS batch (node, distance)
        JOIN sfm.edge ON edge.namespace = space AND edge.source = batch.node
        WHERE (link_type IS NULL OR edge.type = link_type)
            AND edge.weight <= largest - batch.distance
            AND batch.distance + edge.weight < bound
        ORDER BY edge.target, batch.distance + edge.weight
        ON CONFLICT (node) DO UPDATE SET distance = excluded.distance,
            came_from = excluded.came_from, came_by = excluded.came_by, open = true
        WHERE excluded.distance < known.distance;

        SELECT coalesce(min(reached.distance), bound) INTO bound
        FROM pg_temp.sfm_reached AS reached WHERE reached.node = target;
    END LOOP;

    RETURN QUERY
    WITH RECURSIVE path AS (
        SELECT 1 AS hop, reached.node, reached.came_from, reached.came_by
        FROM pg_temp.sfm_reached AS reached WHERE reached.node = target
        UNION ALL
        SELECT path.hop + 1, reached.node, reached.came_from, reached.came_by
        FROM path JOIN pg_temp.sfm_reached AS reached ON reached.node = path.came_from
    )
    SELECT path.came_from, path.came_by, path.node FROM path
    WHERE path.came_from IS NOT NULL ORDER BY path.hop DESC;
END
$body$;
