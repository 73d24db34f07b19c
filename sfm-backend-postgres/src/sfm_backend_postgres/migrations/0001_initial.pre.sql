-- The first edition: the truth, and the graph that is derived from it.
--
-- Keys and coordinates are the bytes that sfm_core.model.keys and
-- Coordinate.key describe; bytea sorts them as the values do. Names are sorted
-- by code point (collation "C"), whatever the database's own collation is.

CREATE SCHEMA IF NOT EXISTS sfm;

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

-- The memories that exist. The coordinate is the number of components (1 byte),
-- then 8 bytes for each.
CREATE VIEW sfm.memory AS
SELECT
    entry.namespace,
    encode(substring(entry.key FROM 2), 'hex') AS coordinate,
    entry.version,
    coalesce(record.body ->> 'type', 'episodic') AS type,
    coalesce((record.body ->> 'importance')::double precision, 0.5) AS importance,
    record.body -> 'payload' AS payload,
    record.body AS record
FROM sfm.entry, LATERAL (SELECT sfm.readable(entry.value) AS body OFFSET 0) AS record
WHERE entry.key >= '\x6d'::bytea AND entry.key < '\x6e'::bytea
    AND (record.body -> 'deleted') IS DISTINCT FROM 'true'::jsonb;
