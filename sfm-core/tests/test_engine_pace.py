"""Heavy work takes half of the time at most, however often it is asked for."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from engine_house import NS, Faults, House, at, let_others_work, new

from sfm_core.engine.pace import Pace
from sfm_core.testing.clock import ManualClock

TOOK = timedelta(seconds=4)


class Worker:
    """Does rounds that take four seconds each, and notes when each began."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.pace = Pace(self.clock)
        self.began: list[float] = []

    async def work(self) -> None:
        async with self.pace.round():
            self.began.append(self.clock.monotonic())
            await self.clock.sleep(TOOK)

    async def work_twice(self) -> None:
        await self.work()
        await self.work()


@pytest.fixture
async def worker() -> Worker:
    return Worker()


async def test_a_round_rests_for_as_long_as_the_last_one_took(worker: Worker) -> None:
    twice = asyncio.ensure_future(worker.work_twice())
    await let_others_work()
    for _ in range(3):
        await worker.clock.advance(TOOK)
    await twice
    assert worker.began == [0.0, 8.0]


async def test_one_that_comes_late_enough_begins_at_once(worker: Worker) -> None:
    once = asyncio.ensure_future(worker.work())
    await let_others_work()
    await worker.clock.advance(3 * TOOK)
    await once
    again = asyncio.ensure_future(worker.work())
    await let_others_work()
    assert worker.began == [0.0, 12.0]
    await worker.clock.advance(TOOK)
    await again


async def test_who_is_in_a_hurry_does_not_rest(worker: Worker) -> None:
    twice = asyncio.ensure_future(worker.work_twice())
    await let_others_work()
    await worker.clock.advance(TOOK)
    worker.pace.hurry()
    await let_others_work()
    assert worker.began == [0.0, 4.0]
    await worker.clock.advance(TOOK)
    await twice


async def test_who_is_in_a_hurry_rests_no_more_however_many_rounds_are_left(
    worker: Worker,
) -> None:
    rounds = [asyncio.ensure_future(worker.work_twice()) for _ in range(2)]
    worker.pace.hurry()
    await let_others_work()
    for _ in range(2):
        await worker.clock.advance(TOOK)
        await let_others_work()
    await asyncio.gather(*rounds)
    assert worker.began == [0.0, 0.0, 4.0, 4.0]


async def test_an_engine_that_closes_does_not_rest_between_purges(house: House) -> None:
    faults = Faults()
    gate = faults.vector.hold("scrub")
    async with house.open(faults=faults) as engine:
        await engine.store(NS, new(at(1)))
        slow = asyncio.ensure_future(engine.purge(NS, at(1)))
        await gate.reached()
        await house.clock.advance(TOOK)
        gate.open()
        await slow
        rests = asyncio.ensure_future(engine.purge(NS, at(2)))
        await let_others_work()
        assert not rests.done()
    assert not (await rests).pending
