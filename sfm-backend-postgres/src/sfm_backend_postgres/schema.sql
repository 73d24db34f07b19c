-- The whole schema, as all migrations leave it: the truth, and the graph that is derived
-- from it. It is for reading; databases are made by the migrations. A test applies both and
-- compares the catalogues.
--
-- Keys and coordinates are the bytes that sfm_core.model.keys and
-- Coordinate.key describe; bytea sorts them as the values do. Names are sorted
-- by code point (collation "C"), whatever the database's own collation is.

CREATE SCHEMA sfm;

-- Which steps were taken, so that each is taken once and an edited one is noticed.
CREATE TABLE sfm.migration (
    name text COLLATE "C" PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The time that leases are measured by: the server's, which all processes share.
CREATE FUNCTION sfm.now() RETURNS timestamptz
LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()';

-- Namespaces that hold or held an entry.
CREATE TABLE sfm.namespace (
    name text COLLATE "C" PRIMARY KEY
);

-- The truth.
CREATE TABLE sfm.entry (
    namespace text COLLATE "C" NOT NULL,
    key bytea NOT NULL,
    version bigint NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (namespace, key)
);

-- A counter is the sum of its rows. Commits only insert, so that no two of them
-- wait for one row; upkeep folds the rows of a counter into one.
CREATE TABLE sfm.counter (
    namespace text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    amount bigint NOT NULL
);

CREATE INDEX counter_name ON sfm.counter (namespace, name);

-- What derived stores still have to follow. Notes are taken wherever they are
-- free, never "from the last id on": ids become visible out of order.
CREATE TABLE sfm.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace text COLLATE "C" NOT NULL,
    key bytea NOT NULL,
    committed_at timestamptz NOT NULL,
    owner text NOT NULL,
    -- Nobody may claim it before.
    free_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0
);

-- Events that were committed and not read yet. They have no position: the one
-- who reads gives positions to those that are visible, so a transaction that
-- takes long comes later in the log instead of being overtaken and forgotten.
CREATE TABLE sfm.event_arrived (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace text COLLATE "C" NOT NULL,
    type text NOT NULL,
    key bytea NOT NULL,
    version bigint NOT NULL,
    at timestamptz NOT NULL
);

-- The log.
CREATE TABLE sfm.event (
    position bigint PRIMARY KEY,
    namespace text COLLATE "C" NOT NULL,
    type text NOT NULL,
    key bytea NOT NULL,
    version bigint NOT NULL,
    at timestamptz NOT NULL
);

-- The last position that was given out, also after the log was trimmed. Its one
-- row is locked by whoever gives out positions.
CREATE TABLE sfm.event_head (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    position bigint NOT NULL
);

INSERT INTO sfm.event_head (position) VALUES (0);

-- Derived: who is linked with whom.
CREATE TABLE sfm.edge (
    namespace text COLLATE "C" NOT NULL,
    source bytea NOT NULL,
    type text COLLATE "C" NOT NULL,
    target bytea NOT NULL,
    weight double precision NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (namespace, source, type, target)
);

-- In the order in which neighbours are answered.
CREATE INDEX edge_out ON sfm.edge (namespace, source, weight, target, type);
CREATE INDEX edge_in ON sfm.edge (namespace, target, weight, source, type);

