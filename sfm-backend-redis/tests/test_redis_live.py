"""Servers that change their mind while they are used: what callers are told, and what stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from redis_helpers import LEASE, open_kv, put, with_options
from redis_server import Server, tell

from sfm_core.errors import (
    BackendUnavailableError,
    ReadOnlyStorageError,
)
from sfm_core.model.keys import KeyRange
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.kv import Commit, Committed, Entry, Write

Start = Callable[..., Server]
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


async def until_told(url: str, section: str, expected: str) -> None:
    """Wait until INFO says something; it tells nobody by itself."""
    while expected not in str(await tell(url, "INFO", section)):  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def test_no_acknowledged_commit_of_many_writers_is_lost_in_a_crash(
    start_server: Start,
) -> None:
    server = start_server(*DURABLE)
    acknowledged: list[bytes] = []

    async def write(writer: int) -> None:
        for number in range(10_000):
            key = b"%d-%d" % (writer, number)
            await put(store, key)
            acknowledged.append(key)

    async with open_kv(server.url) as store:
        writers = [asyncio.create_task(write(number)) for number in range(64)]
        while len(acknowledged) < 300:  # noqa: ASYNC110 - it is to die in the midst of work
            await asyncio.sleep(0)
        server.kill()
        results = await asyncio.gather(*writers, return_exceptions=True)
        assert {isinstance(result, BackendUnavailableError) for result in results} == {True}
        server.start()
        assert None not in await store.get_many("n", acknowledged)
        # Each commit is there with its note, or not at all.
        [found] = await store.scan("n", [KeyRange(b"", None)], limit=MAX_BATCH)
        assert (await store.outbox_status()).depth == len(found)


async def test_a_restarted_server_is_used_again_at_once(start_server: Start) -> None:
    server = start_server(*DURABLE)
    async with open_kv(server.url) as store:
        await put(store, b"before")
        # In a thread, so that the loop hears of the end of its connection.
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        assert isinstance(await put(store, b"after"), Committed)


async def test_connections_that_the_server_closed_are_replaced(start_server: Start) -> None:
    server = start_server()
    async with open_kv(server.url) as store:
        await put(store, b"before")
        await tell(server.url, "CLIENT KILL", "TYPE", "normal")
        # The end of a connection is noticed when the loop has had a turn, as it has while it asks.
        await until_told(server.url, "clients", "'connected_clients': 1")
        assert isinstance(await put(store, b"after"), Committed)


async def test_a_connection_that_ends_in_the_middle_of_a_call_leaves_it_open(
    start_server: Start,
) -> None:
    server = start_server()
    async with open_kv(server.url) as store:
        await tell(server.url, "CLIENT PAUSE", 60_000, "WRITE")
        call = asyncio.create_task(put(store, b"k"))
        await until_told(server.url, "clients", "'blocked_clients': 1")
        await tell(server.url, "CLIENT KILL", "TYPE", "normal")
        with pytest.raises(BackendUnavailableError):
            await call
        await tell(server.url, "CLIENT UNPAUSE")
        assert isinstance(await put(store, b"k"), Committed)


async def test_a_server_that_cannot_save_takes_no_commits(start_server: Start) -> None:
    server = start_server()
    async with open_kv(server.url) as store:
        await put(store, b"before")
        await tell(server.url, "CONFIG SET", "save", "3600 1000000")
        in_the_way = server.folder / "dump.rdb"
        in_the_way.mkdir()
        await tell(server.url, "BGSAVE")
        await until_told(server.url, "persistence", "'rdb_last_bgsave_status': 'err'")
        with pytest.raises(ReadOnlyStorageError, match="disk"):
            await put(store, b"k")
        assert await store.get_many("n", [b"before", b"k"]) == [Entry(b"v", 1), None]
        in_the_way.rmdir()
        await tell(server.url, "BGSAVE")
        await until_told(server.url, "persistence", "'rdb_last_bgsave_status': 'ok'")
        assert isinstance(await put(store, b"k"), Committed)


async def test_a_server_that_loads_its_data_is_unavailable(start_server: Start) -> None:
    server = start_server()
    async with open_kv(server.url) as store:
        writes = tuple(Write(b"%d" % number, b"v" * 100, 1) for number in range(5000))
        await store.commit([Commit(namespace="n", writes=writes)], owner="o", lease=LEASE)
        server.kill()
        # It loads a command per entry and key, and answers after every 1,024 of them.
        server.options = (*server.options, "--key-load-delay", "300")
        started = asyncio.create_task(asyncio.to_thread(server.start))
        reasons: set[str] = set()
        while not started.done():
            try:
                await store.get_many("n", [b"0"])
            except BackendUnavailableError as error:
                reasons.add("loads" if "loading" in str(error) else "absent")
            await asyncio.sleep(0.01)
        await started
        assert "loads" in reasons
        assert await store.get_many("n", [b"0"]) == [Entry(b"v" * 100, 1)]


async def test_a_master_that_became_a_replica_takes_no_commits(start_server: Start) -> None:
    server, master = start_server(), start_server()
    async with open_kv(server.url) as store:
        await put(store, b"before")
        await tell(server.url, "REPLICAOF", "127.0.0.1", master.port)
        with pytest.raises(ReadOnlyStorageError, match="master"):
            await put(store, b"k")
        await tell(server.url, "REPLICAOF", "NO", "ONE")
        assert isinstance(await put(store, b"k"), Committed)


async def test_a_commit_is_not_acknowledged_while_the_replica_is_down(start_server: Start) -> None:
    master = start_server("--appendonly", "no", "--repl-diskless-sync-delay", "0")
    replica = start_server("--replicaof", f"127.0.0.1 {master.port}")
    await until_told(replica.url, "replication", "'master_link_status': 'up'")
    async with open_kv(with_options(master.url, "durability=replicas&timeout_seconds=1")) as store:
        assert isinstance(await put(store, b"before"), Committed)
        replica.kill()
        with pytest.raises(BackendUnavailableError, match="not yet as durable"):
            await put(store, b"alone")
        assert await store.get_many("n", [b"alone"]) == [Entry(b"v", 1)]
    replica.start()


async def test_a_commit_is_not_acknowledged_once_nothing_is_written_to_disk(
    start_server: Start,
) -> None:
    server = start_server(*DURABLE)
    if "waitaof" not in str(await tell(server.url, "COMMAND LIST")):
        pytest.skip("This server has no WAITAOF.")
    async with open_kv(with_options(server.url, "durability=aof")) as store:
        await tell(server.url, "CONFIG SET", "appendonly", "no")
        with pytest.raises(BackendUnavailableError, match="not yet as durable"):
            await put(store, b"k")
        await tell(server.url, "CONFIG SET", "appendonly", "yes")
        await until_told(server.url, "persistence", "'aof_rewrite_in_progress': 0")
        assert isinstance(await put(store, b"after"), Committed)
