"""Points in PostgreSQL: what the kit cannot know about them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psycopg
import pytest
from postgres_helpers import open_graph, open_kv, open_vector
from postgres_server import make_database

from sfm_backend_postgres._filters import Condition
from sfm_core.engine.assembly import open_engine
from sfm_core.errors import ConfigurationError
from sfm_core.model.filters import parse_filter
from sfm_core.model.memory import NewMemory
from sfm_core.model.payload import JsonValue
from sfm_core.model.query import RecallQuery
from sfm_core.plugins import load_plugins
from sfm_core.protocols.vector import Collection, VectorQuery
from sfm_core.registry import BackendContext
from sfm_core.settings import Slots
from sfm_core.testing.samples import axis, coordinate, point, unit_vectors

COLLECTION = Collection(name="c", dimension=8)
X = axis(0, 8)


async def test_a_server_without_the_extension_is_told_apart(oldest_postgres_url: str) -> None:
    url = make_database(oldest_postgres_url)
    with pytest.raises(ConfigurationError, match="does not have the extension") as caught:
        async with open_vector(url):
            pass
    assert caught.value.setting == "SFM_VECTOR_URL"
    assert "pgvector" in caught.value.remedy
    async with open_kv(url) as kv, open_graph(url) as graph:
        await kv.ping()
        await graph.ping()


async def test_who_may_not_add_the_extension_is_told_what_to_do(postgres_url: str) -> None:
    url = make_database(postgres_url)
    theirs = url.replace("postgres:secret@", "guest:secret@")
    with psycopg.connect(url, autocommit=True) as raw:
        database = raw.info.dbname
        raw.execute("DROP ROLE IF EXISTS guest")
        raw.execute("CREATE ROLE guest LOGIN PASSWORD 'secret'")
        raw.execute(f"GRANT CREATE ON DATABASE {database} TO guest".encode())
        async with open_kv(theirs) as kv:
            await kv.ping()
        raw.execute(f"REVOKE CREATE ON DATABASE {database} FROM guest".encode())
    with pytest.raises(ConfigurationError, match="CREATE EXTENSION vector"):
        async with open_vector(theirs):
            pass
    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute("CREATE EXTENSION vector")
    async with open_vector(theirs) as store:
        await store.ensure(COLLECTION)


async def test_the_extension_may_be_in_any_schema(postgres_url: str) -> None:
    url = make_database(postgres_url)
    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute('CREATE SCHEMA "Its own"')
        raw.execute('CREATE EXTENSION vector SCHEMA "Its own"')
    async with open_vector(url) as store:
        await store.ensure(COLLECTION)
        await store.upsert(COLLECTION, [point("n", coordinate(1.0), X, terms={"a": 1.0})])
        query = VectorQuery(namespace="n", limit=1, vector=X, terms={"a": 1.0})
        [result] = await store.search(COLLECTION, [query])
        assert len(result.hits) == 1


async def test_a_crash_while_dropping_leaves_nothing_for_long(database_url: str) -> None:
    async with open_vector(database_url) as store:
        await store.ensure(COLLECTION)
        points = [
            point("n", coordinate(float(n)), v, terms={"a": 1.0, f"t{n}": 1.0})
            for n, v in enumerate(unit_vectors(20, 8))
        ]
        await store.upsert(COLLECTION, points)
        with psycopg.connect(database_url, autocommit=True) as raw:
            raw.execute("DELETE FROM sfm.collection")
            await store.ensure(COLLECTION)
            assert await store.scroll(COLLECTION, "n", after=None, limit=9) == []
            await store.upsert(COLLECTION, points[:1])
            await store.maintain()
            found = raw.execute(
                "SELECT (SELECT count(*) FROM sfm.point), (SELECT count(*) FROM sfm.posting), "
                "(SELECT count(*) FROM sfm.place), (SELECT count(*) FROM sfm.place_total)"
            ).fetchone()
            assert found == (1, 2, 1, 1)


async def test_removing_and_replacing_leaves_no_words_behind(database_url: str) -> None:
    async with open_vector(database_url) as store:
        await store.ensure(COLLECTION)
        here = coordinate(1.0)
        for terms in ({"a": 1.0, "b": 2.0}, {"b": 1.0}, {"c": 3.0}):
            await store.upsert(COLLECTION, [point("n", here, X, terms=terms)])
        with psycopg.connect(database_url, autocommit=True) as raw:
            postings = raw.execute("SELECT term, weight, length FROM sfm.posting").fetchall()
            assert postings == [(b"c", 3.0, 3.0)]
            total = b"SELECT sum(points), sum(length) FROM sfm.place_total"
            assert raw.execute(total).fetchone() == (1, 3.0)
            await store.delete(COLLECTION, [point("n", here, X).id])
            assert raw.execute("SELECT count(*) FROM sfm.posting").fetchone() == (0,)
            assert raw.execute(total).fetchone() == (0, 0.0)


@pytest.mark.parametrize(
    ("payload", "source", "expected"),
    [
        ({"t": "\0"}, {"t": "\0"}, True),
        ({"t": "\0"}, {"t": "\1"}, False),
        ({"t": "a\0b"}, {"t": {"$contains": "\0"}}, True),
        ({"t": "a\0b"}, {"t": {"$contains": "\2"}}, False),
        ({"t": "\1\2\2"}, {"t": {"$contains": "\0"}}, False),
        ({"t": "\0"}, {"t": {"$lt": "\1"}}, True),
        ({"t": "\3"}, {"t": {"$gt": "\2"}}, True),
        ({"t": "\3"}, {"t": {"$lt": "\4"}}, True),
        ({"\0": 1}, {"\0": 1}, True),
        ({"n": 9223372036854775808.0}, {"n": 9223372036854775808}, True),
        ({"n": 9223372036854775807}, {"n": 9223372036854775808.0}, False),
        ({"n": 9223372036854775807}, {"n": {"$lt": 9223372036854775808.0}}, True),
        ({"n": 1e300}, {"n": {"$gt": 1e299}}, True),
        ({"": {"": 1}}, {".": 1}, True),
        ({'a"b': 1}, {'a"b': 1}, True),
        ({"a": [[[1]]]}, {"a": {"$contains": 1}}, False),
        ({"a": [[[1]]]}, {"a": {"$contains": [1]}}, True),
    ],
)
async def test_texts_and_numbers_that_jsonb_cannot_hold_are_compared_as_they_are(
    database_url: str,
    payload: Mapping[str, JsonValue],
    source: Mapping[str, JsonValue],
    *,
    expected: bool,
) -> None:
    async with open_vector(database_url) as store:
        await store.ensure(COLLECTION)
        await store.upsert(COLLECTION, [point("n", coordinate(1.0), X, payload=payload)])
        wanted = parse_filter(source)
        query = VectorQuery(namespace="n", limit=9, vector=X, filter=wanted)
        [result] = await store.search(COLLECTION, [query])
        assert bool(result.hits) is expected


def test_what_a_filter_says_never_becomes_sql() -> None:
    wanted = parse_filter({"a'b": {"$contains": "'; DROP TABLE x; %(no)s"}})
    assert wanted is not None
    sql = Condition(wanted).sql
    assert "DROP" not in sql
    assert "a'b" not in sql


async def test_one_database_serves_everything(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slots = Slots(
        cache="memory:",
        kv="postgresql:",
        vector="postgresql:",
        graph="postgresql:",
        events=None,
        embedder="hashing:",
    )
    context = BackendContext(data_folder=tmp_path, options={"POSTGRES_URL": database_url})
    registry = load_plugins().registry
    async with open_engine(slots=slots, registry=registry, context=context) as engine:
        for number, text in enumerate(("cats purr", "dogs bark", "birds sing")):
            await engine.store(
                "n", NewMemory(coordinate=coordinate(float(number)), payload={"text": text})
            )
        [first, *_] = await engine.recall("n", RecallQuery(text="bark", top_k=3))
        assert first.memory.payload == {"text": "dogs bark"}
        report = await engine.check()
        assert report.missing == report.stale == report.orphans == 0
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_vectors_come_back_as_they_went(database_url: str) -> None:
    vectors = unit_vectors(50, 8)
    async with open_vector(database_url) as store:
        await store.ensure(COLLECTION)
        await store.upsert(
            COLLECTION, [point("n", coordinate(float(n)), v) for n, v in enumerate(vectors)]
        )
    with psycopg.connect(database_url, autocommit=True) as raw:
        rows = raw.execute("SELECT vector::real[] FROM sfm.point ORDER BY coordinate").fetchall()
    np.testing.assert_array_equal(np.array([row for (row,) in rows], np.float32), vectors)