-- Carries out commits that do not rest on one another: none of them looks at or
-- writes a key that one before it writes. Several calls in one transaction carry
-- out the others.
--
-- stripes        Numbers of the locks to take, ascending, so that two calls
--                cannot wait for each other. They stand for the keys that the
--                whole transaction looks at, writes or tells of: a key that is
--                absent has no row to lock.
-- holder, lease  Who follows up the notes, and for how long nobody else may.
-- namespaces     The namespace of each commit. All other arrays tell the place
--                of the commit here, from 1, and then what belongs to it.
-- expect_*       Versions that must be found, 0 for "absent".
-- write_*        What to put; a NULL removes, also what is put here. No key is put twice.
-- count_*        What to add to counters.
-- dirty_*        Keys to note in the outbox, in order.
-- event_*        What to append to the log, in order.
--
-- refused        Places of the commits whose expectations were not met; nothing
--                of them happened.
-- notes          Ids of the notes of the others, in order.
-- found_*        What stands under the keys that the refused ones expect
--                something of; absent keys are left out.
--
-- It must run at READ COMMITTED: only there does a statement that begins when
-- the locks are held see what their last holders committed. Where another level
-- is in force it fails with SFM01 and changes nothing.
CREATE FUNCTION sfm.commit(
    stripes integer[], holder text, lease interval, namespaces text[],
    expect_places integer[], expect_keys bytea[], expect_versions bigint[],
    write_places integer[], write_keys bytea[], write_versions bigint[], write_values bytea[],
    count_places integer[], count_names text[], count_amounts bigint[],
    dirty_places integer[], dirty_keys bytea[],
    event_places integer[], event_types text[], event_keys bytea[],
    event_versions bigint[], event_times timestamptz[],
    OUT refused integer[], OUT notes bigint[],
    OUT found_places integer[], OUT found_keys bytea[],
    OUT found_versions bigint[], OUT found_values bytea[]
)
LANGUAGE plpgsql VOLATILE
-- A process that is gone without a word may leave a transaction that waits.
SET lock_timeout = '10s'
-- A session keeps the plans that it made while the tables were small.
SET enable_seqscan = off
SET jit = off
AS $body$
DECLARE
    moment timestamptz;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'sfm.commit runs at READ COMMITTED only' USING ERRCODE = 'SFM01';
    END IF;

    -- The first number ("SFM1") keeps clear of the locks of other programs.
    PERFORM pg_advisory_xact_lock(1397116209, stripe) FROM unnest(stripes) AS stripe;

    SELECT array_agg(DISTINCT wanted.place) INTO refused
    FROM unnest(expect_places, expect_keys, expect_versions) AS wanted (place, key, version)
    LEFT JOIN sfm.entry
        ON entry.namespace = namespaces[wanted.place] AND entry.key = wanted.key
    WHERE coalesce(entry.version, 0) <> wanted.version;
    refused := coalesce(refused, '{}');
    IF cardinality(refused) > 0 THEN
        SELECT array_agg(wanted.place), array_agg(wanted.key),
            array_agg(entry.version), array_agg(entry.value)
        INTO found_places, found_keys, found_versions, found_values
        FROM unnest(expect_places, expect_keys) AS wanted (place, key)
        JOIN sfm.entry
            ON entry.namespace = namespaces[wanted.place] AND entry.key = wanted.key
        WHERE wanted.place = ANY(refused);
    END IF;

    IF cardinality(write_places) > 0 THEN
        INSERT INTO sfm.entry (namespace, key, version, value)
        SELECT namespaces[put.place], put.key, put.version, put.value
        FROM unnest(write_places, write_keys, write_versions, write_values)
            AS put (place, key, version, value)
        WHERE put.value IS NOT NULL AND put.place <> ALL(refused)
        ON CONFLICT (namespace, key)
        DO UPDATE SET version = excluded.version, value = excluded.value;

        -- In ascending order, so that two commits cannot wait for each other.
        INSERT INTO sfm.namespace (name)
        SELECT DISTINCT namespaces[put.place] AS name
        FROM unnest(write_places, write_values) AS put (place, value)
        WHERE put.value IS NOT NULL AND put.place <> ALL(refused)
        ORDER BY name
        ON CONFLICT (name) DO NOTHING;

        IF array_position(write_values, NULL) IS NOT NULL THEN
            DELETE FROM sfm.entry
            USING unnest(write_places, write_keys, write_values) AS gone (place, key, value)
            WHERE gone.value IS NULL AND gone.place <> ALL(refused)
                AND entry.namespace = namespaces[gone.place] AND entry.key = gone.key;
        END IF;
    END IF;

    IF cardinality(count_places) > 0 THEN
        INSERT INTO sfm.counter (namespace, name, amount)
        SELECT namespaces[added.place], added.name, sum(added.amount)::bigint
        FROM unnest(count_places, count_names, count_amounts) AS added (place, name, amount)
        WHERE added.place <> ALL(refused)
        GROUP BY 1, 2;
    END IF;

    IF cardinality(event_places) > 0 THEN
        -- Calls that touch one key come one after the other, so the ids of its
        -- events are in the order of its versions.
        INSERT INTO sfm.event_arrived (namespace, type, key, version, at)
        SELECT namespaces[event.place], event.type, event.key, event.version, event.at
        FROM unnest(event_places, event_types, event_keys, event_versions, event_times)
            WITH ORDINALITY AS event (place, type, key, version, at, rank)
        WHERE event.place <> ALL(refused)
        ORDER BY event.rank;
    END IF;

    notes := '{}';
    IF cardinality(dirty_places) > 0 THEN
        moment := sfm.now();
        WITH noted AS (
            INSERT INTO sfm.outbox (namespace, key, committed_at, owner, free_at)
            SELECT namespaces[dirty.place], dirty.key, moment, holder, moment + lease
            FROM unnest(dirty_places, dirty_keys)
                WITH ORDINALITY AS dirty (place, key, rank)
            WHERE dirty.place <> ALL(refused)
            ORDER BY dirty.rank
            RETURNING id
        )
        SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO notes FROM noted;
    END IF;
END
$body$;

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

