-- What people see: coordinates as numbers, times as times, and what each table is for.

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
DROP VIEW sfm.memory;
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
