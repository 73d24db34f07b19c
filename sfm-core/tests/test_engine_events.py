"""Events leave the house in order, at least once, and none is lost."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import pytest
from engine_house import INTERVAL, LEASE, NS, SETTINGS, Faults, House, at, new, open_house

from sfm_core.model.events import START, Event

A, B = at(1), at(2)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as made:
        yield made


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
    async with house.open(replace(SETTINGS, history_limit=1), events=True) as engine:
        for text in ("one", "two", "three"):
            await engine.store(NS, new(A, text))
        await house.sweep()
    first, *others = house.sink.events
    assert first.data is None
    assert all(event.data for event in others)


@pytest.mark.parametrize("fault", ["fail", "lose_reply"])
@pytest.mark.parametrize(
    ("port", "method", "nth"),
    [
        ("sink", "publish", 1),
        ("kv", "read_events", 2),
        ("kv", "commit", 2),
    ],
)
async def test_no_event_is_lost_or_out_of_order_when_publishing_fails_midway(
    house: House, fault: str, port: str, method: str, nth: int
) -> None:
    faults = Faults()
    async with house.open(faults=faults, events=True) as engine:
        for number in range(5):
            await engine.store(NS, new(A, str(number)))
        getattr(getattr(faults, port), fault)(method, nth=nth)
        await house.sweep()
        await engine.store(NS, new(A, "last"))
        await house.sweep()
    assert [event.version for event in unique(house.sink.events)] == [1, 2, 3, 4, 5, 6]


async def test_a_duplicate_has_the_same_id(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults, events=True) as engine:
        await engine.store(NS, new(A))
        faults.sink.lose_reply("publish")
        await house.sweep()
    first, again = house.sink.events
    assert first == again


async def test_more_events_than_a_page_are_told_in_one_round(house: House) -> None:
    async with house.open(events=True) as engine:
        for start in (0, 600):
            await engine.store_many(NS, [new(at(start + n), "x") for n in range(600)])
        await house.sweep()
    assert len(house.sink.events) == 1200


async def test_one_engine_of_many_tells_and_another_takes_over_when_it_is_gone(
    house: House,
) -> None:
    async with house.open(events=True) as engine:
        await engine.store(NS, new(A))
        await house.sweep()
    async with house.open(events=True) as heir:
        await heir.store(NS, new(B))
        await house.sweep()
        assert [event.subject for event in house.sink.events] == ["1"]
        await house.sweep(LEASE)
        assert [event.subject for event in house.sink.events] == ["1", "2"]


async def test_engines_that_all_could_tell_do_not_tell_twice(house: House) -> None:
    async with house.open(events=True) as one, house.open(events=True) as other:
        for number in range(10):
            await asyncio.gather(
                one.store(NS, new(A, str(number))), other.store(NS, new(B, str(number)))
            )
            await house.sweep()
    assert len(house.sink.events) == 20


async def test_a_teller_that_was_slow_does_not_set_the_others_back(house: House) -> None:
    slow = Faults()
    async with house.open(faults=slow, events=True) as one, house.open(events=True) as other:
        await one.store(NS, new(A, "one"))
        gate = slow.sink.hold("publish")
        await house.clock.advance(INTERVAL)
        await gate.reached()
        house.engines -= 1
        await other.store(NS, new(A, "two"))
        await house.sweep(LEASE)
        await house.sweep(LEASE)
        assert [event.version for event in house.sink.events] == [1, 2]
        house.engines += 1
        gate.open()
        await house.sweep()
        await other.store(NS, new(A, "three"))
        await house.sweep(LEASE)
        assert [event.version for event in unique(house.sink.events)] == [1, 2, 3]


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
