"""Many can follow the event log beside one another, and none costs more than it has to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

import pytest
from engine_house import INTERVAL, NS, Faults, House, at, let_others_work, new
from following import IDLE, MOMENT, page, told

from sfm_core.engine.events import subject
from sfm_core.engine.log_pages import PAGE
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import ClosedError
from sfm_core.model.events import START, EventPage

A = at(1)


async def test_closing_the_engine_ends_the_waiting(house: House) -> None:
    async with house.open() as engine:
        pages = engine.follow_events(NS)
        await page(pages)
        waiting = asyncio.create_task(page(pages))
        await let_others_work()
    with pytest.raises(ClosedError):
        await waiting


async def test_a_thousand_idle_readers_cost_as_much_as_one(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        streams = [engine.follow_events(NS, idle=IDLE) for _ in range(1000)]
        await asyncio.gather(*map(page, streams))
        waiting = [asyncio.create_task(page(stream)) for stream in streams]
        await let_others_work()
        before = faults.kv.calls.total()
        async with house.open(faults=Faults()):
            await house.clock.advance(IDLE)
        await asyncio.gather(*waiting)
        assert faults.kv.calls.total() - before <= 100
        await close(streams)


async def test_a_thousand_readers_of_one_event_share_the_reading(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        streams = [engine.follow_events(NS) for _ in range(1000)]
        await asyncio.gather(*map(page, streams))
        waiting = [asyncio.create_task(page(stream)) for stream in streams]
        await let_others_work()
        await engine.store(NS, new(A))
        before = faults.kv.calls.total()
        await house.clock.advance(MOMENT)
        pages = await asyncio.gather(*waiting)
        assert all(told(one) == [("1", 1)] for one in pages)
        assert faults.kv.calls.total() - before <= 60
        await close(streams)


async def test_when_nobody_waits_any_more_nobody_looks(house: House, engine: MemoryEngine) -> None:
    async with aclosing(engine.follow_events(NS)) as pages:
        await page(pages)
        waiting = asyncio.create_task(page(pages))
        await let_others_work()
        assert looking()
        waiting.cancel()
        await asyncio.wait([waiting])
    await house.clock.advance(INTERVAL)
    assert not looking()


def looking() -> list[asyncio.Task[object]]:
    """Return the tasks that look at the log."""
    return [task for task in asyncio.all_tasks() if "LogWatch._look" in repr(task)]


async def test_readers_miss_nothing_while_others_write(house: House, engine: MemoryEngine) -> None:
    async with house.open() as other:
        reading = [asyncio.create_task(collect(engine, 60)) for _ in range(5)]
        await let_others_work()
        for number in range(30):
            await asyncio.gather(
                engine.store(NS, new(at(number % 3))), other.store(NS, new(at(number % 4)))
            )
            await house.clock.advance(MOMENT)
        logged = await house.kv.read_events(after=START, limit=PAGE)
        expected = [(subject(one.note.key), one.note.version) for one in logged]
        for one in await asyncio.gather(*reading):
            assert one == expected


async def collect(engine: MemoryEngine, count: int) -> list[tuple[str, int]]:
    """Read so many events, going on after each page as a reader does that was cut off."""
    found: list[tuple[str, int]] = []
    position = "start"
    while len(found) < count:
        async with aclosing(engine.follow_events(NS, after=position, limit=7)) as pages:
            for _ in range(2):
                if len(found) < count:
                    one = await anext(pages)
                    found += told(one)
                    position = one.position
    return found


async def close(streams: Iterable[AsyncGenerator[EventPage]]) -> None:
    for stream in streams:
        await stream.aclose()
