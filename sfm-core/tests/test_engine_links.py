"""Links: how long they live, who is near, and the shortest way."""

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
from sfm_core.model.link import MAX_WEIGHT, Link
from sfm_core.model.patch import MemoryPatch
from sfm_core.protocols.graph import Direction, Edge, EdgeId
from sfm_core.protocols.vector import PointId

A, B, C, D = at(1), at(2), at(3), at(4)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as made:
        yield made


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def engine(house: House, faults: Faults) -> AsyncIterator[MemoryEngine]:
    async with house.open(faults=faults) as opened:
        await opened.store_many(NS, [new(c) for c in (A, B, C, D)])
        yield opened


def ends(links: list[Link]) -> list[tuple[Coordinate, Coordinate]]:
    return [(link.source, link.target) for link in links]


async def test_a_link_is_found_from_both_ends(engine: MemoryEngine) -> None:
    link = await engine.link(NS, A, B, type="before", weight=2.5)
    assert (link.version, link.type, link.weight) == (1, "before", 2.5)
    assert await engine.neighbors(NS, A) == [link]
    assert await engine.neighbors(NS, B) == []
    assert await engine.neighbors(NS, B, direction=Direction.IN) == [link]
    assert (await engine.stats(NS)).links == 1


async def test_linking_again_replaces_the_link_of_that_type_only(engine: MemoryEngine) -> None:
    await engine.link(NS, A, B, weight=1)
    await engine.link(NS, A, B, type="other", weight=2)
    assert (await engine.link(NS, A, B, weight=3)).version == 2
    assert [(n.type, n.weight) for n in await engine.neighbors(NS, A)] == [
        ("other", 2),
        ("related", 3),
    ]
    assert (await engine.stats(NS)).links == 2


@pytest.mark.parametrize(("source", "target"), [(A, at(9)), (at(9), A), (at(9), at(8))])
async def test_a_link_needs_both_ends(
    engine: MemoryEngine, source: Coordinate, target: Coordinate
) -> None:
    with pytest.raises(NotFoundError, match=r"memory at [98]"):
        await engine.link(NS, source, target)
    assert (await engine.stats(NS)).links == 0


async def test_a_memory_can_be_linked_with_itself(engine: MemoryEngine) -> None:
    await engine.link(NS, A, A)
    assert ends(await engine.neighbors(NS, A)) == [(A, A)]
    await engine.delete(NS, A)
    assert (await engine.stats(NS)).links == 0


async def test_unlinking_tells_whether_there_was_a_link(engine: MemoryEngine) -> None:
    await engine.link(NS, A, B)
    assert not await engine.unlink(NS, B, A)
    assert not await engine.unlink(NS, A, B, type="other")
    assert await engine.unlink(NS, A, B)
    assert not await engine.unlink(NS, A, B)
    assert await engine.neighbors(NS, A) == []
    assert (await engine.link(NS, A, B)).version == 3


async def test_deleting_a_memory_takes_its_links_along(house: House, engine: MemoryEngine) -> None:
    for source, target in ((A, B), (B, C), (C, B), (A, C)):
        await engine.link(NS, source, target)
    await engine.delete(NS, B)
    assert (await engine.stats(NS)).links == 1
    assert await house.edges() == {(A, "related", C)}
    assert (await engine.check()).consistent


async def test_a_link_does_not_come_back_with_its_memory(
    house: House, engine: MemoryEngine
) -> None:
    await engine.link(NS, A, B)
    await engine.delete(NS, B)
    await engine.store(NS, new(B))
    assert await engine.neighbors(NS, A) == []
    assert await house.edges() == set()


async def test_a_link_survives_updates_of_its_ends(engine: MemoryEngine) -> None:
    await engine.link(NS, A, B)
    await engine.store(NS, new(A, "changed"))
    await engine.set_importance(NS, B, 1.0)
    assert ends(await engine.neighbors(NS, A)) == [(A, B)]


