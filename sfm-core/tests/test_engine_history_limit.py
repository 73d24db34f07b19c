"""A lower limit of history holds for what was kept under a higher one, too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from engine_house import LEASE, NS, SETTINGS, Faults, House, at, eventually, new, open_house

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.engine.trimming import PAGE, PATIENCE, VERSIONS
from sfm_core.engine.walking import pages_of
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import HISTORY, history_key
from sfm_core.protocols.kv import Commit, Write
from sfm_core.testing.clock import ManualClock

A, B = at(1), at(2)
HIGH = replace(SETTINGS, history_limit=2 * VERSIONS + 5)
LOW = replace(SETTINGS, history_limit=2)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A house with long histories: of a memory, and of one that was deleted."""
    async with open_house() as made:
        async with made.open(HIGH) as engine:
            await write(engine, A, HIGH.history_limit + 1)
            await write(engine, B, 5)
            await engine.delete(NS, B)
        yield made


async def write(engine: MemoryEngine, coordinate: Coordinate, times: int) -> None:
    for number in range(times):
        await engine.store(NS, new(coordinate, f"version {number}"))


async def versions(engine: MemoryEngine, coordinate: Coordinate) -> list[int]:
    return [memory.version for memory in await engine.history(NS, coordinate, limit=100)]


async def test_what_a_higher_limit_has_kept_goes_after_some_time(house: House) -> None:
    newest = HIGH.history_limit + 1
    async with house.open(LOW) as engine:
        await house.sweep(PATIENCE)
        assert await versions(engine, A) == [newest, newest - 1, newest - 2]
        assert await versions(engine, B) == [5, 4]
        assert (await engine.check()).consistent
    async with house.open(HIGH) as engine:
        await write(engine, A, 4)
        assert len(await versions(engine, A)) == 7
    # A limit that was raised and lowered again holds again.
    async with house.open(LOW) as engine:
        await house.sweep(PATIENCE)
        assert len(await versions(engine, A)) == 3


async def test_an_engine_that_is_open_for_a_short_time_lets_go_of_nothing(house: House) -> None:
    async with house.open(LOW) as engine:
        await house.sweep(PATIENCE / 2)
        assert len(await versions(engine, A)) == HIGH.history_limit + 1
    async with house.open(LOW) as engine:
        await house.sweep(PATIENCE / 2)
        assert len(await versions(engine, A)) == HIGH.history_limit + 1


class SetForward(ManualClock):
    """A clock of which the time of day can be set, while the other goes on as it did."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


async def test_a_clock_that_is_set_forward_makes_nobody_impatient() -> None:
    clock = SetForward()
    async with open_house(clock=clock) as house:
        async with house.open(HIGH) as engine:
            await write(engine, A, 6)
        async with house.open(LOW) as engine:
            clock.ahead = 2 * PATIENCE
            await house.sweep()
            assert len(await versions(engine, A)) == 6
            await house.sweep(PATIENCE)
            assert len(await versions(engine, A)) == 3


async def test_every_namespace_and_page_has_its_turn(house: House) -> None:
    async with house.open(HIGH) as engine:
        for namespace in ("", "z"):
            for number in range(PAGE + 5):
                for _ in range(4):
                    await engine.store(f"many{namespace}", new(at(number)))
    async with house.open(LOW):
        await house.sweep(PATIENCE)
        for namespace in ("many", "manyz"):
            assert await kept(house, namespace) == (PAGE + 5) * LOW.history_limit


async def kept(house: House, namespace: str) -> int:
    return sum([len(page) async for page in pages_of(house.kv, namespace, HISTORY)])


async def test_where_the_limit_stays_nothing_is_looked_for(house: House) -> None:
    async with house.open(LOW):
        await house.sweep(PATIENCE)
    stray = Write(history_key(A, 1), b"would be removed by whoever looked")
    commit = Commit(namespace=NS, writes=(stray,))
    await house.kv.commit([commit], owner="test", lease=LEASE)
    async with house.open(LOW):
        await house.sweep(PATIENCE)
    [entry] = await house.kv.get_many(NS, [stray.key])
    assert entry is not None


async def test_a_truth_that_fails_is_gone_through_later(house: House) -> None:
    faults = Faults()
    async with house.open(LOW, faults=faults) as engine:
        faults.kv.fail("scan", times=None)
        await house.sweep(PATIENCE)
        faults.clear()

        async def trimmed() -> bool:
            await house.sweep()
            return len(await versions(engine, A)) == LOW.history_limit + 1

        await eventually(trimmed)
