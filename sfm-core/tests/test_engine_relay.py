"""One relay of many publishes what is logged, at once, in order, and whatever happens to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from engine_house import (
    INTERVAL,
    LEASE,
    NS,
    Faults,
    House,
    at,
    eventually,
    let_others_work,
    new,
)
from msgspec.structs import replace

from sfm_core.engine.event_marks import read_published
from sfm_core.engine.events import GROUP, MAX_BYTES
from sfm_core.engine.manifest import Successor, change_manifest
from sfm_core.engine.relay import GAP, LOOK
from sfm_core.errors import BackendUnavailableError, ConfigurationError, SfmError
from sfm_core.model.events import Event
from sfm_core.model.keys import memory_key
from sfm_core.protocols.kv import Commit
from sfm_core.testing.samples import event_note

A, B = at(1), at(2)


def unique(events: Iterable[Event]) -> list[Event]:
    return list({event.id: event for event in events}.values())


def versions(house: House) -> list[int]:
    return [event.version for event in house.sink.events]


async def published(house: House, count: int) -> None:
    await eventually(lambda: len(house.sink.events) >= count)


class TestAtOnce:
    async def test_what_is_logged_is_published_while_the_clock_stands_still(
        self, house: House
    ) -> None:
        async with house.open(events=True) as engine:
            await engine.store(NS, new(A))
            await published(house, 1)

    async def test_what_follows_closely_is_published_together(self, house: House) -> None:
        faults = Faults()
        async with house.open(faults=faults, events=True) as engine:
            await engine.store(NS, new(A))
            await published(house, 1)
            for _ in range(3):
                await engine.store(NS, new(A))
            await let_others_work()
            assert versions(house) == [1]
            await house.clock.advance(GAP)
            await published(house, 4)
        assert faults.sink.calls["publish"] == 2

    async def test_what_another_process_logs_is_found_by_looking(self, house: House) -> None:
        async with house.open(events=True), house.open(events=True) as other:
            await other.store(NS, new(A))
            await house.sweep()
            assert versions(house) == [1]

    async def test_more_than_a_page_is_published_without_a_pause(self, house: House) -> None:
        faults = Faults()
        async with house.open(faults=faults, events=True) as engine:
            faults.sink.fail("publish", times=None)
            for start in (0, 600):
                await engine.store_many(NS, [new(at(start + n), "x") for n in range(600)])
            faults.clear()
            await house.clock.advance(LEASE)
            await published(house, 1200)
        assert len(unique(house.sink.events)) == 1200


class TestOneAtATime:
    async def test_engines_that_all_could_publish_do_not_publish_twice(self, house: House) -> None:
        async with house.open(events=True) as one, house.open(events=True) as other:
            for number in range(10):
                await asyncio.gather(
                    one.store(NS, new(A, str(number))), other.store(NS, new(B, str(number)))
                )
                await house.sweep()
        assert len(house.sink.events) == 20

    async def test_when_it_has_left_the_next_one_begins_at_once(self, house: House) -> None:
        async with house.open(events=True):
            pass
        async with house.open(events=True) as heir:
            await heir.store(NS, new(A))
            await published(house, 1)

    async def test_those_who_wait_notice_that_it_has_left(self, house: House) -> None:
        async with AsyncExitStack() as stack:
            leaving = await stack.enter_async_context(AsyncExitStack())
            await leaving.enter_async_context(house.open(events=True))
            heir = await stack.enter_async_context(house.open(events=True))
            await leaving.aclose()
            await heir.store(NS, new(A))
            await house.clock.advance(LOOK)
            await published(house, 1)

    async def test_it_has_left_also_where_a_renewal_was_cut_short(self, house: House) -> None:
        faults = Faults()
        async with house.open(faults=faults, events=True):
            faults.kv.hold_reply("commit")
            await house.clock.advance(LEASE / 5)
        async with house.open(events=True) as heir:
            await heir.store(NS, new(A))
            await published(house, 1)

    async def test_when_it_is_killed_another_takes_over_after_its_lease(self, house: House) -> None:
        killed = Faults()
        async with house.open(faults=killed, events=True), house.open(events=True) as heir:
            killed.sink.process.crashed = killed.kv.process.crashed = True
            await heir.store(NS, new(A))
            await house.sweep(LEASE - 3 * INTERVAL)
            assert versions(house) == []
            await house.sweep(LEASE)
            assert versions(house) == [1]

    async def test_it_stays_the_one_while_a_publication_takes_long(self, house: House) -> None:
        slow = Faults()
        async with house.open(faults=slow, events=True) as one, house.open(events=True):
            gate = slow.sink.hold("publish")
            await one.store(NS, new(A))
            await gate.reached()
            for _ in range(10):
                await house.clock.advance(LEASE / 3)
            assert versions(house) == []
            gate.open()
            await published(house, 1)
        assert versions(house) == [1]

    async def test_one_that_was_taken_for_dead_stops_before_the_next_page(
        self, house: House
    ) -> None:
        slow = Faults()
        async with house.open(faults=slow, events=True) as one, house.open(events=True) as heir:
            gate = slow.sink.hold("publish")
            await one.store(NS, new(A))
            await gate.reached()
            slow.kv.fail("commit", times=None)
            await heir.store(NS, new(A))
            for _ in range(10):
                await house.clock.advance(LEASE / 3)
            await published(house, 2)
            assert versions(house) == [1, 2]
            slow.kv.clear()
            gate.open()
            await published(house, 3)
            await heir.store(NS, new(A))
            await house.sweep()
            assert versions(house) == [1, 2, 1, 3]
            assert slow.sink.calls["publish"] == 1

    async def test_nothing_is_published_from_a_truth_that_is_overtaken(self, house: House) -> None:
        successor = Successor(truth_id="another", epoch=2, place="elsewhere:")
        async with house.open(events=True):
            await change_manifest(
                house.kv, "test", lambda manifest: replace(manifest, superseded_by=successor)
            )
            await house.sweep()
            commit = Commit(namespace=NS, events=(event_note(memory_key(A)),))
            await house.kv.commit([commit], owner="test", lease=LEASE)
            await house.sweep()
            assert versions(house) == []


class TestFailures:
    @pytest.mark.parametrize("fault", ["fail", "lose_reply"])
    @pytest.mark.parametrize(
        ("port", "method", "nth"),
        [
            ("sink", "publish", 1),
            ("sink", "publish", 2),
            ("kv", "read_events", 1),
            ("kv", "get_many", 1),
            ("kv", "get_many", 2),
            ("kv", "commit", 1),
            ("kv", "commit", 2),
        ],
    )
    async def test_no_event_is_lost_or_out_of_order(
        self, house: House, fault: str, port: str, method: str, nth: int
    ) -> None:
        faults = Faults()
        async with house.open(faults=faults, events=True), house.open() as writer:
            for number in range(5):
                await writer.store(NS, new(A, str(number)))
            getattr(getattr(faults, port), fault)(method, nth=nth)
            await house.sweep(LEASE)
            await writer.store(NS, new(A, "last"))
            await house.sweep(LEASE)
        assert [event.version for event in unique(house.sink.events)] == [1, 2, 3, 4, 5, 6]

    async def test_what_comes_twice_has_the_same_id(self, house: House) -> None:
        faults = Faults()
        async with house.open(faults=faults, events=True) as engine:
            faults.sink.lose_reply("publish")
            await engine.store(NS, new(A))
            await house.sweep(LEASE)
        first, again = house.sink.events
        assert first == again

    async def test_a_reason_is_logged_once(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        faults = Faults()
        caplog.set_level(logging.INFO, "sfm_core.engine.relay")
        async with house.open(faults=faults, events=True) as engine:
            faults.sink.fail("publish", times=None, error=numbered())
            await engine.store(NS, new(A))
            for _ in range(5):
                await house.sweep(LEASE)
            faults.sink.clear()
            faults.sink.fail("publish", error=refused)
            await house.sweep(LEASE)
            await house.sweep(LEASE)
        assert [record.message.split(".")[0] for record in caplog.records] == [
            "events are not published: backend-unavailable: It fails, 1",
            "events are not published: configuration: The login is refused",
            "events are published again",
        ]

    async def test_tries_become_rarer(self, house: House) -> None:
        faults = Faults()
        async with house.open(faults=faults, events=True) as engine:
            faults.sink.fail("publish", times=None)
            await engine.store(NS, new(A))
            for _ in range(600):
                await house.clock.advance(timedelta(seconds=1))
            assert 20 < faults.sink.calls["publish"] < 100

    async def test_every_engine_tells_what_is_wrong(self, house: House) -> None:
        faults = Faults()
        async with house.open(faults=faults, events=True) as one, house.open(events=True) as other:
            faults.sink.fail("publish", times=None, error=refused)
            await one.store(NS, new(A))
            await house.sweep()
            for engine in (one, other):
                health = (await engine.health()).ports["events"]
                assert (health.ok, health.error) == (False, "The login is refused.")
            faults.clear()
            await house.sweep(LEASE)
            for engine in (one, other):
                health = (await engine.health()).ports["events"]
                assert (health.ok, health.error) == (True, "")

    async def test_a_reason_is_taken_back_where_nothing_is_left_to_publish(
        self, house: House
    ) -> None:
        faults = Faults()
        async with house.open(faults=faults, events=True):
            faults.kv.fail("read_events", error=refused)
            await house.sweep(LEASE)
            await house.sweep(LEASE)
            published, _ = await read_published(house.kv)
            assert published.trouble == ""

    async def test_it_outlives_a_defect(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        faults = Faults()
        async with house.open(faults=faults, events=True) as engine:
            faults.sink.fail("publish", error=lambda: ValueError("a defect"))
            await engine.store(NS, new(A))
            await house.sweep(LEASE)
            assert versions(house) == [1]
        assert "a defect" in caplog.text


class TestMemory:
    async def test_large_events_are_published_a_few_at_a_time(self, house: House) -> None:
        faults = Faults()
        count, size = 3 * GROUP, MAX_BYTES // GROUP
        async with house.open(faults=faults, events=True) as engine:
            faults.sink.fail("publish", times=None)
            await engine.store_many(NS, [new(at(n), "x" * size) for n in range(count)])
            faults.clear()
            tried = faults.sink.calls["publish"]
            await house.sweep(LEASE)
        assert len(unique(house.sink.events)) == count
        assert faults.sink.calls["publish"] - tried == 3


def numbered() -> Callable[[], SfmError]:
    """Return what makes errors that differ in their words only."""
    number = 0

    def make() -> SfmError:
        nonlocal number
        number += 1
        return BackendUnavailableError(f"It fails, {number}.", backend="memory")

    return make


def refused() -> SfmError:
    return ConfigurationError("The login is refused.", setting="password")
