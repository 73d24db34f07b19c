-- The first edition of the file: the truth, and what is derived from it.
--
-- Times are microseconds since 1970-01-01 UTC. Keys and coordinates are the
-- bytes that sfm_core.model.keys and Coordinate.key describe; they sort as
-- the values do.

-- Identity of this file, so that nothing made for another one is ever used with it.
CREATE TABLE property (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID, STRICT;

INSERT INTO property (name, value) VALUES ('identity', lower(hex(randomblob(16))));

-- Names are long and repeated in every key, so keys carry a number instead.
CREATE TABLE namespace (
    id INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- 1 once an entry was put into it; edges and points alone do not count.
    used INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The truth.
CREATE TABLE entry (
    namespace INTEGER NOT NULL,
    key BLOB NOT NULL,
    version INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (namespace, key)
) WITHOUT ROWID, STRICT;

CREATE TABLE counter (
    namespace INTEGER NOT NULL,
    name TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (namespace, name)
) WITHOUT ROWID, STRICT;

-- What derived stores still have to follow. AUTOINCREMENT: a number is never
-- used twice, so a late acknowledgement cannot hit another note.
CREATE TABLE outbox (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    namespace INTEGER NOT NULL,
    key BLOB NOT NULL,
    committed_at INTEGER NOT NULL,
    owner TEXT NOT NULL,
    -- Nobody may claim it before.
    free_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The log. There is one writer at a time, so numbers become visible in order.
CREATE TABLE event (
    position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    namespace INTEGER NOT NULL,
    type TEXT NOT NULL,
    key BLOB NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- Derived: who is linked with whom.
CREATE TABLE edge (
    namespace INTEGER NOT NULL,
    source BLOB NOT NULL,
    type TEXT NOT NULL,
    target BLOB NOT NULL,
    weight REAL NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (namespace, source, type, target)
) WITHOUT ROWID, STRICT;

-- In the order in which neighbours are answered, with all that is answered.
CREATE INDEX edge_out ON edge (namespace, source, weight, target, type, version);
CREATE INDEX edge_in ON edge (namespace, target, weight, source, type, version);

-- Derived: what is searched.
CREATE TABLE collection (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    dimension INTEGER NOT NULL
) STRICT;

-- Collections that are gone while their points are still being removed.
CREATE TABLE dropped (
    collection INTEGER NOT NULL PRIMARY KEY
) STRICT;

-- Each write of a point is a new row with the next change number, which is how
-- the indexes of all processes follow. A deleted point leaves a row without a
-- vector for as long as others may not have followed.
CREATE TABLE point (
    change INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL,
    namespace INTEGER NOT NULL,
    coordinate BLOB NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    payload BLOB NOT NULL,
    terms BLOB NOT NULL,
    vector BLOB
) STRICT;

CREATE UNIQUE INDEX point_identity ON point (collection, namespace, coordinate);
-- The row's change number ends every index entry, so this one is in order of changes.
CREATE INDEX point_changes ON point (collection, namespace);
CREATE INDEX point_removed ON point (collection, namespace) WHERE vector IS NULL;

-- Tombstones up to a change are gone: who has not followed so far starts anew.
CREATE TABLE purged (
    collection INTEGER NOT NULL,
    namespace INTEGER NOT NULL,
    change INTEGER NOT NULL,
    PRIMARY KEY (collection, namespace)
) WITHOUT ROWID, STRICT;

-- For people with the sqlite3 shell: the memories that exist, as JSON.
-- The coordinate is the number of components (1 byte), then 8 bytes for each.
CREATE VIEW memory (namespace, coordinate, version, type, importance, payload, record) AS
SELECT
    namespace.name,
    lower(hex(substr(entry.key, 2))),
    entry.version,
    coalesce(json_extract(CAST(entry.value AS TEXT), '$.type'), 'episodic'),
    coalesce(json_extract(CAST(entry.value AS TEXT), '$.importance'), 0.5),
    json_extract(CAST(entry.value AS TEXT), '$.payload'),
    CAST(entry.value AS TEXT)
FROM entry JOIN namespace ON namespace.id = entry.namespace
WHERE entry.key >= x'6D' AND entry.key < x'6E'
    AND json_extract(CAST(entry.value AS TEXT), '$.deleted') IS NOT 1;
