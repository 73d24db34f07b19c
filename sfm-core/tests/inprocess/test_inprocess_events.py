from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from sfm_core.inprocess import EventStreamState, InProcessEventSink, InProcessEventSource
from sfm_core.inprocess.events import KEPT_EVENTS
from sfm_core.model.events import Event
from sfm_core.protocols.events import EventSink
from sfm_core.testing.contracts import EventSinkContract, EventSourceContract
from sfm_core.testing.samples import coordinate, event


class TestInProcessEventSink(EventSinkContract):
    shared = False

    @pytest.fixture
    def make(self) -> Callable[[], InProcessEventSink]:
        state = EventStreamState()
        return lambda: InProcessEventSink(state=state)

    async def published(self, sink: EventSink, count: int) -> list[Event]:
        assert isinstance(sink, InProcessEventSink)
        assert len(sink.events) >= count
        return list(sink.events)


class TestInProcessEventSource(EventSourceContract):
    shared = False

    @pytest.fixture(autouse=True)
    def stream(self) -> None:
        self.state = EventStreamState()

    @pytest.fixture
    def make(self) -> Callable[[], InProcessEventSource]:
        return lambda: InProcessEventSource(state=self.state)

    async def publish(self, events: Sequence[Event]) -> None:
        async with InProcessEventSink(state=self.state) as sink:
            await sink.publish(events)


async def test_only_the_latest_events_are_kept() -> None:
    async with InProcessEventSink() as sink:
        for start in range(0, 2 * KEPT_EVENTS, KEPT_EVENTS // 2):
            versions = range(start + 1, start + KEPT_EVENTS // 2 + 1)
            await sink.publish([event("n", coordinate(1.0), version) for version in versions])
    assert len(sink.events) == KEPT_EVENTS
    assert sink.events[-1].version == 2 * KEPT_EVENTS
