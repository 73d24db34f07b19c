"""Events are told again from what the truth holds, as they were told the first time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from engine_house import NS, SETTINGS, Faults, House, at, new
from event_paths import PATHS, A, B, ChangePath, an_export, load, records, remade
from replica_house import held, open_replica

from sfm_core.engine.copying import summarise
from sfm_core.engine.replay import AT_ONCE
from sfm_core.errors import BackendUnavailableError, EventsOffError, InvalidInputError
from sfm_core.model.events import START, Event
from sfm_core.model.keys import memory_key
from sfm_core.model.report import ReplayReport

EVER = datetime(2000, 1, 1, tzinfo=UTC)
QUIET = replace(SETTINGS, event_log=False)


@pytest.fixture(params=PATHS, ids=lambda path: path.__name__)
def path(request: pytest.FixtureRequest) -> ChangePath:
    chosen: ChangePath = request.param
    return chosen


def told(events: Sequence[Event]) -> list[tuple[str, int]]:
    return [(event.subject, event.version) for event in events]


async def test_what_happened_while_events_were_off_is_told_later(
    house: House, path: ChangePath
) -> None:
    async with house.open(QUIET) as engine:
        await path(house, engine)
    async with house.open(events=True) as engine:
        report = await engine.replay_events(EVER)
        await house.sweep()
    events = house.sink.events
    assert report.memories + report.links == len(events)
    last = {event.subject: event for event in events}
    assert await records(house) == {
        (event.subject, event.version): remade(event) for event in last.values()
    }


async def test_a_replica_is_built_of_what_is_told_again(house: House, path: ChangePath) -> None:
    async with house.open(QUIET) as engine:
        await path(house, engine)
    async with house.open(events=True) as engine, open_replica(house, SETTINGS) as replica:
        await engine.replay_events(EVER)
        await house.sweep()
        await replica.take_in(house.sink.events)
        assert await held(replica.kv) == await held(house.kv)


async def test_an_event_that_is_told_again_is_the_same(house: House, path: ChangePath) -> None:
    async with house.open(events=True) as engine:
        await path(house, engine)
        await house.sweep()
        first = {event.id: replace(event, data=None) for event in house.sink.events}
        before = len(house.sink.events)
        await engine.replay_events(EVER)
        await house.sweep()
    again = house.sink.events[before:]
    assert again
    assert all(event.data for event in again)
    for event in again:
        assert first[event.id] == replace(event, data=None)


async def test_the_events_of_a_memory_come_in_the_order_of_its_versions(house: House) -> None:
    settings = replace(QUIET, history_limit=60)
    async with house.open(settings) as engine:
        for number in range(70):
            await engine.store_many(NS, [new(A, str(number)), new(B, str(number))])
        await engine.delete(NS, B)
    async with house.open(replace(settings, event_log=True), events=True) as engine:
        await engine.replay_events(EVER)
        await house.sweep()
    seen: dict[str, list[int]] = defaultdict(list)
    for event in house.sink.events:
        seen[event.subject].append(event.version)
    assert seen == {"1": list(range(10, 71)), "2": list(range(11, 72))}


async def test_only_what_was_written_since_is_told(house: House) -> None:
    async with house.open(QUIET) as engine:
        await engine.store_many(NS, [new(A), new(B)])
        await engine.link(NS, A, A)
        await house.clock.advance(timedelta(hours=1))
        since = house.clock.now()
        await engine.store_many(NS, [new(A), new(A), new(at(3))])
        await engine.link(NS, A, B)
    async with house.open(events=True) as engine:
        await engine.replay_events(since)
        await house.sweep()
    assert told(house.sink.events) == [("1", 2), ("1", 3), ("3", 1), ("1>related>2", 1)]


async def test_a_clock_that_was_set_back_leaves_no_gap(house: House) -> None:
    line = '{"coord": [1], "payload": {}, "version": %d, "updated_at": "%s", "kind": "%s"}'
    lines = [
        (line % written).encode()
        for written in (
            (4, "2026-05-01T00:00:00Z", "memory"),
            (3, "2026-03-01T00:00:00Z", "history"),
            (2, "2026-04-01T00:00:00Z", "history"),
        )
    ]
    async with house.open(QUIET) as engine:
        await load(engine, lines)
    async with house.open(events=True) as engine:
        await engine.replay_events(datetime(2026, 4, 1, tzinfo=UTC))
        await house.sweep()
    assert told(house.sink.events) == [("1", 2), ("1", 3), ("1", 4)]


async def test_a_replay_can_be_narrowed_to_namespaces(house: House) -> None:
    async with house.open(QUIET) as engine:
        for namespace in ("one", "two", "three"):
            await engine.store(namespace, new(A))
    async with house.open(events=True) as engine:
        report = await engine.replay_events(EVER, namespaces=["three", "one", "none"])
        await house.sweep()
        with pytest.raises(InvalidInputError):
            await engine.replay_events(EVER, namespaces=["\0"])
    assert report == ReplayReport(memories=2, links=0)
    assert [event.source for event in house.sink.events] == ["/namespaces/three", "/namespaces/one"]


async def test_a_dry_run_counts_and_tells_nothing(house: House) -> None:
    async with house.open(QUIET) as engine:
        await load(engine, await an_export())
    async with house.open() as engine:
        counted = await engine.replay_events(EVER, dry_run=True)
        assert await house.kv.read_events(after=START, limit=1) == []
        assert await engine.replay_events(EVER) == counted
    assert counted == ReplayReport(memories=6, links=1)


async def test_no_content_is_written(house: House, path: ChangePath) -> None:
    async with house.open(QUIET) as engine:
        await path(house, engine)
    before = await summarise(house.kv)
    async with house.open() as engine:
        await engine.replay_events(EVER)
        assert await house.outbox_depth() == 0
    assert await summarise(house.kv) == before


async def test_thousands_are_told_in_pages_with_progress(house: House) -> None:
    many = 2 * AT_ONCE + 100
    seen: list[int] = []
    async with house.open(QUIET) as engine:
        for start in range(0, many, 500):
            await engine.store_many(NS, [new(at(n)) for n in range(start, min(many, start + 500))])
    async with house.open() as engine:
        report = await engine.replay_events(EVER, progress=seen.append)
    logged = await house.kv.read_events(after=START, limit=2 * many)
    assert report.memories == sum(seen) == many
    assert [event.note.key for event in logged] == [memory_key(at(n)) for n in range(many)]


async def test_a_replay_that_was_interrupted_can_be_repeated(house: House) -> None:
    faults = Faults()
    async with house.open(QUIET) as engine:
        await engine.store_many("one", [new(at(n)) for n in range(600)])
        await engine.store_many("two", [new(at(n)) for n in range(600)])
    async with house.open(faults=faults, events=True) as engine:
        faults.kv.lose_reply("commit", nth=2)
        with pytest.raises(BackendUnavailableError):
            await engine.replay_events(EVER)
        await engine.replay_events(EVER)
        await house.sweep()
    assert len({event.id for event in house.sink.events}) == 1200


async def test_a_write_during_a_replay_is_not_told_twice(house: House) -> None:
    faults = Faults()
    async with house.open(QUIET) as engine:
        await engine.store_many(NS, [new(A, "1"), new(A, "2")])
    async with house.open(faults=faults) as engine, house.open() as writer:
        gate = faults.kv.hold("scan", nth=2)
        replaying = asyncio.create_task(engine.replay_events(EVER))
        await gate.reached()
        await writer.store(NS, new(A, "3"))
        gate.open()
        await replaying
    logged = await house.kv.read_events(after=START, limit=9)
    assert [event.note.version for event in logged] == [3, 1, 2]


async def test_without_an_event_log_there_is_nothing_to_tell_it_to(house: House) -> None:
    async with house.open(QUIET) as engine:
        with pytest.raises(EventsOffError):
            await engine.replay_events(EVER)
