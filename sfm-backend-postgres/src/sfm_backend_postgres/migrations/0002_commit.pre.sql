-- Commits in one call: what a round trip per step would do, inside the server.

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
