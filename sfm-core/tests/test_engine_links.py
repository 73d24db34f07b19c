"""Links: how long they live, and who is near."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from engine_house import NS, Faults, House, at, new

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import NotFoundError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.link import Link
from sfm_core.model.patch import MemoryPatch
from sfm_core.protocols.graph import Direction, Edge, EdgeId
from sfm_core.protocols.vector import PointId

A, B, C, D = at(1), at(2), at(3), at(4)


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
