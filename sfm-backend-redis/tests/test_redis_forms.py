"""The other ways to reach a Redis: a Unix socket, sentinels, a cluster, TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from redis_helpers import (
    LEASE,
    open_cache,
    open_graph,
    open_kv,
    own_context,
    put,
    with_options,
)
from redis_server import Server, tell

from sfm_backend_redis.plugin import create_cache, create_graph, create_kv
from sfm_core.errors import BackendError, ConfigurationError
from sfm_core.model.events import START
from sfm_core.protocols.cache import Cached
from sfm_core.protocols.graph import Edge, EdgeId
from sfm_core.protocols.kv import Commit, Committed, Entry, Write
from sfm_core.testing.loopback import free_port
from sfm_core.testing.samples import HOSTILE_NAMES, coordinate, event_note

Start = Callable[..., Server]


async def check_all_ports(url: str) -> None:
    """Use each port once, over namespaces that look alike."""
    commits = [
        Commit(
            namespace=name,
            writes=(Write(b"k", name.encode(), 1),),
            expect={b"k": 0},
            counters={"c": 1},
            dirty=(b"k",),
            events=(event_note(b"k"),),
        )
        for name in HOSTILE_NAMES
    ]
    edge = Edge(
        id=EdgeId(source=coordinate(1.0), type="t", target=coordinate(2.0)), weight=1, version=1
    )
    minute = timedelta(minutes=1)
    async with open_kv(url) as store, open_graph(url) as graph, open_cache(url) as cache:
        results = await store.commit(commits, owner="o", lease=LEASE)
        assert all(isinstance(result, Committed) for result in results)
        assert await store.namespaces() == sorted(HOSTILE_NAMES)
        log = await store.read_events(after=START, limit=100)
        assert [event.namespace for event in log] == list(HOSTILE_NAMES)
        for name in HOSTILE_NAMES:
            assert await store.get_many(name, [b"k"]) == [Entry(name.encode(), 1)]
            await graph.apply(name, upserts=[edge])
            await cache.set_if_newer(name, {b"k": Cached(1, name.encode())}, ttl=minute)
        await graph.drop("*")
        await cache.clear("*")
        for name in HOSTILE_NAMES:
            kept = name != "*"
            assert bool(await graph.scroll(name, after=None, limit=9)) is kept
            assert (await cache.get_many(name, [b"k"]) != [None]) is kept
        assert await cache.increment("c", 2, ttl=minute) == 2


@pytest.mark.smoke
async def test_a_server(redis_url: str) -> None:
    await check_all_ports(redis_url)


async def test_the_ports_of_an_engine_have_their_connections_in_common(
    start_server: Start,
) -> None:
    server, context = start_server(), own_context()
    async with create_kv(server.url, context) as store, create_graph(server.url, context) as graph:
        await put(store, b"k")
        await graph.ping()
        async with create_cache(f"{server.url}?timeout_seconds=7", context) as cache:
            await cache.ping()
        clients = cast(list[object], await tell(server.url, "CLIENT LIST"))
        # Theirs, and that of the question.
        assert len(clients) == 2
        await store.__aexit__(None, None, None)
        assert await graph.scroll("n", after=None, limit=1) == []


async def test_a_unix_socket(start_server: Start, tmp_path: Path) -> None:
    start_server("--unixsocket", str(tmp_path / "s"))
    await check_all_ports(f"redis+unix://{tmp_path / 's'}?db=1")


async def test_a_cluster(cluster_url: str) -> None:
    await check_all_ports(cluster_url)


async def test_a_cluster_promises_no_more_than_it_can(cluster_url: str) -> None:
    with pytest.raises(ConfigurationError, match="cluster"):
        await open_kv(with_options(cluster_url, "durability=aof")).__aenter__()


@pytest.fixture
def watched(start_server: Start, tmp_path: Path) -> Iterator[tuple[Server, Server, str]]:
    """Return a master, its replica, and the URL of the sentinel that watches them."""
    master = start_server()
    replica = start_server(
        "--replicaof", f"127.0.0.1 {master.port}", "--repl-diskless-sync-delay", "0"
    )
    folder = tmp_path / "sentinel"
    folder.mkdir()
    config = folder / "sentinel.conf"
    config.write_text(
        f"sentinel monitor truth 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds truth 2000\n"
        "sentinel failover-timeout truth 2000\n"
    )
    sentinel = Server(folder, (str(config), "--sentinel"), free_port())
    sentinel.start()
    yield master, replica, f"redis+sentinel://127.0.0.1:{sentinel.port}/truth/0"
    sentinel.stop()


async def test_sentinels_name_the_master_also_after_a_failover(
    watched: tuple[Server, Server, str],
) -> None:
    master, replica, url = watched
    async with open_kv(with_options(url, "timeout_seconds=3")) as store:
        while "'up'" not in str(await tell(replica.url, "INFO", "replication")):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)
        # The sentinel learns of a replica from the master, every ten seconds.
        while not await knows_replica(url):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.1)
        await put(store, b"before")
        # It is acknowledged before the replica has it.
        keys = await tell(master.url, "DBSIZE")
        while await tell(replica.url, "DBSIZE") != keys:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
        master.kill()
        while True:
            try:
                await put(store, b"after")
            except BackendError:
                await asyncio.sleep(0.1)
            else:
                break
        assert await store.get_many("n", [b"before", b"after"]) == [Entry(b"v", 1)] * 2
    master.start()


async def knows_replica(url: str) -> bool:
    where = url.removeprefix("redis+sentinel://").partition("/")[0]
    found = await tell(f"redis://{where}", "SENTINEL REPLICAS", "truth")
    return bool(found)
