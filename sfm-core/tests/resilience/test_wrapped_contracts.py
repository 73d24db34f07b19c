"""Each wrapper keeps every promise of the port it wraps: the kit's contracts, run again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sfm_core.inprocess import (
    CacheState,
    EventStreamState,
    GraphState,
    HashingEmbedder,
    InProcessCache,
    InProcessEventSink,
    InProcessGraphStore,
    InProcessKeyValueStore,
    InProcessVectorStore,
    KeyValueState,
    VectorState,
)
from sfm_core.model.events import Event
from sfm_core.protocols.events import EventSink
from sfm_core.resilience import (
    ResilientCache,
    ResilientEmbedder,
    ResilientEventSink,
    ResilientGraphStore,
    ResilientKeyValueStore,
    ResilientVectorStore,
)
from sfm_core.testing.clock import MovableClock
from sfm_core.testing.contracts import (
    CacheContract,
    EmbedderContract,
    EventSinkContract,
    GraphStoreContract,
    KeyValueStoreContract,
    VectorStoreContract,
)


class TestResilientKeyValueStore(KeyValueStoreContract):
    shared = False

    @pytest.fixture
    def make(self, clock: MovableClock) -> Callable[[], ResilientKeyValueStore]:
        state = KeyValueState()
        return lambda: ResilientKeyValueStore(
            InProcessKeyValueStore(state=state, clock=clock), clock=clock
        )


class TestResilientVectorStore(VectorStoreContract):
    shared = False

    @pytest.fixture
    def make(self) -> Callable[[], ResilientVectorStore]:
        state = VectorState()
        return lambda: ResilientVectorStore(InProcessVectorStore(state=state))


class TestResilientGraphStore(GraphStoreContract):
    shared = False

    @pytest.fixture
    def make(self) -> Callable[[], ResilientGraphStore]:
        state = GraphState()
        return lambda: ResilientGraphStore(InProcessGraphStore(state=state))


class TestResilientCache(CacheContract):
    shared = False

    @pytest.fixture
    def make(self, clock: MovableClock) -> Callable[[], ResilientCache]:
        state = CacheState()
        return lambda: ResilientCache(InProcessCache(state=state, clock=clock), clock=clock)


class TestResilientEmbedder(EmbedderContract):
    shared = False

    @pytest.fixture
    def make(self) -> Callable[[], ResilientEmbedder]:
        return lambda: ResilientEmbedder(HashingEmbedder())


class TestResilientEventSink(EventSinkContract):
    shared = False

    @pytest.fixture
    def make(self) -> Callable[[], ResilientEventSink]:
        state = EventStreamState()
        return lambda: ResilientEventSink(InProcessEventSink(state=state))

    async def published(self, sink: EventSink, count: int) -> list[Event]:
        assert isinstance(sink, ResilientEventSink)
        assert isinstance(sink.inner, InProcessEventSink)
        assert len(sink.inner.events) >= count
        return list(sink.inner.events)
