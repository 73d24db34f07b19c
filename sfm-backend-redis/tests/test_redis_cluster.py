"""A cluster that loses a master."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

import pytest
import pytest_asyncio
from fix_redis import form_cluster
from redis_helpers import open_kv, put, with_options
from redis_server import Server, tell

from sfm_core.errors import BackendUnavailableError
from sfm_core.protocols.kv import Entry
from sfm_core.testing.loopback import free_port

Start = Callable[..., Server]
PATIENCE = 60.0
BOUNDS = (0, 5461, 10923)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Three masters, and a replica of the one that holds the truth."""

    url: str
    holder: Server
    replica: Server


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what the servers tell nobody."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - as it says
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture
async def cluster(start_server: Start) -> AsyncIterator[Cluster]:
    buses = [free_port() for _ in range(4)]
    servers = [
        start_server(
            *("--cluster-enabled", "yes", "--cluster-port", str(bus)),
            *(
                "--cluster-node-timeout",
                "500",
                "--appendonly",
                "yes",
                "--repl-diskless-sync-delay",
                "0",
            ),
        )
        for bus in buses
    ]
    masters, replica = servers[:3], servers[3]
    await form_cluster(masters, buses[0])
    slot = int(str(await tell(masters[0].url, "CLUSTER KEYSLOT", "{sfm:truth}")))
    holder = masters[sum(slot >= bound for bound in BOUNDS) - 1]
    name = await tell(holder.url, "CLUSTER MYID")
    assert isinstance(name, bytes)
    await tell(replica.url, "CLUSTER MEET", "127.0.0.1", masters[0].port, buses[0])

    async def known() -> bool:
        return name.decode() in str(await tell(replica.url, "CLUSTER NODES"))

    async def followed() -> bool:
        return "'master_link_status': 'up'" in str(await tell(replica.url, "INFO", "replication"))

    async def listed() -> bool:
        found = [str(await tell(master.url, "CLUSTER NODES")) for master in masters]
        return all("slave" in each for each in found)

    await until(known)
    await tell(replica.url, "CLUSTER REPLICATE", name.decode())
    await until(followed)
    await until(listed)
    hosts = ",".join(f"127.0.0.1:{each.port}" for each in masters)
    yield Cluster(url=f"redis+cluster://{hosts}", holder=holder, replica=replica)
    # The driver lets go of nodes that leave a cluster without closing them. They are collected
    # here, while their loop runs, so that no later test is blamed for them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def test_a_replica_takes_over_the_truth_of_a_master_that_died(cluster: Cluster) -> None:
    async with open_kv(with_options(cluster.url, "timeout_seconds=1")) as store:
        await put(store, b"before")
        await tell(cluster.holder.url, "WAIT", 1, 5000)
        cluster.holder.kill()
        deadline = monotonic() + PATIENCE
        failures = 0
        while True:
            started = monotonic()
            try:
                await put(store, b"after")
            except BackendUnavailableError:
                failures += 1
                assert monotonic() - started < 10
                assert monotonic() < deadline
                await asyncio.sleep(0.05)
            else:
                break
        assert failures
        assert await store.get_many("n", [b"before", b"after"]) == [Entry(b"v", 1)] * 2
        assert (await store.outbox_status()).depth == 2
    # What is left of the cluster is enough to begin with.
    async with open_kv(cluster.url) as store:
        assert (await store.outbox_status()).depth == 2


async def test_a_truth_is_unavailable_until_its_master_is_back(cluster: Cluster) -> None:
    async with open_kv(with_options(cluster.url, "timeout_seconds=1")) as store:
        await put(store, b"before")
        cluster.replica.kill()
        cluster.holder.kill()
        with pytest.raises(BackendUnavailableError):
            await put(store, b"k")

        cluster.holder.start()

        async def up() -> bool:
            try:
                return await store.get_many("n", [b"before"]) == [Entry(b"v", 1)]
            except BackendUnavailableError:
                return False

        await until(up)
