"""Check finds every kind of difference, repair removes it, and the truth stays as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from engine_house import LEASE, NS, Faults, House, at, found, new

from sfm_core.engine.counting import Counting
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import BackendUnavailableError
from sfm_core.model.memory import MemoryType
from sfm_core.model.report import CheckReport
from sfm_core.protocols.graph import Edge, EdgeId
from sfm_core.protocols.kv import Commit
from sfm_core.protocols.vector import Point, PointId
from sfm_core.testing.faults import FaultPlan, faulty
from sfm_core.testing.samples import axis

A, B, C, GHOST = at(1), at(2), at(3), at(99)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def engine(house: House, faults: Faults) -> AsyncIterator[MemoryEngine]:
    async with house.open(faults=faults) as made:
        await made.store_many(NS, [new(c, f"whale {c}") for c in (A, B, C)])
        await made.store(NS, new(A, "whale again"))
        await made.link(NS, A, B)
        await made.link(NS, B, C)
        # What is still followed up would mend the damage.
        await house.nothing_waits()
        yield made


def edge(version: int = 1) -> Edge:
    return Edge(id=EdgeId(source=A, type="related", target=B), weight=1, version=version)


async def lose_point(house: House) -> None:
    await house.vector.delete(house.collection, [PointId(namespace=NS, coordinate=A)])


async def age_point(house: House) -> None:
    await house.vector.upsert(house.collection, [_point(house, at(1), version=1)])


async def advance_point(house: House) -> None:
    await house.vector.upsert(house.collection, [_point(house, at(1), version=7)])


async def add_ghost(house: House) -> None:
    await house.vector.upsert(house.collection, [_point(house, GHOST, version=1)])


async def lose_edge(house: House) -> None:
    await house.graph.apply(NS, deletes=[edge().id])


async def age_edge(house: House) -> None:
    await house.graph.apply(NS, upserts=[edge(version=5)])


async def add_ghost_edge(house: House) -> None:
    ghost = replace(edge(), id=EdgeId(source=C, type="related", target=A))
    await house.graph.apply(NS, upserts=[ghost])


async def miscount(house: House) -> None:
    commit = Commit(namespace=NS, counters={"semantic": -2, "links": 1, "episodic": 3})
    await house.kv.commit([commit], owner="test", lease=LEASE)


def _point(house: House, where: object, *, version: int) -> Point:
    assert where in {A, GHOST}
    return Point(
        id=PointId(namespace=NS, coordinate=A if where == A else GHOST),
        version=version,
        type=MemoryType.EPISODIC,
        payload={},
        vector=axis(0, house.collection.dimension),
        terms={},
    )


Damage = Callable[[House], Awaitable[None]]
CASES: tuple[tuple[Damage, str, int], ...] = (
    (lose_point, "missing", 1),
    (age_point, "stale", 1),
    (advance_point, "stale", 1),
    (add_ghost, "orphans", 1),
    (lose_edge, "links_missing", 1),
    (age_edge, "links_missing", 1),
    (add_ghost_edge, "links_orphaned", 1),
    (miscount, "counters_wrong", 3),
)


async def test_a_sound_store_is_consistent(engine: MemoryEngine) -> None:
    assert await engine.check() == CheckReport(memories=3, links=2)


async def test_an_empty_store_is_consistent(house: House) -> None:
    async with house.open() as engine:
        assert await engine.check(repair=True) == CheckReport(repaired=True)


@pytest.mark.parametrize(("damage", "kind", "count"), CASES)
async def test_each_kind_of_difference_is_found_and_repaired(
    house: House, engine: MemoryEngine, damage: Damage, kind: str, count: int
) -> None:
    before = [line async for line in engine.export()]
    await damage(house)
    sound = CheckReport(memories=3, links=2)
    expected = replace(sound, **{kind: count})  # type: ignore[arg-type]
    assert await engine.check() == expected
    assert await engine.check() == expected
    assert await engine.check(repair=True) == replace(expected, repaired=True)
    assert await engine.check() == sound
    assert [line async for line in engine.export()] == before


async def test_all_differences_at_once_are_repaired(house: House, engine: MemoryEngine) -> None:
    for damage, _, _ in CASES:
        await damage(house)
    assert not (await engine.check(repair=True)).consistent
    assert (await engine.check()).consistent
    assert len(await found(engine, "whale")) == 3


async def test_a_rebuild_remakes_everything_and_removes_what_has_no_origin(
    house: House, engine: MemoryEngine
) -> None:
    for damage, _, _ in CASES:
        await damage(house)
    told: list[int] = []
    assert await engine.rebuild(progress=told.append) == sum(told) == 5
    assert (await engine.check()).consistent


async def test_a_rebuild_puts_right_what_has_the_right_version(
    house: House, engine: MemoryEngine
) -> None:
    await house.vector.upsert(house.collection, [_point(house, A, version=2)])
    assert (await engine.check()).consistent
    await engine.rebuild()
    assert (await found(engine, "again"))[0] == A


async def test_more_than_a_page_is_compared(house: House, engine: MemoryEngine) -> None:
    for start in (0, 1000):
        await engine.store_many("big", [new(at(start + n), "x") for n in range(750)])
    lost = [PointId(namespace="big", coordinate=at(n)) for n in range(700)]
    await house.vector.delete(house.collection, lost)
    report = await engine.check(repair=True)
    assert (report.memories, report.missing) == (1503, 700)
    assert (await engine.check()).consistent


async def test_tombstones_are_no_memories(engine: MemoryEngine) -> None:
    await engine.delete(NS, B)
    assert await engine.check() == CheckReport(memories=2, links=0)


async def test_a_check_that_cannot_read_says_so(faults: Faults, engine: MemoryEngine) -> None:
    faults.vector.fail("scroll", times=None)
    with pytest.raises(BackendUnavailableError):
        await engine.check()


@pytest.mark.parametrize("operation", ["check", "rebuild"])
async def test_repair_while_others_write_leaves_counters_right(
    faults: Faults, engine: MemoryEngine, operation: str
) -> None:
    async def write(number: int) -> None:
        where = at(500 + number)
        await engine.store(NS, new(where, "x"))
        if number % 3:
            await engine.link(NS, where, A)
        if number % 2:
            await engine.delete(NS, where)

    for turn in range(8):
        gate = faults.kv.hold("counters", nth=1 + turn % 2)
        work = engine.rebuild() if operation == "rebuild" else engine.check(repair=True)
        repair = asyncio.ensure_future(work)
        for _ in range(turn * 5):
            await asyncio.sleep(0)
        await asyncio.gather(*(write(10 * turn + n) for n in range(10)))
        gate.open()
        await repair
        faults.clear()
    assert (await engine.check()).counters_wrong == 0


async def test_a_repair_while_others_write_and_delete_leaves_no_difference(
    house: House, engine: MemoryEngine
) -> None:
    async with house.open() as other:
        for turn in range(5):
            await asyncio.gather(
                engine.check(repair=True),
                *(other.store(NS, new(at(turn, n), "x")) for n in range(10)),
                *(other.delete(NS, at(turn - 1, n)) for n in range(10)),
            )
        report = await engine.check()
    assert report.consistent, report


async def test_what_is_stored_before_and_deleted_after_counting_is_no_difference(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(at(701), "x"))
    plan = FaultPlan()
    first, second = plan.hold_reply("counters", nth=1), plan.hold("counters", nth=2)
    counting = Counting(faulty(house.kv, plan), owner="test", lease=LEASE)
    correct = asyncio.ensure_future(counting.correct(NS))
    await first.reached()
    await engine.store(NS, new(at(700), "x"))
    first.open()
    await second.reached()
    await engine.delete(NS, at(701))
    second.open()
    assert await correct
    assert (await engine.check()).counters_wrong == 0
