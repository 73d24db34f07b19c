"""What people see who look into the database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres_helpers import commit, open_kv
from postgres_server import make_database

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import memory_key
from sfm_core.protocols.kv import Commit, Write
from sfm_core.testing.samples import HOSTILE_COORDINATES

_MEMORY = (
    b'{"payload":{"text":"x\\u0000y","kept":"\\\\u0000"},"created_at":"2026-05-17T10:00:00Z",'
    b'"updated_at":"2026-05-17T10:00:00.5Z","type":"semantic","importance":0.75}'
)


async def store(url: str, *values: bytes) -> None:
    """Store values as memories at 1, 2, 3 and so on, and something that is no memory."""
    writes = [
        Write(memory_key(Coordinate((float(number), -0.5))), value, 3)
        for number, value in enumerate(values, 1)
    ]
    writes.append(Write(b"h\x01d", b'{"payload":{}}', 1))
    async with open_kv(url) as kv:
        await commit(kv, Commit(namespace="n", writes=tuple(writes)))


async def test_memories_are_shown_with_their_payload_as_json(database_url: str) -> None:
    await store(database_url, _MEMORY)
    with psycopg.connect(database_url) as raw:
        [row] = raw.execute(
            "SELECT namespace, coordinate, version, type, importance, payload, created_at, "
            "updated_at, expires_at FROM sfm.memory"
        ).fetchall()
    moment = datetime(2026, 5, 17, 10, tzinfo=UTC)
    payload = {"text": "x\ufffdy", "kept": "\\u0000"}
    after = moment.replace(microsecond=500_000)
    assert row == ("n", [1.0, -0.5], 3, "semantic", 0.75, payload, moment, after, None)


@pytest.mark.parametrize(
    "value",
    [
        b"\xff no json",
        b"[1]",
        b"{}",
        b'{"payload":{},"importance":"high","created_at":"soon","expires_at":7}',
    ],
)
async def test_what_cannot_be_shown_hides_nothing_else(database_url: str, value: bytes) -> None:
    await store(database_url, _MEMORY, value)
    with psycopg.connect(database_url) as raw:
        rows = raw.execute("SELECT coordinate, importance FROM sfm.memory ORDER BY 1").fetchall()
    assert rows == [([1.0, -0.5], 0.75), ([2.0, -0.5], 0.5)]


async def test_what_is_deleted_or_expired_is_not_shown(database_url: str) -> None:
    await store(
        database_url,
        b'{"deleted":true,"payload":{}}',
        b'{"payload":{},"expires_at":"2020-01-01T00:00:00Z"}',
        b'{"payload":{},"expires_at":"2220-01-01T00:00:00Z"}',
    )
    with psycopg.connect(database_url) as raw:
        rows = raw.execute("SELECT coordinate FROM sfm.memory").fetchall()
    assert rows == [([3.0, -0.5],)]


@pytest.fixture(scope="module")
def functions(postgres_url: str) -> Iterator[psycopg.Connection]:
    """Return a connection to a migrated database."""
    url = make_database(postgres_url)
    asyncio.run(store(url))
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@settings(deadline=None)
@given(
    components=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5)
)
def test_coordinates_are_shown_as_their_numbers(
    functions: psycopg.Connection, *, components: list[float]
) -> None:
    coordinate = Coordinate(tuple(components))
    assert shown(functions, coordinate.key) == list(coordinate.components)


def test_hostile_coordinates_are_shown_as_their_numbers(functions: psycopg.Connection) -> None:
    for coordinate in HOSTILE_COORDINATES:
        assert shown(functions, coordinate.key) == list(coordinate.components)


@pytest.mark.parametrize("key", [b"", b"\x01", b"\x02" + bytes(9)])
def test_what_is_no_coordinate_is_shown_as_nothing(
    functions: psycopg.Connection, key: bytes
) -> None:
    assert shown(functions, key) is None


def shown(connection: psycopg.Connection, key: bytes) -> object:
    row = connection.execute("SELECT sfm.coordinate(%s)", (key,), binary=True).fetchone()
    assert row
    return row[0]
