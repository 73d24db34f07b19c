"""Servers that are gone, come back, or refuse."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest
from postgres_helpers import commit, open_graph, open_kv
from postgres_server import PostgresServer, make_database

from sfm_backend_postgres.plugin import create_kv
from sfm_core.errors import (
    BackendUnavailableError,
    ConfigurationError,
    ReadOnlyStorageError,
)
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import START
from sfm_core.model.keys import KeyRange
from sfm_core.protocols.kv import Commit, Committed, Entry, Write
from sfm_core.registry import BackendContext

NOWHERE = "postgresql://postgres:secret@127.0.0.1:1/postgres?connect_timeout=1"


async def test_acknowledged_commits_survive_the_death_of_the_server(
    own_server: PostgresServer,
) -> None:
    acknowledged: list[bytes] = []

    async def write(name: int) -> None:
        for number in range(10_000):
            key = b"%d/%d" % (name, number)
            put = Commit(
                namespace="n", writes=(Write(key, key, 1),), expect={key: 0}, counters={"c": 1}
            )
            [result] = await commit(store, put)
            assert isinstance(result, Committed)
            acknowledged.append(key)

    async with open_kv(make_database(own_server.url)) as store:
        tasks = [asyncio.create_task(write(name)) for name in range(4)]
        while len(acknowledged) < 100:  # noqa: ASYNC110 - there is no event for "some commits"
            await asyncio.sleep(0.01)
        own_server.kill()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {BackendUnavailableError}
        own_server.start()
        found = await store.get_many("n", acknowledged)
        assert found == [Entry(key, 1) for key in acknowledged]
        [everything] = await store.scan("n", [KeyRange(b"", None)], limit=10_000)
        assert await store.counters("n") == {"c": len(everything)}


async def test_a_server_that_stands_still_holds_nobody_longer_than_they_wait(
    own_server: PostgresServer,
) -> None:
    async with open_kv(make_database(own_server.url)) as store:
        [first] = await commit(store, Commit(namespace="n", writes=(Write(b"a", b"", 1),)))
        assert isinstance(first, Committed)
        own_server.pause()
        for attempt in range(3):
            write = Write(b"%d" % attempt, b"", 1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await commit(store, Commit(namespace="n", writes=(write,)))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await store.get_many("n", [b"a"])
        own_server.resume()
        assert await store.get_many("n", [b"a"]) == [Entry(b"", 1)]
        [last] = await commit(store, Commit(namespace="n", writes=(Write(b"a", b"", 2),)))
        assert isinstance(last, Committed)


@pytest.mark.long
async def test_a_commit_that_was_under_way_when_the_server_died_happened_whole_or_not_at_all(
    own_server: PostgresServer,
) -> None:
    url = make_database(own_server.url)
    keys = [b"%03d" % number for number in range(200)]
    for version in range(1, 4):
        writes = tuple(Write(key, b"%d" % version, version) for key in keys)
        whole = Commit(namespace="n", writes=writes, counters={"c": 1}, dirty=(b"k",))
        async with open_kv(url) as store:
            writing = asyncio.create_task(commit(store, whole))
            await asyncio.sleep(0.004 * version)
            own_server.kill()
            await asyncio.wait({writing})
            happened = writing.exception() is None
            own_server.start()
            found = await store.get_many("n", keys)
            versions = {entry.version if entry else 0 for entry in found}
            assert len(versions) == 1
            assert not happened or versions == {version}
            assert (await store.counters("n")).get("c", 0) == (await store.outbox_status()).depth


async def test_a_restart_between_two_calls_is_not_noticed(own_server: PostgresServer) -> None:
    url = make_database(own_server.url)
    async with open_kv(url) as store, open_graph(url) as graph:
        for version in (1, 2):
            put = Write(b"k", b"v", version)
            await asyncio.gather(*(store.ping() for _ in range(8)))
            [result] = await commit(store, Commit(namespace="n", writes=(put,)))
            assert isinstance(result, Committed)
            assert await graph.neighbors("n", [Coordinate((1.0,))], limit=1) == [[]]
            own_server.stop()
            own_server.start()
        assert await store.get_many("n", [b"k"]) == [Entry(b"v", 2)]
        assert await store.read_events(after=START, limit=1) == []


async def test_a_call_while_the_server_is_down_says_so(own_server: PostgresServer) -> None:
    async with open_kv(make_database(own_server.url)) as store:
        await store.ping()
        own_server.kill()
        for _ in range(3):
            with pytest.raises(BackendUnavailableError, match="reached"):
                # The pool alone would wait for five seconds.
                await asyncio.wait_for(store.ping(), 4.5)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(BackendUnavailableError) as caught:
        async with open_kv(NOWHERE):
            pass
    assert "runs and is reachable" in caught.value.remedy
    assert isinstance(caught.value.__cause__, psycopg.Error)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("postgres:secret@", "postgres:other@"), "refuses the login"),
        (("postgres:secret@", "nobody:secret@"), "refuses the login"),
        (("/test_", "/absent_"), "no database"),
    ],
)
async def test_what_the_server_refuses_is_a_matter_of_configuration(
    database_url: str, wrong: tuple[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        async with open_kv(database_url.replace(*wrong)):
            pass
    assert caught.value.setting == "POSTGRES_URL"
    assert "secret" not in str(caught.value)


async def test_tls_that_the_server_does_not_have_is_not_left_out(database_url: str) -> None:
    context = BackendContext(data_folder=Path(), options={"POSTGRES_SSL_MODE": "require"})
    with pytest.raises(ConfigurationError) as caught:
        async with create_kv(database_url, context):
            pass
    assert caught.value.setting == "POSTGRES_SSL_MODE"


async def test_a_database_that_accepts_no_writes_can_be_read(postgres_url: str) -> None:
    database_url = make_database(postgres_url)
    async with open_kv(database_url) as store:
        await commit(store, Commit(namespace="n", writes=(Write(b"k", b"v", 1),)))
    with psycopg.connect(database_url, autocommit=True) as raw:
        name = raw.info.dbname
        raw.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    async with open_kv(database_url) as store:
        assert await store.get_many("n", [b"k"]) == [Entry(b"v", 1)]
        with pytest.raises(ReadOnlyStorageError):
            await commit(store, Commit(namespace="n", writes=(Write(b"k", b"w", 2),)))
