"""How commits are sent: which travel together, in which form, and at which level they run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres_helpers import commit, open_kv
from psycopg.conninfo import conninfo_to_dict

from sfm_backend_postgres._commits import calls
from sfm_backend_postgres._packing import (
    Packed,
    PackedDumper,
    pack_bigints,
    pack_bytes,
    pack_integers,
    pack_texts,
    pack_times,
)
from sfm_core.protocols.kv import Commit, Committed, Conflict, Entry, Write


def put(key: bytes, version: int = 1, *, namespace: str = "n", after: int | None = None) -> Commit:
    """Return a commit of one entry, which may expect a version."""
    expect = {} if after is None else {key: after}
    return Commit(namespace=namespace, writes=(Write(key, b"v", version),), expect=expect)


def look(key: bytes) -> Commit:
    """Return a commit that expects a key to be absent, and writes nothing."""
    return Commit(namespace="n", expect={key: 0}, counters={"c": 1})


def test_commits_that_do_not_rest_on_one_another_travel_in_one_call() -> None:
    commits = [look(b"a"), put(b"a"), put(b"b"), put(b"a", namespace="m"), look(b"c")]
    assert [call.commits for call in calls(commits)] == [commits]


def test_what_looks_at_or_writes_a_written_key_waits_for_the_next_call() -> None:
    commits = [put(b"a"), put(b"b"), look(b"b"), put(b"a"), put(b"a")]
    assert [call.commits for call in calls(commits)] == [commits[:2], commits[2:4], commits[4:]]


async def test_commits_of_several_calls_happen_in_order(database_url: str) -> None:
    chain = [put(b"k", version, after=version - 1) for version in range(1, 6)]
    async with open_kv(database_url) as store:
        results = await commit(store, put(b"x"), *chain, put(b"k", 9, after=3), put(b"y"))
        assert [type(result) for result in results] == [Committed] * 6 + [Conflict, Committed]
        assert results[6] == Conflict(current={b"k": Entry(b"v", 5)})


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_the_level_that_is_usual_in_the_database_does_not_matter(
    database_url: str, level: str
) -> None:
    database = conninfo_to_dict(database_url)["dbname"]
    setting = f"ALTER DATABASE {database} SET default_transaction_isolation"
    with psycopg.connect(database_url, autocommit=True) as raw:
        raw.execute(f"{setting} = '{level}'".encode())
        try:
            async with open_kv(database_url) as store:
                await commit(store, put(b"k"))
                [result] = await commit(store, put(b"k", after=0))
                assert result == Conflict(current={b"k": Entry(b"v", 1)})
        finally:
            raw.execute(f"{setting} TO DEFAULT".encode())


_BIG = st.integers(-(2**63), 2**63 - 1)
_TIMES = st.datetimes(datetime(1900, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is given beside


@settings(deadline=None)
@given(
    octets=st.lists(st.none() | st.binary()),
    texts=st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"))),
    integers=st.lists(st.integers(-(2**31), 2**31 - 1)),
    bigints=st.lists(_BIG),
    times=st.lists(_TIMES),
)
def test_the_server_reads_what_was_packed(
    raw_connection: psycopg.Connection,
    *,
    octets: list[bytes | None],
    texts: list[str],
    integers: list[int],
    bigints: list[int],
    times: list[datetime],
) -> None:
    packed = (
        pack_bytes(octets),
        pack_texts(texts),
        pack_integers(integers),
        pack_bigints(bigints),
        pack_times(times),
    )
    row = raw_connection.execute(
        "SELECT %s::bytea[], %s::text[], %s::integer[], %s::bigint[], %s::timestamptz[]",
        packed,
        binary=True,
    ).fetchone()
    assert row == (octets, texts, integers, bigints, times)


@pytest.fixture(scope="module")
def raw_connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.adapters.register_dumper(Packed, PackedDumper)
        yield connection
