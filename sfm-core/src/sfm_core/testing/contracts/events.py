"""The contract of the event port."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
import pytest_asyncio

from sfm_core.errors import LimitExceededError
from sfm_core.model.events import Event
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.events import EventSink
from sfm_core.testing.contracts._base import BackendContract, Operation
from sfm_core.testing.samples import HOSTILE_COORDINATES, HOSTILE_NAMES, coordinate, event

_HERE = coordinate(1.0)


class EventSinkTests(BackendContract[EventSink]):
    """Fixtures and shorthands for tests of an event sink."""

    @pytest_asyncio.fixture
    async def sink(self, make: Callable[[], EventSink]) -> AsyncIterator[EventSink]:
        """Return an open sink."""
        async with make() as sink:
            yield sink

    @abstractmethod
    async def published(self, sink: EventSink, count: int) -> list[Event]:
        """Read back what a consumer would see.

        Args:
            sink: The sink that they were published to.
            count: How many are expected; wait for them within reason.

        Returns:
            The events of this test: those of one subject in their order, and any
            beyond `count` as well.
        """

    def operations(self, backend: EventSink) -> Sequence[Operation]:
        """Return one small call of every method."""
        return (backend.ping, lambda: backend.publish([event("n", _HERE, 1)]))


class EventSinkContract(EventSinkTests):
    """Everything that `EventSink` promises; override `make` and `published`."""

    async def test_events_arrive_as_they_were_given(self, sink: EventSink, namespace: str) -> None:
        """With every attribute, whatever the data hold."""
        data = {"text": "caf\u00e9 \U0001f9e0", "n": [1, 0.1, None, True, {"a": ""}]}
        events = [event(namespace, _HERE, 1, data), event(namespace, _HERE, 2, None)]
        await sink.publish(events)
        assert await self.published(sink, 2) == events

    async def test_namespaces_and_coordinates_that_look_alike_stay_apart(
        self, sink: EventSink
    ) -> None:
        """Source and subject are delivered as they are."""
        events = [event(name, where, 1) for name in HOSTILE_NAMES for where in HOSTILE_COORDINATES]
        await sink.publish(events)
        found = await self.published(sink, len(events))
        assert {one.id: one for one in found} == {one.id: one for one in events}

    async def test_events_of_a_memory_stay_in_order(self, sink: EventSink, namespace: str) -> None:
        """Inside a call and from one call to the next."""
        events = [event(namespace, _HERE, version) for version in range(1, 61)]
        for start in range(0, 60, 7):
            await sink.publish(events[start : start + 7])
        assert await self.published(sink, 60) == events

    async def test_memories_published_at_once_each_keep_their_order(
        self, sink: EventSink, namespace: str
    ) -> None:
        """Concurrent calls about different memories do not disturb each other."""
        places = [coordinate(float(n)) for n in range(8)]

        async def publish(number: int) -> None:
            for version in range(1, 6):
                await sink.publish([event(namespace, places[number], version)])

        await asyncio.gather(*(publish(number) for number in range(8)))
        found = await self.published(sink, 40)
        for place in places:
            versions = [one.version for one in found if one.subject == str(place)]
            assert versions == [1, 2, 3, 4, 5]

    async def test_publishing_again_is_recognisable(self, sink: EventSink, namespace: str) -> None:
        """A call repeated after a lost reply delivers nothing but the same ids."""
        one = event(namespace, _HERE, 1)
        await sink.publish([one])
        await sink.publish([one])
        assert {found.id for found in await self.published(sink, 1)} == {one.id}

    async def test_publishing_nothing_does_nothing(self, sink: EventSink) -> None:
        """An empty call is taken."""
        await sink.publish([])
        assert await self.published(sink, 0) == []

    async def test_too_many_events_are_refused(self, sink: EventSink, namespace: str) -> None:
        """And none of them is published."""
        with pytest.raises(LimitExceededError):
            await sink.publish([event(namespace, _HERE, 1)] * (MAX_BATCH + 1))
        assert await self.published(sink, 0) == []
