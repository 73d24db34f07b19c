"""How long events stay in the log, and what is said of those that are gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from engine_house import LEASE, NS, SETTINGS, Faults, House, at, new

from sfm_core.engine.event_marks import note_trimmed, trimmed_through
from sfm_core.engine.retention import PAGE
from sfm_core.errors import CorruptDataError
from sfm_core.model.events import START
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, Write

MINUTE = timedelta(minutes=1)
SHORT = replace(SETTINGS, event_retention=3 * MINUTE)
A = at(1)


async def logged(house: House) -> list[int]:
    """Return the versions in the log."""
    return [event.note.version for event in await house.kv.read_events(after=START, limit=5000)]


async def test_what_was_published_stays_for_its_time(house: House) -> None:
    async with house.open(SHORT, events=True) as engine:
        await engine.store(NS, new(A, "old"))
        await house.sweep(2 * MINUTE)
        await engine.store(NS, new(A, "new"))
        await house.sweep()
        assert len(house.sink.events) == 2
        assert await logged(house) == [1, 2]
        await house.sweep(MINUTE)
        assert await logged(house) == [2]


async def test_without_a_sink_events_stay_for_their_time(house: House) -> None:
    async with house.open(SHORT) as engine:
        await engine.store(NS, new(A, "old"))
        await house.sweep(2 * MINUTE)
        await engine.store(NS, new(A, "new"))
        await house.sweep(2 * MINUTE)
        assert await logged(house) == [2]


async def test_what_was_not_published_stays_however_old(house: House) -> None:
    faults = Faults()
    async with house.open(SHORT, faults=faults, events=True) as engine:
        await engine.store(NS, new(A, "published"))
        await house.sweep()
        faults.sink.fail("publish", times=None)
        for text in ("not", "yet"):
            await engine.store(NS, new(A, text))
        await house.sweep(60 * MINUTE)
        assert await logged(house) == [2, 3]
        faults.clear()
        # As long as the relay pauses at most after so many failures.
        await house.sweep(LEASE)
        await house.sweep()
        assert [event.version for event in house.sink.events] == [1, 2, 3]
        assert await logged(house) == []


async def test_where_events_are_not_logged_the_log_stays_as_it_is(house: House) -> None:
    async with house.open(SHORT) as engine:
        await engine.store(NS, new(A))
    async with house.open(replace(SHORT, event_log=False)) as engine:
        await engine.store(NS, new(A))
        await house.sweep(60 * MINUTE)
    assert await logged(house) == [1]


async def test_many_old_events_go_in_one_round(house: House) -> None:
    count = 2 * PAGE + 1
    async with house.open(SHORT) as engine:
        for start in range(0, count, SETTINGS.limits.max_batch):
            end = min(start + SETTINGS.limits.max_batch, count)
            await engine.store_many(NS, [new(at(n), "x") for n in range(start, end)])
        await house.sweep(4 * MINUTE)
    assert await logged(house) == []


async def test_the_log_is_not_read_before_something_can_be_old_enough(house: House) -> None:
    faults = Faults()
    async with house.open(SHORT, faults=faults) as engine:
        await engine.store(NS, new(A))
        await house.sweep()
        before = faults.kv.calls["read_events"]
        for _ in range(10):
            await house.sweep()
        assert faults.kv.calls["read_events"] == before
        await house.sweep(3 * MINUTE)
    assert await logged(house) == []


async def test_it_is_said_up_to_when_events_are_gone(house: House) -> None:
    async with house.open(SHORT) as engine:
        assert await trimmed_through(house.kv) is None
        times: list[datetime] = []
        for _ in range(2):
            times.append(house.clock.now())
            await engine.store(NS, new(A))
            await house.clock.advance(MINUTE)
        await house.sweep(MINUTE)
        assert await logged(house) == [2]
        assert await trimmed_through(house.kv) == times[0]
        await house.sweep(MINUTE)
        assert await trimmed_through(house.kv) == times[1]


@pytest.mark.parametrize("fault", ["fail", "lose_reply"])
async def test_nothing_goes_before_that_is_said(house: House, fault: str) -> None:
    faults = Faults()
    async with house.open(SHORT, faults=faults) as engine:
        await engine.store(NS, new(A))
        getattr(faults.kv, fault)("trim_events")
        await house.sweep(4 * MINUTE)
        assert await trimmed_through(house.kv) is not None
        await house.sweep()
    assert await logged(house) == []


async def test_what_is_said_to_be_gone_never_becomes_less(house: House) -> None:
    now = house.clock.now()
    await note_trimmed(house.kv, "one", now)
    await note_trimmed(house.kv, "other", now - MINUTE)
    assert await trimmed_through(house.kv) == now


async def test_a_mark_that_cannot_be_read_is_an_error(house: House) -> None:
    write = Write(b"events/trimmed", b"no mark", 1)
    commit = Commit(namespace=SYSTEM_NAMESPACE, writes=(write,))
    await house.kv.commit([commit], owner="test", lease=MINUTE)
    with pytest.raises(CorruptDataError):
        await trimmed_through(house.kv)
