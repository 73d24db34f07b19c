"""The contract of the source port."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta

import pytest
import pytest_asyncio

from sfm_core.errors import LimitExceededError
from sfm_core.model.events import Event
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.source import Delivery, EventSource, Rejection
from sfm_core.testing.contracts._base import BackendContract, Operation
from sfm_core.testing.samples import HOSTILE_COORDINATES, HOSTILE_NAMES, coordinate, event

_HERE = coordinate(1.0)
_PATIENCE = timedelta(seconds=30)
_BRIEFLY = timedelta(milliseconds=200)
_WHY = Rejection(handler="kit", code="corrupt-data", reason="It says nothing.")


class EventSourceTests(BackendContract[EventSource]):
    """Fixtures and shorthands for tests of an event source.

    `make` returns one more member of the same group each time, on a stream
    that is empty at the start of each test.
    """

    @pytest_asyncio.fixture
    async def source(self, make: Callable[[], EventSource]) -> AsyncIterator[EventSource]:
        """Return an open source."""
        async with make() as source:
            yield source

    @abstractmethod
    async def publish(self, events: Sequence[Event]) -> None:
        """Put events on the stream, as the sink that belongs to it does.

        Args:
            events: What to publish.
        """

    def operations(self, backend: EventSource) -> Sequence[Operation]:
        """Return one small call of every method."""
        delivery = Delivery(place="nowhere", event=None, problem="none")
        return (
            backend.ping,
            lambda: backend.receive(limit=1, wait=_BRIEFLY),
            lambda: backend.acknowledge([]),
            lambda: backend.set_aside(delivery, _WHY),
            backend.lag,
            lambda: backend.dead_letters(limit=1),
            lambda: backend.retry([]),
            lambda: backend.drop([]),
        )


async def received(source: EventSource, count: int, *, limit: int = 1000) -> list[Delivery]:
    """Receive until there are as many deliveries as expected.

    Args:
        source: Where from.
        count: How many.
        limit: Most per call.

    Returns:
        The deliveries.

    Raises:
        TimeoutError: They did not come.
    """
    found: list[Delivery] = []
    async with asyncio.timeout(_PATIENCE.total_seconds()):
        while len(found) < count:
            found += await source.receive(limit=limit, wait=_PATIENCE)
    return found


def _events(deliveries: Sequence[Delivery]) -> list[Event]:
    return [delivery.event for delivery in deliveries if delivery.event is not None]


class EventSourceContract(EventSourceTests):
    """Everything that `EventSource` promises; override `make` and `publish`."""

    async def test_events_arrive_as_they_were_published(
        self, source: EventSource, namespace: str
    ) -> None:
        """With every attribute, whatever the data hold."""
        data = {"text": "caf\u00e9 \U0001f9e0", "n": [1, 0.1, None, True, {"a": ""}]}
        events = [event(namespace, _HERE, 1, data), event(namespace, _HERE, 2, None)]
        await self.publish(events)
        assert _events(await received(source, 2)) == events

    async def test_namespaces_and_coordinates_that_look_alike_stay_apart(
        self, source: EventSource
    ) -> None:
        """Source and subject arrive as they are."""
        events = [event(name, where, 1) for name in HOSTILE_NAMES for where in HOSTILE_COORDINATES]
        await self.publish(events)
        found = _events(await received(source, len(events)))
        assert {one.id: one for one in found} == {one.id: one for one in events}

    async def test_events_of_a_memory_arrive_in_order(
        self, source: EventSource, namespace: str
    ) -> None:
        """Those of many memories at once, in several calls."""
        places = [coordinate(float(n)) for n in range(8)]
        events = [event(namespace, place, v) for v in range(1, 11) for place in places]
        await self.publish(events)
        versions: dict[str, list[int]] = defaultdict(list)
        for one in _events(await received(source, 80, limit=7)):
            versions[one.subject].append(one.version)
        assert versions == {str(place): list(range(1, 11)) for place in places}

    async def test_every_delivery_has_a_place_of_its_own(
        self, source: EventSource, namespace: str
    ) -> None:
        """By which it is named as a dead letter."""
        await self.publish([event(namespace, coordinate(float(n)), 1) for n in range(20)])
        places = [delivery.place for delivery in await received(source, 20)]
        assert len(set(places)) == 20

    async def test_no_more_come_than_were_asked_for(
        self, source: EventSource, namespace: str
    ) -> None:
        """However many there are."""
        await self.publish([event(namespace, _HERE, version) for version in range(1, 11)])
        assert len(await source.receive(limit=3, wait=_PATIENCE)) <= 3

    async def test_a_limit_out_of_bounds_is_refused(self, source: EventSource) -> None:
        """As everywhere."""
        for limit in (0, MAX_BATCH + 1):
            with pytest.raises(LimitExceededError):
                await source.receive(limit=limit, wait=_BRIEFLY)
            with pytest.raises(LimitExceededError):
                await source.dead_letters(limit=limit)

    async def test_an_empty_stream_is_waited_for_as_long_as_was_asked(
        self, source: EventSource
    ) -> None:
        """And answers nothing then."""
        assert await source.receive(limit=1, wait=_BRIEFLY) == []

    async def test_what_was_acknowledged_does_not_come_again(
        self, make: Callable[[], EventSource], namespace: str
    ) -> None:
        """The next member goes on behind it."""
        await self.publish([event(namespace, _HERE, version) for version in range(1, 6)])
        async with make() as first:
            await first.acknowledge(await received(first, 5))
        await self.publish([event(namespace, _HERE, 6)])
        async with make() as second:
            assert [one.version for one in _events(await received(second, 1))] == [6]

    async def test_what_was_not_acknowledged_comes_again(
        self, make: Callable[[], EventSource], namespace: str
    ) -> None:
        """All of it, in order."""
        events = [event(namespace, _HERE, version) for version in range(1, 6)]
        await self.publish(events)
        async with make() as first:
            found = await received(first, 5)
            await first.acknowledge(found[:2])
        async with make() as second:
            assert _events(await received(second, 3)) == events[2:]

    async def test_a_call_that_is_cancelled_takes_nothing(
        self, source: EventSource, namespace: str
    ) -> None:
        """Whenever that happens: what it would have returned comes with a later one."""
        events = [event(namespace, _HERE, version) for version in range(1, 41)]
        found: list[Event] = []
        for turns, one in enumerate(events):
            await self.publish([one])
            call = asyncio.ensure_future(source.receive(limit=10, wait=_BRIEFLY))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            found += [] if call.cancelled() else _events(call.result())
        found += _events(await received(source, len(events) - len(found)))
        assert found == events

    async def test_acknowledging_again_changes_nothing(
        self, make: Callable[[], EventSource], namespace: str
    ) -> None:
        """Nor does acknowledging what came earlier."""
        events = [event(namespace, _HERE, version) for version in range(1, 4)]
        await self.publish(events)
        async with make() as first:
            found = await received(first, 3)
            await first.acknowledge(found[:2])
            await first.acknowledge(found[:1])
            await first.acknowledge([])
        async with make() as second:
            assert _events(await received(second, 1)) == events[2:]

    async def test_the_lag_is_what_is_not_acknowledged(
        self, source: EventSource, namespace: str
    ) -> None:
        """Also of what is in hand."""
        assert await source.lag() == 0
        await self.publish([event(namespace, _HERE, version) for version in range(1, 5)])
        found = await received(source, 4)
        assert await source.lag() == 4
        await source.acknowledge(found[:3])
        assert await source.lag() == 1
        await source.acknowledge(found)
        assert await source.lag() == 0

    async def test_what_is_set_aside_is_kept_with_its_reason(
        self, make: Callable[[], EventSource], source: EventSource, namespace: str
    ) -> None:
        """For whoever asks, not for this member alone."""
        await self.publish([event(namespace, _HERE, 1)])
        [delivery] = await received(source, 1)
        await source.set_aside(delivery, _WHY)
        async with make() as other:
            [letter] = await other.dead_letters(limit=10)
        assert (letter.place, letter.rejection) == (delivery.place, _WHY)
        assert namespace.encode() in letter.value

    async def test_setting_aside_again_leaves_one_letter(
        self, source: EventSource, namespace: str
    ) -> None:
        """As after a lost reply."""
        await self.publish([event(namespace, _HERE, 1)])
        [delivery] = await received(source, 1)
        await source.set_aside(delivery, _WHY)
        await source.set_aside(delivery, _WHY)
        assert len(await source.dead_letters(limit=10)) == 1

    async def test_the_oldest_letters_are_listed_first(
        self, source: EventSource, namespace: str
    ) -> None:
        """As many as were asked for."""
        await self.publish([event(namespace, _HERE, version) for version in range(1, 5)])
        found = await received(source, 4)
        for delivery in found:
            await source.set_aside(delivery, _WHY)
        listed = await source.dead_letters(limit=3)
        assert [letter.place for letter in listed] == [one.place for one in found[:3]]

    async def test_a_letter_that_is_retried_is_published_again(
        self, source: EventSource, namespace: str
    ) -> None:
        """As it was; and is no letter any more."""
        events = [event(namespace, _HERE, version) for version in range(1, 3)]
        await self.publish(events)
        found = await received(source, 2)
        for delivery in found:
            await source.set_aside(delivery, _WHY)
        await source.acknowledge(found)
        assert await source.retry([found[0].place, "nowhere"]) == 1
        assert _events(await received(source, 1)) == events[:1]
        assert [one.place for one in await source.dead_letters(limit=10)] == [found[1].place]

    async def test_a_letter_that_is_dropped_is_gone(
        self, source: EventSource, namespace: str
    ) -> None:
        """The others stay, and nothing comes again."""
        await self.publish([event(namespace, _HERE, version) for version in range(1, 3)])
        found = await received(source, 2)
        for delivery in found:
            await source.set_aside(delivery, _WHY)
        await source.acknowledge(found)
        assert await source.drop([found[1].place, "nowhere"]) == 1
        assert [one.place for one in await source.dead_letters(limit=10)] == [found[0].place]
        assert await source.drop([found[1].place]) == 0
        assert await source.receive(limit=1, wait=_BRIEFLY) == []

    async def test_too_many_places_are_refused(self, source: EventSource) -> None:
        """As everywhere."""
        with pytest.raises(LimitExceededError):
            await source.retry(["nowhere"] * (MAX_BATCH + 1))
        with pytest.raises(LimitExceededError):
            await source.drop(["nowhere"] * (MAX_BATCH + 1))
