"""What becomes of a log when another truth takes over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import pytest
from engine_house import at, eventually, new
from engine_town import Town

from sfm_core.engine.copying import copy_events
from sfm_core.engine.event_marks import (
    Published,
    note_trimmed,
    read_published,
    trimmed_through,
    write_published,
)
from sfm_core.errors import BackendUnavailableError
from sfm_core.inprocess import InProcessKeyValueStore
from sfm_core.model.events import START, EventNote, EventType, LoggedEvent
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.kv import Commit, KeyValueStore
from sfm_core.testing.faults import FaultPlan, faulty
from sfm_core.testing.samples import MOMENT

OWNER = "test"
LEASE = timedelta(seconds=30)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def source() -> AsyncIterator[KeyValueStore]:
    async with InProcessKeyValueStore() as made:
        yield made


@pytest.fixture
async def target() -> AsyncIterator[KeyValueStore]:
    async with InProcessKeyValueStore() as made:
        yield made


def when(number: int) -> datetime:
    return MOMENT + number * SECOND


async def log(kv: KeyValueStore, *numbers: int) -> None:
    """Log events of one key whose versions are these numbers."""
    notes = [
        EventNote(type=EventType.MEMORY_STORED, key=b"m", version=number, at=when(number))
        for number in numbers
    ]
    commit = Commit(namespace="n", events=tuple(notes))
    await kv.commit([commit], owner=OWNER, lease=LEASE)


async def events_of(kv: KeyValueStore) -> list[LoggedEvent]:
    return await kv.read_events(after=START, limit=MAX_BATCH)


def versions(events: Sequence[LoggedEvent]) -> list[int]:
    return [event.note.version for event in events]


async def publish(kv: KeyValueStore, count: int) -> None:
    """Say that the first events of a log are published."""
    last = (await events_of(kv))[count - 1]
    _, version = await read_published(kv)
    published = Published(position=last.position, latest=last.note.at)
    assert await write_published(kv, OWNER, published, version=version)


async def copy(source: KeyValueStore, target: KeyValueStore) -> int:
    async def guard() -> None:
        pass

    return await copy_events(source, target, OWNER, guard=guard)


async def unpublished(kv: KeyValueStore) -> list[int]:
    published, _ = await read_published(kv)
    return versions(await kv.read_events(after=published.position, limit=MAX_BATCH))


async def test_what_was_not_published_goes_along_in_order(
    source: KeyValueStore, target: KeyValueStore
) -> None:
    await log(source, *range(1, 1201))
    await publish(source, 2)
    assert await copy(source, target) == 1198
    assert await unpublished(target) == list(range(3, 1201))


async def test_whoever_reads_the_new_log_is_told_what_it_lacks(
    source: KeyValueStore, target: KeyValueStore
) -> None:
    await log(source, 1, 2, 3)
    await publish(source, 2)
    await copy(source, target)
    assert await trimmed_through(target) == when(2)


async def test_what_the_old_log_lacks_is_told_of_the_new_one(
    source: KeyValueStore, target: KeyValueStore
) -> None:
    await note_trimmed(source, OWNER, when(1))
    await log(source, 2)
    await copy(source, target)
    assert await trimmed_through(target) == when(1)


async def test_a_truth_that_is_come_back_to_publishes_what_is_new_only(
    source: KeyValueStore, target: KeyValueStore
) -> None:
    await log(target, 1, 2, 3)
    await publish(target, 1)
    await log(source, 2, 3, 4)
    await publish(source, 1)
    await copy(source, target)
    assert versions(await events_of(target)) == [3, 4]
    assert await unpublished(target) == [3, 4]
    assert await trimmed_through(target) == when(2)


async def test_nothing_is_lacking_in_the_copy_of_a_whole_log(
    source: KeyValueStore, target: KeyValueStore
) -> None:
    await log(source, 1, 2)
    await copy(source, target)
    assert await trimmed_through(target) is None


@pytest.mark.parametrize("fault", ["fail", "lose_reply"])
@pytest.mark.parametrize(
    ("method", "nth"), [("commit", 1), ("commit", 2), ("commit", 3), ("trim_events", 1)]
)
async def test_a_copy_that_fails_midway_begins_anew(
    source: KeyValueStore, target: KeyValueStore, fault: str, method: str, nth: int
) -> None:
    await log(target, 1)
    await log(source, *range(2, 1201))
    await publish(source, 1)
    plan = FaultPlan()
    getattr(plan, fault)(method, nth=nth)
    with pytest.raises(BackendUnavailableError):
        await copy(source, faulty(target, plan))
    await copy(source, target)
    assert await unpublished(target) == list(range(3, 1201))
    assert await trimmed_through(target) == when(2)


async def test_what_waits_to_be_published_outlives_changes_of_the_truth() -> None:
    town = Town()
    for place in ("a", "b"):
        town.sinks[place].fail("publish", nth=3, times=None)
        async with town.server(place, events=True) as engine:
            for _ in range(5):
                await engine.store("n", new(at(1)))
                await town.clock.advance(LEASE)
    async with town.server("a", events=True) as engine:
        town.sinks["a"].clear()
        await engine.store("n", new(at(1)))
        await town.clock.advance(LEASE)
        await eventually(lambda: town.sink.events[-1].version == 11)
    first = dict.fromkeys(event.version for event in town.sink.events)
    assert list(first) == list(range(1, 12))
