from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sfm_core.testing.clock import ManualClock, WaitingClock

SECOND = timedelta(seconds=1)


async def test_time_stands_still_until_it_is_moved() -> None:
    clock = ManualClock()
    before = clock.now()
    await clock.advance(90 * SECOND)
    assert clock.now() - before == 90 * SECOND
    assert clock.monotonic() == 90.0


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    clock = ManualClock()
    woken: list[tuple[int, float]] = []

    async def sleep(seconds: int) -> None:
        await clock.sleep(seconds * SECOND)
        woken.append((seconds, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for seconds in (3, 1, 2):
            group.create_task(sleep(seconds))
        await asyncio.sleep(0)
        await clock.advance(5 * SECOND)
    assert woken == [(1, 1.0), (2, 2.0), (3, 3.0)]


async def test_a_sleeper_that_sleeps_again_is_woken_again() -> None:
    clock = ManualClock()
    beats: list[float] = []

    async def beat() -> None:
        for _ in range(3):
            await clock.sleep(SECOND)
            beats.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        group.create_task(beat())
        await asyncio.sleep(0)
        await clock.advance(10 * SECOND)
    assert beats == [1.0, 2.0, 3.0]


async def test_nobody_wakes_before_the_time() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(2 * SECOND))
    await asyncio.sleep(0)
    await clock.advance(SECOND)
    assert not task.done()
    assert clock.sleepers == 1
    await clock.advance(SECOND)
    assert task.done()


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(SECOND))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.sleepers == 0
    await clock.advance(2 * SECOND)


async def test_the_waiting_clock_really_waits() -> None:
    clock = WaitingClock()
    before = clock.monotonic()
    await clock.advance(timedelta(milliseconds=5))
    assert clock.monotonic() - before >= 0.004
