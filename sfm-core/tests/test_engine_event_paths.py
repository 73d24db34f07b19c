"""Every change is told, whichever way it comes about, with what an exact copy of it needs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta

import pytest
from engine_house import LEASE, NS, SETTINGS, Faults, House, new, open_house
from event_paths import PATHS, A, B, ChangePath, an_export, lives_twice, load, records, remade

from sfm_core.model.events import START, EventType, event_id
from sfm_core.model.keys import HISTORY, LINK, MEMORY, KeyRange, memory_key
from sfm_core.protocols.kv import Commit, Write


@pytest.fixture(params=PATHS, ids=lambda path: path.__name__)
def path(request: pytest.FixtureRequest) -> ChangePath:
    chosen: ChangePath = request.param
    return chosen


async def test_every_version_that_the_truth_holds_was_told(house: House, path: ChangePath) -> None:
    async with house.open() as engine:
        await path(house, engine)
        logged = await house.kv.read_events(after=START, limit=1000)
        told = {(event.note.key, event.note.version) for event in logged}
        assert told
        assert await versions(house) <= told


async def test_versions_are_told_once_and_in_order(house: House, path: ChangePath) -> None:
    async with house.open() as engine:
        await path(house, engine)
        seen: dict[bytes, list[int]] = defaultdict(list)
        for event in await house.kv.read_events(after=START, limit=1000):
            seen[event.note.key].append(event.note.version)
    for of_one in seen.values():
        assert of_one == sorted(set(of_one))


async def test_an_exact_copy_can_be_made_of_what_is_told(house: House, path: ChangePath) -> None:
    async with house.open(events=True) as engine:
        await path(house, engine)
        await house.sweep()
        last = {(event.source, event.subject): event for event in house.sink.events}
        assert await records(house) == {
            (event.subject, event.version): remade(event) for event in last.values()
        }


async def test_a_link_says_which_lives_it_belongs_to(house: House) -> None:
    async with house.open(events=True) as engine:
        await lives_twice(house, engine)
        await house.sweep()
    stored = [e for e in house.sink.events if e.type is EventType.LINK_STORED]
    [again] = [e for e in stored if e.subject == "1>related>2" and e.version > 1]
    assert again.data is not None
    assert (again.data["from_born"], again.data["to_born"]) == (3, 1)


async def test_restored_versions_are_told_with_the_time_that_they_have(house: House) -> None:
    lines = await an_export()
    await house.clock.advance(timedelta(days=30))
    async with house.open(events=True) as engine:
        await load(engine, lines)
        logged = await house.kv.read_events(after=START, limit=1000)
        await house.sweep()
    assert {event.note.at for event in logged} == {house.clock.now() - 2 * SETTINGS.sweep_interval}
    for event in house.sink.events:
        assert event.data is not None
        assert event.time.isoformat() == event.data["updated_at"]


async def test_history_comes_before_its_memory_and_in_order(house: House) -> None:
    lines = [
        b'{"coord": [1], "payload": {}, "version": 5}',
        b'{"coord": [1], "payload": {}, "version": 4, "kind": "history"}',
        b'{"coord": [1], "payload": {}, "version": 2, "kind": "history"}',
    ]
    async with house.open(events=True) as engine:
        await load(engine, lines)
        await house.sweep()
    assert [event.version for event in house.sink.events] == [2, 4, 5]
    assert all(event.data for event in house.sink.events)


async def test_a_version_that_cannot_be_read_does_not_keep_others_from_being_told(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    faults = Faults()
    faults.sink.fail("publish", times=None)
    async with house.open(faults=faults, events=True) as engine:
        await engine.store(NS, new(A))
        await house.corrupt(NS, A)
        await engine.store(NS, new(B))
        faults.clear()
        await house.sweep(LEASE)
    assert [event.data is None for event in house.sink.events] == [True, False]
    assert memory_key(A).hex() in caplog.text


async def test_payloads_can_be_kept_back(house: House) -> None:
    async with house.open(replace(SETTINGS, event_payloads=False), events=True) as engine:
        await engine.store(NS, new(A, "secret"))
        await engine.store(NS, new(A, "secret"))
        await engine.link(NS, A, A)
        await house.sweep()
        told = list(house.sink.events)
    assert "secret" not in repr(told)
    async with open_house() as other, other.open(events=True) as engine:
        await engine.store(NS, new(A, "secret"))
        await engine.store(NS, new(A, "secret"))
        await engine.link(NS, A, A)
        await other.sweep()
        whole = list(other.sink.events)
    assert told == [
        replace(event, data={k: v for k, v in (event.data or {}).items() if k != "payload"})
        for event in whole
    ]


async def test_what_a_change_was_not_made_for_is_not_its_content(house: House) -> None:
    async with house.open(events=True) as engine:
        await engine.store(NS, new(A))
        await engine.delete(NS, A)
        # A tombstone where a memory was logged: no release writes this.
        [tombstone] = await house.kv.get_many(NS, [memory_key(A)])
        assert tombstone is not None
        write = Write(memory_key(A), tombstone.value, 1)
        await house.kv.commit([Commit(namespace=NS, writes=(write,))], owner="t", lease=LEASE)
        await house.sweep()
    stored, deleted = house.sink.events
    assert stored.id == event_id(NS, memory_key(A), 1)
    assert (stored.version, deleted.version, deleted.data) == (1, 2, None)


async def versions(house: House) -> set[tuple[bytes, int]]:
    """Return every version of a memory or link that the truth holds, be it as history."""
    found: set[tuple[bytes, int]] = set()
    for kind in (MEMORY, HISTORY, LINK):
        [page] = await house.kv.scan(NS, [KeyRange.prefix(kind)], limit=1000)
        for key, entry in page:
            of = MEMORY + key[1:-8] if kind == HISTORY else key
            found.add((of, entry.version))
    return found
