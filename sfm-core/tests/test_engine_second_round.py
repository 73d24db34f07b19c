"""What is over is removed in all namespaces, soon, and with one rewrite of the stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

import pytest
from engine_house import (
    INTERVAL,
    NS,
    Faults,
    House,
    at,
    eventually,
    let_others_work,
    new,
)

from sfm_core.engine import overdue, second_round
from sfm_core.engine.memory_commit import PURGE_PAUSE
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.keys import PURGE, KeyRange
from sfm_core.model.purge import PurgeState
from sfm_core.testing.faults import FaultPlan

HERE = at(1)
MANY = [f"n{number:03}" for number in range(250)]
LONG = 2 * PURGE_PAUSE


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def engine(house: House, faults: Faults) -> AsyncIterator[MemoryEngine]:
    async with house.open(faults=faults) as opened:
        yield opened


async def nothing_is_noted(house: House) -> bool:
    """Tell whether no purge is to be gone over again, in any namespace."""
    names = await house.kv.namespaces()
    pages = [await house.kv.scan(name, [KeyRange.prefix(PURGE)], limit=1) for name in names]
    return pages == [[[]]] * len(names)


def rewrites(faults: Faults) -> tuple[int, int]:
    return faults.kv.calls["scrub"], faults.vector.calls["scrub"]


async def living(engine: MemoryEngine) -> int:
    return sum([(await engine.stats(name)).total_memories for name in MANY])


async def test_second_rounds_in_many_namespaces_rewrite_each_store_once(
    house: House, engine: MemoryEngine, faults: Faults
) -> None:
    for name in MANY:
        await engine.store(name, new(HERE))
        await engine.purge(name, HERE)
    truth, vectors = rewrites(faults)
    # Round by round, so that no time passes in the middle of one.
    for _ in range(PURGE_PAUSE // INTERVAL):
        await house.sweep()
    await eventually(partial(nothing_is_noted, house))
    assert rewrites(faults) == (truth + 1, vectors + 1)


async def test_purges_in_several_namespaces_at_once_rewrite_each_store_once(
    engine: MemoryEngine, faults: Faults
) -> None:
    gate = faults.vector.hold("scrub")
    first = asyncio.create_task(engine.purge("first", HERE))
    await gate.reached()
    others = [asyncio.create_task(engine.purge(name, HERE)) for name in MANY[:20]]
    await let_others_work()
    gate.open()
    await asyncio.gather(first, *others)
    assert rewrites(faults) == (2, 2)


async def test_what_cannot_be_read_in_one_namespace_keeps_no_other_from_being_done(
    house: House, engine: MemoryEngine, faults: Faults
) -> None:
    gate = faults.vector.hold("scrub")
    first = asyncio.create_task(engine.purge("first", HERE))
    await gate.reached()
    broken, whole = (asyncio.create_task(engine.purge(name, HERE)) for name in ("a", "b"))
    await let_others_work()
    await house.corrupt("a", HERE)
    gate.open()
    await first
    states = [one.stores[0].state for one in (await broken, await whole)]
    assert states == [PurgeState.PENDING, PurgeState.REMOVED]


async def test_a_second_round_that_takes_long_holds_up_no_other_upkeep(
    house: House, engine: MemoryEngine, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_round, "_MOMENT", 0.0)
    await engine.store(NS, new(HERE))
    await engine.purge(NS, HERE)
    gate = faults.vector.hold("scrub")
    await house.sweep(PURGE_PAUSE)
    await gate.reached()
    await engine.store("n000", new(HERE, ttl=timedelta(seconds=1)))
    await house.sweep()
    assert await living(engine) == 0
    gate.open()
    await let_others_work()
    await eventually(partial(nothing_is_noted, house))


async def test_second_rounds_rest_as_long_as_the_last_one_took(
    house: House, engine: MemoryEngine, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_round, "_MOMENT", 0.0)
    await engine.store(NS, new(HERE))
    gate = faults.vector.hold("scrub")
    slow = asyncio.create_task(engine.purge(NS, HERE))
    await gate.reached()
    await house.clock.advance(LONG)
    gate.open()
    await slow
    await house.sweep(LONG - 3 * INTERVAL)
    assert faults.vector.calls["scrub"] == 1
    await house.sweep(3 * INTERVAL)
    await let_others_work()
    assert faults.vector.calls["scrub"] == 2
    await eventually(partial(nothing_is_noted, house))


async def test_a_second_round_that_one_engine_has_begun_is_left_to_it_however_long_it_takes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_round, "_MOMENT", 0.0)
    both = [Faults(vector=FaultPlan(clock=house.clock)) for _ in range(2)]
    async with house.open(faults=both[0]) as engine, house.open(faults=both[1]):
        await engine.purge(NS, HERE)
        await engine.store(NS, new(HERE))
        await engine.purge(NS, HERE)
        before = sum(faults.vector.calls["scrub"] for faults in both)
        for faults in both:
            faults.vector.delay("scrub", by=3 * PURGE_PAUSE, times=None)
        for _ in range(6 * PURGE_PAUSE // INTERVAL):
            await house.clock.advance(INTERVAL)
            await let_others_work()
        assert await nothing_is_noted(house)
        assert sum(faults.vector.calls["scrub"] for faults in both) == before + 1


async def test_nothing_is_taken_up_twice_however_long_it_takes_to_take_it_up(
    house: House, engine: MemoryEngine, faults: Faults
) -> None:
    await engine.store(NS, new(HERE))
    await engine.purge(NS, HERE)
    for _ in range(PURGE_PAUSE // INTERVAL - 1):
        await house.clock.advance(INTERVAL)
        await let_others_work()
    # The first commit of a round of upkeep says that the engine lives.
    putting_off = faults.kv.hold("commit", nth=2)
    await house.clock.advance(INTERVAL)
    await putting_off.reached()
    await house.clock.advance(LONG)
    putting_off.open()
    await eventually(partial(nothing_is_noted, house))


async def test_what_was_purged_twice_is_gone_over_together(
    house: House, engine: MemoryEngine
) -> None:
    for _ in range(2):
        await engine.store(NS, new(HERE))
        await engine.purge(NS, HERE)
        await house.clock.advance(timedelta(seconds=1))
    await house.sweep(PURGE_PAUSE)
    await eventually(partial(nothing_is_noted, house))


async def test_what_has_expired_goes_in_all_namespaces_in_one_round(
    house: House, engine: MemoryEngine
) -> None:
    for name in MANY:
        await engine.store(name, new(HERE, ttl=timedelta(seconds=1)))
    await house.sweep()
    assert await living(engine) == 0


async def test_a_round_that_takes_long_is_gone_on_with_in_the_next(
    house: House, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "ROUND_SECONDS", 0.0)
    for name in MANY:
        await engine.store(name, new(HERE, ttl=timedelta(seconds=1)))
    left: list[int] = []
    for _ in range(2):
        await house.sweep()
        left.append(await living(engine))
    assert left == [50, 0]