-- A value as JSON, for people. jsonb cannot hold U+0000, so it is shown as
-- U+FFFD; what is no JSON at all is shown as NULL. The value itself is untouched.
CREATE FUNCTION sfm.readable(value bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT AS $body$
BEGIN
    RETURN convert_from(value, 'UTF8')::jsonb;
EXCEPTION WHEN untranslatable_character THEN
    BEGIN
        RETURN regexp_replace(
            convert_from(value, 'UTF8'), '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g'
        )::jsonb;
    EXCEPTION WHEN OTHERS THEN
        RETURN NULL;
    END;
WHEN OTHERS THEN
    RETURN NULL;
END
$body$;

-- The components of a coordinate. Its key is the number of components (1 byte), then
-- 8 bytes for each: the bits of the number, turned so that they sort as the numbers
-- do. What is no such key is shown as NULL.
CREATE FUNCTION sfm.coordinate(key bytea) RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE STRICT AS $body$
DECLARE
    components double precision[] := '{}';
    bits integer[];
    exponent integer;
    fraction double precision;
BEGIN
    FOR place IN 0 .. get_byte(key, 0) - 1 LOOP
        bits := ARRAY(
            SELECT get_byte(key, 1 + 8 * place + byte)
            FROM generate_series(0, 7) AS byte ORDER BY byte
        );
        -- Negative numbers have all of their bits turned, others the first one only.
        IF bits[1] < 128 THEN
            bits := ARRAY(SELECT 255 - byte FROM unnest(bits) WITH ORDINALITY AS b (byte, place)
                          ORDER BY b.place);
        END IF;
        exponent := ((bits[1] & 127) << 4) | (bits[2] >> 4);
        fraction := (
            ((bits[2] & 15)::bigint << 48) | (bits[3]::bigint << 40) | (bits[4]::bigint << 32)
            | (bits[5]::bigint << 24) | (bits[6]::bigint << 16) | (bits[7]::bigint << 8)
            | bits[8]::bigint
        )::double precision / 4503599627370496;
        components := components || (
            CASE WHEN get_byte(key, 1 + 8 * place) < 128 THEN -1 ELSE 1 END
            * CASE WHEN exponent = 0 THEN fraction * power(2::double precision, -1022)
                   ELSE (1 + fraction) * power(2::double precision, exponent - 1023) END
        );
    END LOOP;
    RETURN components;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$body$;

-- A time as it is written in values; what is none is shown as NULL.
CREATE FUNCTION sfm.moment(written text) RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT AS $body$
BEGIN
    RETURN written::timestamptz;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$body$;

-- The memories that exist: neither deleted nor expired.
CREATE VIEW sfm.memory AS
SELECT
    entry.namespace,
    sfm.coordinate(substring(entry.key FROM 2)) AS coordinate,
    entry.version,
    coalesce(record.body ->> 'type', 'episodic') AS type,
    CASE jsonb_typeof(record.body -> 'importance')
        WHEN 'number' THEN (record.body ->> 'importance')::double precision ELSE 0.5
    END AS importance,
    record.body -> 'payload' AS payload,
    sfm.moment(record.body ->> 'created_at') AS created_at,
    sfm.moment(record.body ->> 'updated_at') AS updated_at,
    sfm.moment(record.body ->> 'expires_at') AS expires_at,
    record.body AS record
FROM sfm.entry, LATERAL (SELECT sfm.readable(entry.value) AS body OFFSET 0) AS record
WHERE entry.key >= '\x6d'::bytea AND entry.key < '\x6e'::bytea
    AND (record.body -> 'deleted') IS DISTINCT FROM 'true'::jsonb
    AND coalesce(sfm.moment(record.body ->> 'expires_at') > clock_timestamp(), true);

COMMENT ON SCHEMA sfm IS 'SomaFractalMemory: the truth, and what is derived from it.';
COMMENT ON TABLE sfm.migration IS 'Steps of this schema that were taken, with their digests.';
COMMENT ON TABLE sfm.namespace IS 'Namespaces that hold or held an entry.';
COMMENT ON TABLE sfm.entry IS 'The truth. The first letter of a key is the kind of entry: '
    'm memory, h replaced version, a access statistics, x expiry, e episode, l link, r backlink.';
COMMENT ON TABLE sfm.counter IS 'Counters; the value of one is the sum of its rows.';
COMMENT ON TABLE sfm.outbox IS 'Keys that derived stores still have to follow.';
COMMENT ON TABLE sfm.event_arrived IS 'Events that nobody has read yet, without a position.';
COMMENT ON TABLE sfm.event IS 'The log of events, in order.';
COMMENT ON TABLE sfm.event_head IS 'The last position that was given to an event.';
COMMENT ON TABLE sfm.edge IS 'Derived from the links in the truth: who is linked with whom.';
COMMENT ON VIEW sfm.memory IS 'The memories that exist, for people. U+0000 is shown as U+FFFD.';
COMMENT ON COLUMN sfm.memory.coordinate IS 'Where the memory is in its namespace.';
COMMENT ON COLUMN sfm.memory.version IS 'Grows by one with each change.';
COMMENT ON COLUMN sfm.memory.payload IS 'What was remembered; NULL where it cannot be shown.';
COMMENT ON COLUMN sfm.memory.record IS 'All that is stored of the memory.';
