"""Events leave the house in order, at least once, and none is lost."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from engine_house import INTERVAL, LEASE, NS, SETTINGS, Faults, House, at, new

from sfm_core.model.events import START, Event

A, B = at(1), at(2)


def told(events: Iterable[Event]) -> list[tuple[str, str, int]]:
    return [(event.type.value, event.subject, event.version) for event in events]


def unique(events: Iterable[Event]) -> list[Event]:
    return list({event.id: event for event in events}.values())


async def test_every_change_is_told_in_order_with_its_content(house: House) -> None:
    async with house.open(events=True) as engine:
        await engine.store(NS, new(A, "one"))
        await engine.store(NS, new(A, "two"))
        await engine.store(NS, new(B))
        await engine.link(NS, A, B, weight=2)
        await engine.set_importance(NS, B, 1.0)
        await engine.delete(NS, A)
        await house.sweep()
    assert told(house.sink.events) == [
        ("memory.stored", "1", 1),
        ("memory.stored", "1", 2),
        ("memory.stored", "2", 1),
        ("link.stored", "1>related>2", 1),
        ("memory.stored", "2", 2),
        ("memory.deleted", "1", 3),
        ("link.deleted", "1>related>2", 2),
    ]
    one, two, *_, deleted, _ = house.sink.events
    assert one.data is not None
    assert one.data["payload"] == {"text": "one"}
    assert two.data is not None
    assert two.data["payload"] == {"text": "two"}
    assert deleted.data is not None
    assert "payload" not in deleted.data
    assert one.source == f"/namespaces/{NS}"


async def test_content_that_is_no_longer_kept_is_left_out(house: House) -> None:
    faults = Faults()
    faults.sink.fail("publish", times=None)
    settings = replace(SETTINGS, history_limit=1)
    async with house.open(settings, faults=faults, events=True) as engine:
        for text in ("one", "two", "three"):
            await engine.store(NS, new(A, text))
        faults.clear()
        await house.sweep(LEASE)
    first, *others = house.sink.events
    assert first.data is None
    assert all(event.data for event in others)


async def test_versions_of_each_memory_are_told_without_gaps_whoever_writes(house: House) -> None:
    async with house.open(events=True) as one, house.open(events=True) as other:
        for _ in range(5):
            await asyncio.gather(
                *(e.store(NS, new(at(n % 3))) for n in range(12) for e in (one, other)),
                *(e.delete(NS, at(n)) for n in range(3) for e in (one, other)),
            )
            await house.sweep()
        await house.sweep(LEASE)
        seen: dict[str, list[int]] = defaultdict(list)
        for event in unique(house.sink.events):
            seen[event.subject].append(event.version)
        versions = [(await one.get_many(NS, [at(n)]))[0] for n in range(3)]
        assert versions.count(None) < 4
        for versions_of in seen.values():
            assert versions_of == list(range(1, len(versions_of) + 1))


async def test_events_can_be_turned_off(house: House) -> None:
    async with house.open(replace(SETTINGS, event_log=False)) as engine:
        await engine.store(NS, new(A))
        await engine.store(NS, new(B))
        await engine.link(NS, A, B)
        await engine.unlink(NS, A, B)
        await engine.link(NS, A, B)
        await engine.delete(NS, A)
    assert await house.kv.read_events(after=START, limit=9) == []


async def test_what_waits_while_events_are_off_is_published_when_they_are_on_again(
    house: House,
) -> None:
    faults = Faults()
    faults.sink.fail("publish", times=None)
    async with house.open(faults=faults, events=True) as engine:
        await engine.store(NS, new(A))
    off = replace(SETTINGS, event_log=False, event_retention=INTERVAL)
    async with house.open(off) as engine:
        await engine.store(NS, new(A))
        await house.sweep(2 * INTERVAL)
    async with house.open(events=True) as engine:
        await engine.store(NS, new(A))
        await house.sweep()
    assert [event.version for event in house.sink.events] == [1, 3]
