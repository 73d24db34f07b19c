"""Shortest paths: which links count, and that none is shorter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from itertools import pairwise, product

import pytest
from engine_house import NS, Faults, House, at, new, open_house
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfm_core.engine import inputs, paths
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import LimitExceededError, NotFoundError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.link import MAX_WEIGHT
from sfm_core.protocols.graph import Edge, EdgeId

A, B, C, D = at(1), at(2), at(3), at(4)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def engine(house: House, faults: Faults) -> AsyncIterator[MemoryEngine]:
    async with house.open(faults=faults) as opened:
        await opened.store_many(NS, [new(c) for c in (A, B, C, D)])
        yield opened


async def test_a_path_leads_over_the_least_weights(engine: MemoryEngine) -> None:
    await engine.link(NS, A, D, weight=10)
    await engine.link(NS, A, B, weight=1)
    await engine.link(NS, B, C, weight=1)
    await engine.link(NS, C, D, weight=1)
    assert await engine.shortest_path(NS, A, D) == [A, B, C, D]
    assert await engine.shortest_path(NS, D, A) == []
    assert await engine.shortest_path(NS, A, A) == [A]


async def test_a_path_over_the_heaviest_links_is_found(engine: MemoryEngine) -> None:
    for start, end in pairwise((A, B, C, D)):
        await engine.link(NS, start, end, weight=MAX_WEIGHT)
    assert await engine.shortest_path(NS, A, D) == [A, B, C, D]


async def test_a_path_that_is_too_long_for_a_float_is_found(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As another release may have permitted them.
    monkeypatch.setattr(inputs, "MAX_WEIGHT", 1.7e308)
    for start, end in pairwise((A, B, C)):
        await engine.link(NS, start, end, weight=1.7e308)
    assert await engine.shortest_path(NS, A, C) == [A, B, C]


async def test_a_path_keeps_to_links_of_the_type(engine: MemoryEngine) -> None:
    await engine.link(NS, A, B, type="x")
    await engine.link(NS, B, C, type="y")
    assert await engine.shortest_path(NS, A, C) == [A, B, C]
    assert await engine.shortest_path(NS, A, C, link_type="x") == []


async def test_a_path_between_memories_that_are_not_there_is_not_found(
    engine: MemoryEngine,
) -> None:
    for source, target in ((A, at(9)), (at(9), A)):
        with pytest.raises(NotFoundError):
            await engine.shortest_path(NS, source, target)


async def test_a_path_avoids_memories_that_have_expired(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(B, ttl=timedelta(seconds=2)))
    await engine.link(NS, A, B, weight=1)
    await engine.link(NS, B, D, weight=1)
    await engine.link(NS, A, C, weight=5)
    await engine.link(NS, C, D, weight=5)
    assert await engine.shortest_path(NS, A, D) == [A, B, D]
    await house.clock.advance(timedelta(seconds=2))
    assert await engine.shortest_path(NS, A, D) == [A, C, D]


async def test_a_path_through_more_links_than_are_read_is_refused_not_guessed(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "MAX_DEGREE", 2)
    await engine.link(NS, A, B)
    await engine.link(NS, A, C)
    with pytest.raises(LimitExceededError, match="links or more"):
        await engine.shortest_path(NS, A, D)


async def test_a_path_is_found_behind_many_dead_edges(house: House, engine: MemoryEngine) -> None:
    await engine.link(NS, A, D, weight=9)
    ghosts = [at(100 + n) for n in range(60)]
    edges = [(A, g) for g in ghosts] + [(g, D) for g in ghosts]
    await house.graph.apply(
        NS,
        upserts=[
            Edge(id=EdgeId(source=s, type="related", target=t), weight=1, version=1)
            for s, t in edges
        ],
    )
    assert await engine.shortest_path(NS, A, D) == [A, D]


_NODES = 6
_edges = st.dictionaries(
    st.tuples(st.integers(0, _NODES - 1), st.integers(0, _NODES - 1), st.sampled_from("xy")),
    st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5]),
    max_size=18,
)


def _distances(edges: Mapping[tuple[int, int, str], float], kind: str | None) -> list[list[float]]:
    """Floyd and Warshall, the plain way."""
    far = float("inf")
    best = [[0.0 if i == j else far for j in range(_NODES)] for i in range(_NODES)]
    for (i, j, each), weight in edges.items():
        if kind in (None, each):
            best[i][j] = min(best[i][j], weight)
    for k, i, j in product(range(_NODES), repeat=3):
        best[i][j] = min(best[i][j], best[i][k] + best[k][j])
    return best


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    edges=_edges,
    dead=st.sets(st.integers(0, _NODES - 1), max_size=1),
    kind=st.sampled_from([None, "x"]),
)
def test_paths_are_as_short_as_an_exhaustive_search_finds(
    edges: dict[tuple[int, int, str], float], dead: set[int], kind: str | None
) -> None:
    asyncio.run(_compare_paths(edges, dead, kind))


async def _compare_paths(
    edges: dict[tuple[int, int, str], float], dead: set[int], kind: str | None
) -> None:
    faults = Faults()
    async with open_house() as house, house.open(faults=faults) as engine:
        await engine.store_many(NS, [new(at(n), "x") for n in range(_NODES)])
        await asyncio.gather(
            *(engine.link(NS, at(i), at(j), type=t, weight=w) for (i, j, t), w in edges.items())
        )
        faults.vector.fail("delete", times=None)
        await engine.delete_many(NS, [at(n) for n in dead])
        alive = {e: w for e, w in edges.items() if not {e[0], e[1]} & dead}
        best = _distances(alive, kind)
        for i, j in product(sorted(set(range(_NODES)) - dead), repeat=2):
            path = await engine.shortest_path(NS, at(i), at(j), link_type=kind)
            assert _length(path, alive, kind) == best[i][j]
            if path:
                assert (path[0], path[-1]) == (at(i), at(j))


def _length(
    path: list[Coordinate], edges: Mapping[tuple[int, int, str], float], kind: str | None
) -> float:
    if not path:
        return float("inf")
    nodes = [int(c.components[0]) for c in path]
    return sum(
        min(
            (w for (s, t, each), w in edges.items() if (s, t) == step and kind in (None, each)),
            default=float("inf"),
        )
        for step in pairwise(nodes)
    )
