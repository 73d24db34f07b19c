"""Shortest paths that the database finds by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres_helpers import open_graph
from postgres_server import make_database

from sfm_backend_postgres.graph import PostgresGraphStore
from sfm_core.engine.assembly import open_engine
from sfm_core.errors import LimitExceededError, UnsupportedError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import NewMemory
from sfm_core.plugins import load_plugins
from sfm_core.protocols.graph import Edge, EdgeId
from sfm_core.registry import BackendContext
from sfm_core.settings import Slots

_NODES = 7
_FAR = float("inf")
_PLENTY = 1000
_EDGES = st.dictionaries(
    st.tuples(st.integers(0, _NODES - 1), st.integers(0, _NODES - 1), st.sampled_from("xy")),
    st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0, 3.5, 1.5e308]),
    max_size=24,
)
_Edges = Mapping[tuple[int, int, str], float]


def at(number: int) -> Coordinate:
    return Coordinate((float(number),))


def edge(source: int, target: int, weight: float = 1.0, kind: str = "x") -> Edge:
    return Edge(
        id=EdgeId(source=at(source), type=kind, target=at(target)), weight=weight, version=1
    )


def distances(edges: _Edges, kind: str | None, source: int) -> list[float]:
    """Relax every edge until nothing changes, the plain way."""
    best = [0.0 if node == source else _FAR for node in range(_NODES)]
    for _ in range(_NODES):
        for (start, end, each), weight in edges.items():
            if kind in (None, each):
                best[end] = min(best[end], best[start] + weight)
    return best


@pytest.fixture(scope="module")
def paths_url(postgres_url: str) -> str:
    return make_database(postgres_url)


@settings(max_examples=30, deadline=None)
@given(edges=_EDGES, kind=st.sampled_from([None, "x"]))
def test_paths_are_as_short_as_an_exhaustive_search_finds(
    paths_url: str, *, edges: dict[tuple[int, int, str], float], kind: str | None
) -> None:
    asyncio.run(_compare(paths_url, edges, kind))


async def _compare(url: str, edges: _Edges, kind: str | None) -> None:
    async with open_graph(url) as graph:
        await graph.drop("n")
        await graph.apply("n", upserts=[edge(i, j, w, t) for (i, j, t), w in edges.items()])
        for source, target in product(range(_NODES), repeat=2):
            best = distances(edges, kind, source)[target]
            path = await graph.shortest_path(
                "n", at(source), at(target), link_type=kind, max_nodes=_PLENTY
            )
            if path is None:
                assert best == _FAR
                continue
            length, node = 0.0, at(source)
            for step in path:
                assert step.source == node
                assert kind in (None, step.type)
                key = (int(step.source.components[0]), int(step.target.components[0]), step.type)
                length, node = length + edges[key], step.target
            assert node == at(target)
            assert length == best


async def test_a_search_gives_up_after_so_many_nodes(database_url: str) -> None:
    async with open_graph(database_url) as graph:
        await graph.apply("n", upserts=[edge(i, i + 1) for i in range(400)])
        for nodes, target in ((1, 1), (100, 100), (399, 399), (400, 400)):
            found = await graph.shortest_path(
                "n", at(0), at(target), link_type=None, max_nodes=nodes
            )
            assert found is not None
            assert len(found) == target
        with pytest.raises(LimitExceededError, match="100 nearest"):
            await graph.shortest_path("n", at(0), at(400), link_type=None, max_nodes=100)
        assert await graph.shortest_path("n", at(0), at(1), link_type=None, max_nodes=1)


async def test_a_search_sees_one_namespace_only(database_url: str) -> None:
    async with open_graph(database_url) as graph:
        await graph.apply("a", upserts=[edge(0, 1)])
        await graph.apply("b", upserts=[edge(1, 2)])
        for namespace in "ab":
            found = await graph.shortest_path(
                namespace, at(0), at(2), link_type=None, max_nodes=_PLENTY
            )
            assert found is None


async def test_searches_at_the_same_time_do_not_meet(database_url: str) -> None:
    async with open_graph(f"{database_url}?pool_size=3") as graph:
        await graph.apply("n", upserts=[edge(i, i + 1) for i in range(30)])
        found = await asyncio.gather(
            *(
                graph.shortest_path("n", at(0), at(end), link_type=None, max_nodes=_PLENTY)
                for end in range(1, 31)
            )
        )
        assert [len(path or ()) for path in found] == list(range(1, 31))


async def test_a_database_without_temporary_tables_leaves_the_search_to_the_engine(
    postgres_url: str,
) -> None:
    url = make_database(postgres_url)
    async with open_graph(url) as graph:
        await graph.apply("n", upserts=[edge(0, 1)])
    with psycopg.connect(url, autocommit=True) as raw:
        name = raw.info.dbname
        raw.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    async with open_graph(url) as graph:
        with pytest.raises(UnsupportedError):
            await graph.shortest_path("n", at(0), at(1), link_type=None, max_nodes=_PLENTY)


async def test_the_engine_asks_the_database_and_confirms_by_the_truth(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = Slots(
        cache="memory:",
        kv=database_url,
        vector="memory:",
        graph=database_url,
        events=None,
        embedder="hashing:",
    )
    context = BackendContext(data_folder=tmp_path)
    plugins = load_plugins()
    async with open_engine(slots=slots, registry=plugins.registry, context=context) as engine:
        for number in range(4):
            await engine.store("n", NewMemory(coordinate=at(number), payload={}))
        for start, end in ((0, 1), (1, 2), (2, 3)):
            await engine.link("n", at(start), at(end))
        with monkeypatch.context() as patch:
            patch.setattr(PostgresGraphStore, "neighbors", None)
            assert await engine.shortest_path("n", at(0), at(3)) == [at(n) for n in range(4)]
        async with open_graph(database_url) as behind:
            await behind.apply("n", upserts=[edge(0, 3, 0.0, "ghost")])
        assert await engine.shortest_path("n", at(0), at(3)) == [at(n) for n in range(4)]
