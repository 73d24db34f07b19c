"""Servers that die, are full, refuse or forget: what callers are told, and what stays."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest
from redis_helpers import LEASE, open_cache, open_graph, open_kv, put, with_options
from redis_server import Server, tell

from sfm_core.errors import (
    BackendUnavailableError,
    ConfigurationError,
    CorruptDataError,
    DeadlineExceededError,
    ReadOnlyStorageError,
    StorageFullError,
)
from sfm_core.model.events import START
from sfm_core.protocols.kv import Commit, Committed, Entry, Write
from sfm_core.testing.loopback import free_port

Start = Callable[..., Server]


@pytest.mark.parametrize("durability", ["memory", "aof"])
async def test_acknowledged_commits_survive_a_killed_server(
    start_server: Start, durability: str
) -> None:
    server = start_server("--appendonly", "yes", "--appendfsync", "always")
    async with open_kv(with_options(server.url, f"durability={durability}")) as store:
        for number in range(100):
            assert isinstance(await put(store, b"%d" % number), Committed)
        server.kill()
        with pytest.raises(BackendUnavailableError):
            await put(store, b"lost")
        server.start()
        found = await store.get_many("n", [b"%d" % number for number in range(100)])
        assert found == [Entry(b"v", 1)] * 100
        assert (await store.outbox_status()).depth == 100


async def test_commits_at_the_moment_of_a_crash_are_there_or_were_not_acknowledged(
    start_server: Start,
) -> None:
    server = start_server()
    acknowledged: list[bytes] = []

    async def write(writer: int) -> None:
        for number in range(10_000):
            key = b"%d-%d" % (writer, number)
            await put(store, key)
            acknowledged.append(key)

    async with open_kv(server.url) as store:
        writers = [asyncio.create_task(write(number)) for number in range(4)]
        while len(acknowledged) < 200:  # noqa: ASYNC110 - it is to die in the midst of work
            await asyncio.sleep(0)
        server.kill()
        results = await asyncio.gather(*writers, return_exceptions=True)
        assert {isinstance(result, BackendUnavailableError) for result in results} == {True}
        server.start()
        assert None not in await store.get_many("n", acknowledged)
        assert (await store.counters("n")) == {}


async def test_scripts_are_sent_again_to_a_server_that_forgot_them(start_server: Start) -> None:
    server = start_server("--appendonly", "yes", "--appendfsync", "always")
    async with open_kv(with_options(server.url, "durability=aof")) as store:
        await put(store, b"before")
        await tell(server.url, "SCRIPT FLUSH")
        await put(store, b"after")
        await tell(server.url, "SCRIPT FLUSH")
        assert (await store.outbox_status()).depth == 2


async def test_nobody_listening_is_unavailable() -> None:
    with pytest.raises(BackendUnavailableError, match="could not be reached"):
        await open_kv(f"redis://127.0.0.1:{free_port()}").__aenter__()


async def test_a_server_that_does_not_answer_is_given_up(start_server: Start) -> None:
    server = start_server()
    async with open_kv(with_options(server.url, "timeout_seconds=2")) as store:
        await tell(server.url, "CLIENT PAUSE", 60_000, "WRITE")
        with pytest.raises(DeadlineExceededError, match="in time"):
            await put(store, b"k")
        await tell(server.url, "CLIENT UNPAUSE")
        assert isinstance(await put(store, b"k"), Committed)


@pytest.mark.parametrize("login", ["", ":wrong@"])
async def test_a_wrong_login_names_the_setting_and_hides_the_password(
    start_server: Start, login: str
) -> None:
    server = start_server("--requirepass", "right")
    url = server.url.replace("redis://", f"redis://{login}")
    with pytest.raises(ConfigurationError, match="REDIS_PASSWORD") as caught:
        await open_cache(url).__aenter__()
    assert ":wrong" not in str(caught.value)
    async with open_cache(server.url.replace("redis://", "redis://:right@")) as cache:
        await cache.ping()


async def test_a_full_server_refuses_and_keeps_what_it_had(start_server: Start) -> None:
    server = start_server()
    async with open_kv(server.url) as store:
        await put(store, b"k")
        await tell(server.url, "CONFIG SET", "maxmemory", 1)
        commit = Commit(namespace="n", writes=(Write(b"new", b"v"),), dirty=(b"new",))
        with pytest.raises(StorageFullError, match="maxmemory"):
            await store.commit([commit], owner="o", lease=LEASE)
        await tell(server.url, "CONFIG SET", "maxmemory", 0)
        assert await store.get_many("n", [b"k", b"new"]) == [Entry(b"v", 1), None]
        assert (await store.outbox_status()).depth == 1


async def test_a_replica_reads_but_takes_no_commits(start_server: Start) -> None:
    master, replica = start_server(), start_server()
    async with open_kv(with_options(master.url, "durability=replicas")) as store:
        await tell(replica.url, "REPLICAOF", "127.0.0.1", master.port)
        while "'up'" not in str(await tell(replica.url, "INFO", "replication")):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)
        await put(store, b"k")
    async with open_kv(replica.url) as store:
        assert await store.get_many("n", [b"k"]) == [Entry(b"v", 1)]
        assert len(await store.scan("n", [], limit=1)) == 0
        assert await store.read_events(after=START, limit=1) == []
        with pytest.raises(ReadOnlyStorageError, match="master"):
            await put(store, b"k")


async def test_a_commit_that_no_replica_has_is_not_acknowledged(start_server: Start) -> None:
    url = with_options(start_server().url, "durability=replicas&timeout_seconds=3")
    async with open_kv(url) as store:
        with pytest.raises(BackendUnavailableError, match="durable"):
            await put(store, b"k")


async def test_disk_durability_needs_a_server_that_writes_to_disk(start_server: Start) -> None:
    server = start_server("--appendonly", "no")
    with pytest.raises(ConfigurationError, match="appendonly"):
        await open_kv(with_options(server.url, "durability=aof")).__aenter__()


async def test_a_truth_in_memory_only_is_warned_of(
    start_server: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_server("--appendonly", "no")
    with caplog.at_level(logging.WARNING):
        async with open_kv(server.url):
            pass
        async with open_graph(server.url):
            pass
    assert ["append-only" in record.getMessage() for record in caplog.records] == [True]


async def test_a_truth_that_may_be_removed_is_warned_of(
    start_server: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_server("--appendonly", "yes", "--maxmemory-policy", "allkeys-lru")
    with caplog.at_level(logging.WARNING):
        async with open_kv(server.url):
            pass
        await tell(server.url, "CONFIG SET", "maxmemory-policy", "volatile-lru")
        async with open_kv(server.url):
            pass
    assert ["noeviction" in record.getMessage() for record in caplog.records] == [True]


def entries_key(url: str) -> str:
    return f"{{{url.partition('prefix=')[2]}:truth}}:entries:n"


async def test_data_of_another_program_are_reported(redis_server: str, redis_url: str) -> None:
    await tell(redis_server, "SET", entries_key(redis_url), "theirs")
    async with open_kv(redis_url) as store:
        with pytest.raises(CorruptDataError, match="prefix"):
            await store.get_many("n", [b"k"])


async def test_an_entry_that_was_tampered_with_is_reported(
    redis_server: str, redis_url: str
) -> None:
    await tell(redis_server, "HSET", entries_key(redis_url), "k", "nonsense")
    async with open_kv(redis_url) as store:
        with pytest.raises(CorruptDataError, match="backup"):
            await store.get_many("n", [b"k"])


async def test_a_cancelled_commit_leaves_the_store_usable(redis_url: str) -> None:
    async with open_kv(with_options(redis_url, "max_connections=2")) as store:
        for number in range(20):
            task = asyncio.create_task(put(store, b"%d" % number))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert isinstance(await put(store, b"after"), Committed)
        assert await store.get_many("n", [b"after"]) == [Entry(b"v", 1)]
