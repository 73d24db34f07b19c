"""The event log can be followed from any place, and nobody misses anything unnoticed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from engine_house import (
    INTERVAL,
    NS,
    SETTINGS,
    Faults,
    House,
    at,
    let_others_work,
    new,
    open_house,
)
from following import IDLE, MOMENT, next_page, page, read, told

from sfm_core.engine.event_token import EventTokens
from sfm_core.engine.manifest import read_manifest
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import (
    BackendUnavailableError,
    EventsGoneError,
    EventsOffError,
    InvalidInputError,
)
from sfm_core.model.events import START, EventNote, EventType, Position
from sfm_core.model.keys import memory_key
from sfm_core.protocols.kv import Commit

A, B = at(1), at(2)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


async def test_from_now_on_nothing_is_told_of_the_past(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(A))
    async with aclosing(engine.follow_events(NS)) as pages:
        first = await page(pages)
        await engine.store(NS, new(B))
        assert (told(first), first.more) == ([], False)
        assert told(await next_page(house, pages)) == [("2", 1)]
    assert told(*await read(engine, first.position)) == [("2", 1)]


async def test_from_the_start_everything_is_told_that_the_log_holds(engine: MemoryEngine) -> None:
    for number in range(10):
        await engine.store(NS, new(A, str(number)))
    assert told(*await read(engine, "start")) == [("1", version) for version in range(1, 11)]


@pytest.mark.parametrize("limit", [1, 3, 10])
async def test_reading_goes_on_after_any_event(engine: MemoryEngine, limit: int) -> None:
    for number in range(10):
        await engine.store(NS, new(A, str(number)))
    pages = await read(engine, "start", limit=limit)
    assert all(len(one.events) <= limit for one in pages)
    for one in (placed for part in pages for placed in part.events):
        rest = told(*await read(engine, one.position, limit=limit))
        assert rest == [("1", version) for version in range(one.event.version + 1, 11)]
    assert told(*await read(engine, pages[-1].position)) == []


async def test_a_namespace_never_hears_of_another(house: House, engine: MemoryEngine) -> None:
    async with aclosing(engine.follow_events("mine")) as mine:
        await page(mine)
        await engine.store("theirs", new(A))
        await engine.store("mine", new(B))
        await engine.store("theirs", new(at(3)))
        heard = await next_page(house, mine)
    assert told(heard) == [("2", 1)]
    assert {one.event.source for one in heard.events} == {"/namespaces/mine"}
    async with aclosing(engine.follow_events(None, after="start")) as everybody:
        assert told(await page(everybody)) == [("1", 1), ("2", 1), ("3", 1)]


async def test_only_the_types_that_were_asked_for_are_told(engine: MemoryEngine) -> None:
    await engine.store(NS, new(A))
    await engine.link(NS, A, A)
    await engine.delete(NS, A)
    wanted = {EventType.LINK_STORED, EventType.MEMORY_DELETED}
    async with aclosing(engine.follow_events(NS, after="start", types=wanted)) as pages:
        assert told(await page(pages)) == [("1>related>1", 1), ("1", 2)]


async def test_a_position_moves_on_where_others_write(house: House, engine: MemoryEngine) -> None:
    async with aclosing(engine.follow_events("mine", idle=IDLE)) as pages:
        first = await page(pages)
        await engine.store("theirs", new(A))
        waiting = asyncio.create_task(page(pages))
        await let_others_work()
        await house.clock.advance(IDLE)
        later = await waiting
    assert (told(later), later.more) == ([], False)
    assert later.position != first.position
    assert await house.kv.end_of_events() != START


async def test_who_waits_for_nothing_hears_that_there_is_nothing(
    house: House, engine: MemoryEngine
) -> None:
    async with aclosing(engine.follow_events(NS, idle=IDLE)) as pages:
        first = await page(pages)
        for _ in range(3):
            waiting = asyncio.create_task(page(pages))
            await let_others_work()
            await house.clock.advance(IDLE)
            assert await waiting == first


async def test_what_this_process_writes_is_told_at_once(engine: MemoryEngine) -> None:
    async with aclosing(engine.follow_events(NS)) as pages:
        await page(pages)
        waiting = asyncio.create_task(page(pages))
        await let_others_work()
        await engine.store(NS, new(A))
        assert told(await waiting) == [("1", 1)]


async def test_what_is_told_again_is_told_at_once(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(A))
    async with aclosing(engine.follow_events(NS)) as pages:
        await page(pages)
        waiting = asyncio.create_task(page(pages))
        await let_others_work()
        await engine.replay_events(BEGIN)
        await house.clock.advance(MOMENT)
        assert told(await waiting) == [("1", 1)]


async def test_what_another_process_writes_is_told(house: House, engine: MemoryEngine) -> None:
    async with house.open() as other, aclosing(engine.follow_events(NS)) as pages:
        await page(pages)
        waiting = asyncio.create_task(page(pages))
        await let_others_work()
        await other.store(NS, new(A))
        await house.clock.advance(INTERVAL)
        assert told(await waiting) == [("1", 1)]


async def test_a_long_part_without_a_wanted_event_is_no_silence(
    house: House, engine: MemoryEngine
) -> None:
    note = EventNote(type=EventType.MEMORY_STORED, key=memory_key(A), version=1, at=BEGIN)
    theirs = Commit(namespace="theirs", events=(note,) * 12_000)
    await house.kv.commit([theirs], owner="theirs", lease=IDLE)
    await engine.store("mine", new(A))
    async with aclosing(engine.follow_events("mine", after="start")) as pages:
        seen = [await page(pages) for _ in range(3)]
    assert [(len(one.events), one.more) for one in seen] == [(0, True), (0, True), (1, False)]
    assert len({one.position for one in seen}) == 3


async def let_go(house: House, engine: MemoryEngine) -> None:
    """Have what is in the log trimmed, and one event logged afterwards."""
    await house.kv.trim_events(through=await house.kv.end_of_events())
    await engine.store(NS, new(A, "afterwards"))


async def test_who_comes_too_late_is_told(house: House, engine: MemoryEngine) -> None:
    begin = await read(engine, "now")
    for number in range(3):
        await engine.store(NS, new(A, str(number)))
    [whole] = await read(engine, "start")
    await let_go(house, engine)
    for late in (begin[0].position, *(one.position for one in whole.events[:-1])):
        with pytest.raises(EventsGoneError):
            await read(engine, late)
    assert told(*await read(engine, whole.position)) == [("1", 4)]
    assert told(*await read(engine, "start")) == [("1", 4)]


async def test_who_reads_too_slowly_is_told(house: House, engine: MemoryEngine) -> None:
    for number in range(3):
        await engine.store(NS, new(A, str(number)))
    async with aclosing(engine.follow_events(NS, after="start", limit=1)) as pages:
        assert told(await page(pages)) == [("1", 1)]
        await let_go(house, engine)
        with pytest.raises(EventsGoneError):
            await page(pages)


async def test_an_emptied_log_is_followed_from_its_start(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(A))
    await house.kv.trim_events(through=await house.kv.end_of_events())
    async with aclosing(engine.follow_events(NS, after="start")) as pages:
        assert told(await page(pages)) == []
        await engine.store(NS, new(A, "new"))
        assert told(await next_page(house, pages)) == [("1", 2)]


async def test_an_idle_reader_is_never_too_late(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(A))
    async with aclosing(engine.follow_events(NS)) as pages:
        first = await page(pages)
        waiting = asyncio.create_task(page(pages))
        await let_others_work()
        await house.kv.trim_events(through=await house.kv.end_of_events())
        await engine.store(NS, new(A, "afterwards"))
        await house.clock.advance(MOMENT)
        assert told(await waiting) == [("1", 2)]
    assert told(*await read(engine, first.position)) == [("1", 2)]


async def test_a_position_of_another_truth_is_told(engine: MemoryEngine) -> None:
    async with open_house() as elsewhere, elsewhere.open() as other:
        [theirs] = await read(other, "now")
    with pytest.raises(EventsGoneError, match="another truth"):
        await read(engine, theirs.position)


@pytest.mark.parametrize("token", ["", "x", ".", "a.b.c", "now ", "é.é", "AAAA.A", "start.", "\0"])
async def test_what_is_no_position_is_refused(engine: MemoryEngine, token: str) -> None:
    with pytest.raises(InvalidInputError):
        await read(engine, token)


async def test_a_made_up_position_of_this_truth_is_refused(engine: MemoryEngine) -> None:
    [mine] = await read(engine, "now")
    truth, _, _ = mine.position.partition(".")
    with pytest.raises(InvalidInputError):
        await read(engine, f"{truth}.bm90aGluZw")


async def test_a_position_that_the_log_never_came_to_is_told(
    house: House, engine: MemoryEngine
) -> None:
    """As after a backup was restored: what comes up to there would be passed over."""
    await engine.store(NS, new(A))
    manifest = await read_manifest(house.kv, "a test")
    beyond = EventTokens(manifest.truth_id).token(Position("9"))
    with pytest.raises(EventsGoneError, match="ends before"):
        await read(engine, beyond)


async def test_without_an_event_log_there_is_nothing_to_follow(house: House) -> None:
    async with house.open(replace(SETTINGS, event_log=False)) as engine:
        with pytest.raises(EventsOffError):
            await read(engine, "start")


async def test_after_a_failure_reading_begins_again_where_it_was(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        await engine.store_many(NS, [new(A, str(number)) for number in range(3)])
        [whole] = await read(engine, "start")
        faults.kv.fail("read_events")
        with pytest.raises(BackendUnavailableError):
            await read(engine, whole.events[0].position)
        assert told(*await read(engine, whole.events[0].position)) == [("1", 2), ("1", 3)]


async def test_who_waits_hears_nothing_of_an_outage_meanwhile(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine, aclosing(engine.follow_events(NS)) as pages:
        await page(pages)
        waiting = asyncio.create_task(page(pages))
        await let_others_work()
        faults.kv.fail("read_events", times=1)
        await house.clock.advance(INTERVAL)
        assert faults.kv.calls["read_events"] > 1
        await engine.store(NS, new(A))
        await house.clock.advance(MOMENT)
        assert told(await waiting) == [("1", 1)]
