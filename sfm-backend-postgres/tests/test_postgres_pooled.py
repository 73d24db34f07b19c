"""The PostgreSQL backends behind PgBouncer in transaction mode."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from postgres_helpers import commit, open_graph, open_kv, open_vector

from sfm_backend_postgres.graph import PostgresGraphStore
from sfm_backend_postgres.kv import PostgresKeyValueStore
from sfm_core.errors import UnsupportedError
from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.graph import Edge, EdgeId
from sfm_core.protocols.kv import Commit, Committed, Write
from sfm_core.protocols.vector import Collection, VectorQuery
from sfm_core.testing.clock import MovableClock, WaitingClock
from sfm_core.testing.contracts.graph import GraphStoreContract
from sfm_core.testing.contracts.kv import KeyValueStoreContract
from sfm_core.testing.samples import axis, point


@pytest.fixture
def pooled_url(through_pgbouncer: Callable[[str], str], database_url: str) -> str:
    """Return the URL of an empty database, through PgBouncer."""
    return through_pgbouncer(database_url)


class TestPooledKeyValueStore(KeyValueStoreContract):
    lease = timedelta(seconds=0.6)

    @pytest.fixture
    def clock(self) -> MovableClock:
        return WaitingClock()

    @pytest.fixture
    def make(self, pooled_url: str) -> Callable[[], PostgresKeyValueStore]:
        return lambda: open_kv(pooled_url)


class TestPooledGraphStore(GraphStoreContract):
    @pytest.fixture
    def make(self, pooled_url: str) -> Callable[[], PostgresGraphStore]:
        return lambda: open_graph(pooled_url)


async def test_points_are_found_through_a_pooler(pooled_url: str) -> None:
    collection = Collection(name="c", dimension=8)
    async with open_vector(pooled_url) as store:
        await store.ensure(collection)
        for number in range(5):
            here = point("n", Coordinate((float(number),)), axis(0, 8), terms={"a": 1.0})
            await store.upsert(collection, [here])
            query = VectorQuery(namespace="n", limit=9, vector=axis(0, 8), terms={"a": 1.0})
            [result] = await store.search(collection, [query])
            assert len(result.hits) == number + 1


async def test_nobody_listens_through_a_pooler_that_shares_sessions(pooled_url: str) -> None:
    async with open_kv(pooled_url) as store:
        for _ in range(2):
            with pytest.raises(UnsupportedError):
                await store.wait_for_work()


async def test_more_tasks_than_sessions_search_and_write_at_once(pooled_url: str) -> None:
    at = [Coordinate((float(number),)) for number in range(30)]
    edges = [
        Edge(id=EdgeId(source=one, type="t", target=other), weight=1.0, version=1)
        for one, other in pairwise(at)
    ]
    async with open_kv(pooled_url) as store, open_graph(pooled_url) as graph:
        await graph.apply("n", upserts=edges)
        paths = [
            graph.shortest_path("n", at[0], end, link_type=None, max_nodes=100) for end in at[1:]
        ]
        writes = [
            commit(store, Commit(namespace="n", writes=(Write(b"%d" % n, b"", 1),)))
            for n in range(30)
        ]
        found, written = await asyncio.gather(asyncio.gather(*paths), asyncio.gather(*writes))
        assert [len(path or ()) for path in found] == list(range(1, 30))
        assert all(isinstance(result, Committed) for [result] in written)