async def test_links_of_a_memory_that_died_and_came_back_unnoticed_are_removed(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    await engine.link(NS, A, B)
    await engine.link(NS, B, A)
    faults.vector.fail("delete", times=None)
    await engine.delete(NS, B)
    assert await engine.neighbors(NS, A) == []
    faults.clear()
    await engine.store(NS, new(B, "another life"))
    assert await engine.neighbors(NS, A) == []
    assert await engine.neighbors(NS, A, direction=Direction.IN) == []
    await house.sweep(timedelta(minutes=1))
    assert (await engine.stats(NS)).links == 0
    assert await house.edges() == set()
    assert not await engine.unlink(NS, A, B)


async def test_links_of_a_memory_that_expired_and_was_stored_anew_are_removed(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(B, ttl=timedelta(seconds=3)))
    await engine.link(NS, A, B)
    await house.clock.advance(timedelta(seconds=3))
    await engine.store(NS, new(B, "another life"))
    assert await engine.neighbors(NS, A) == []
    assert not await engine.unlink(NS, A, B)
    await house.sweep()
    assert (await engine.stats(NS)).links == 0
    assert (await engine.check()).consistent


async def test_new_links_of_a_memory_that_came_back_stay(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    await engine.link(NS, A, B)
    await engine.link(NS, C, B)
    faults.graph.fail("apply", times=None)
    await engine.delete(NS, B)
    await engine.store(NS, new(B, "another life"))
    link = await engine.link(NS, A, B, weight=7)
    faults.clear()
    await house.sweep(timedelta(minutes=1))
    assert await engine.neighbors(NS, A) == [link]
    assert await engine.neighbors(NS, C) == []
    assert (await engine.stats(NS)).links == 1
    assert await house.edges() == {(A, "related", B)}


@pytest.mark.parametrize("port", ["kv", "graph", "vector"])
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
async def test_reaping_that_was_interrupted_is_finished_by_the_sweeper(
    house: House, faults: Faults, engine: MemoryEngine, port: str, nth: int
) -> None:
    for other in (B, C, D):
        await engine.link(NS, A, other)
        await engine.link(NS, other, A)
    plan = getattr(faults, port)
    method = {"kv": "commit", "graph": "apply", "vector": "delete"}[port]
    plan.fail(method, nth=nth + (port == "kv"))
    await engine.delete(NS, A)
    await house.sweep(timedelta(minutes=1))
    await house.sweep(timedelta(minutes=1))
    assert (await engine.stats(NS)).links == 0
    assert await house.edges() == set()
    await house.nothing_waits()
    assert (await engine.check()).consistent


async def test_a_link_that_is_made_anew_while_the_old_one_is_reaped_keeps_its_edge(
    house: House, engine: MemoryEngine, faults: Faults
) -> None:
    await engine.link(NS, A, B)
    gate = faults.graph.hold("apply")
    deleting = asyncio.create_task(engine.delete(NS, A))
    await gate.reached()
    async with house.open() as other:
        await other.store(NS, new(A, "another life"))
        await other.link(NS, A, B)
    # It is closed, so its notes are gone: nobody comes back to its link.
    gate.open()
    await deleting
    await house.nothing_waits(sweeping=True)
    assert ends(await engine.neighbors(NS, A)) == [(A, B)]


async def test_the_edge_of_an_end_that_is_made_to_last_longer_at_the_last_moment_stays(
    house: House, engine: MemoryEngine, faults: Faults
) -> None:
    hour = timedelta(hours=1)
    await engine.update(NS, A, MemoryPatch(ttl=hour))
    # The follower of the link has read the ends, and has not looked at the clock since.
    gate = faults.kv.hold_reply("get_many", nth=3)
    linking = asyncio.create_task(engine.link(NS, A, B))
    await gate.reached()
    async with house.open() as other:
        await other.update(NS, A, MemoryPatch(ttl=3 * hour))
        await house.clock.advance(2 * hour)
        gate.open()
        await linking
        await house.nothing_waits(sweeping=True)
        assert ends(await other.neighbors(NS, A)) == [(A, B)]


async def test_neighbors_are_the_lightest_first_and_as_many_as_asked(engine: MemoryEngine) -> None:
    for target, weight in ((B, 3.0), (C, 1.0), (D, 2.0)):
        await engine.link(NS, A, target, weight=weight)
    assert [n.target for n in await engine.neighbors(NS, A)] == [C, D, B]
    assert [n.target for n in await engine.neighbors(NS, A, limit=2)] == [C, D]


async def test_dead_edges_take_no_place_among_the_neighbors(
    house: House, engine: MemoryEngine
) -> None:
    await engine.link(NS, A, B, weight=5)
    ghosts = [
        Edge(id=EdgeId(source=A, type="related", target=at(100 + n)), weight=1, version=1)
        for n in range(50)
    ]
    await house.graph.apply(NS, upserts=ghosts)
    assert ends(await engine.neighbors(NS, A, limit=1)) == [(A, B)]


async def test_neighbors_of_nothing_are_none(engine: MemoryEngine) -> None:
    assert await engine.neighbors(NS, at(9)) == []
    assert await engine.neighbors("never", A) == []


async def test_a_memory_with_a_thousand_links_is_read_and_deleted(
    house: House, engine: MemoryEngine
) -> None:
    others = [at(10, n) for n in range(1000)]
    await engine.store_many(NS, [new(c, "x") for c in others])
    await asyncio.gather(*(engine.link(NS, A, c) for c in others))
    assert len(await engine.neighbors(NS, A, limit=1000)) == 1000
    await engine.delete(NS, A)
    assert (await engine.stats(NS)).links == 0
    assert await house.edges() == set()


async def test_concurrent_links_and_deletions_leave_no_link_of_the_dead(
    house: House, engine: MemoryEngine
) -> None:
    async with house.open() as other:
        for number in range(20):
            await asyncio.gather(
                engine.link(NS, A, B),
                other.delete(NS, B),
                engine.link(NS, B, C),
                return_exceptions=True,
            )
            await other.store(NS, new(B, str(number)))
        await house.sweep(timedelta(minutes=1))
        assert (await engine.stats(NS)).links == 0
        assert (await engine.check()).consistent


async def test_linking_while_the_graph_is_down_is_safe(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    faults.graph.fail("apply", times=None)
    assert (await engine.link(NS, A, B)).version == 1
    assert await house.edges() == set()
    faults.clear()
    await house.sweep(timedelta(minutes=1))
    assert await house.edges() == {(A, "related", B)}


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


async def test_the_graph_follows_the_truth_again_where_a_late_write_undid_it(
    house: House, engine: MemoryEngine
) -> None:
    await engine.link(NS, A, B)
    await house.graph.apply(NS, deletes=[EdgeId(source=A, type="related", target=B)])
    assert (await engine.check(repair=True)).links_missing == 1
    assert ends(await engine.neighbors(NS, A)) == [(A, B)]


async def test_deletion_is_not_held_up_by_a_point_that_is_gone_already(
    house: House, engine: MemoryEngine
) -> None:
    await engine.link(NS, A, B)
    await house.vector.delete(house.collection, [PointId(namespace=NS, coordinate=A)])
    assert await engine.delete(NS, A)
    assert await house.edges() == set()


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
