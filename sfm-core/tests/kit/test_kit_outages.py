"""The contracts for outages hold for every port of a backend that behaves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import cast

import pytest
from remote import RemoteBackend, serving

from sfm_core.inprocess import (
    CacheState,
    EventStreamState,
    GraphState,
    HashingEmbedder,
    InProcessCache,
    InProcessEventSink,
    InProcessGraphStore,
    InProcessVectorStore,
    VectorState,
)
from sfm_core.model.events import Event
from sfm_core.protocols.cache import Cache
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.events import EventSink
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.vector import VectorStore
from sfm_core.testing.contracts import (
    CacheOutageContract,
    EmbedderOutageContract,
    EventSinkOutageContract,
    GraphOutageContract,
    VectorOutageContract,
)

DEADLINE = timedelta(seconds=10)


class TestRemoteVectorStore(VectorOutageContract):
    deadline = DEADLINE

    @pytest.fixture
    async def server_url(self) -> AsyncIterator[str]:
        async with serving(InProcessVectorStore(state=VectorState())) as url:
            yield url

    @pytest.fixture
    def connect(self) -> Callable[[str], VectorStore]:
        return lambda url: cast(VectorStore, RemoteBackend(url))


class TestRemoteGraphStore(GraphOutageContract):
    deadline = DEADLINE

    @pytest.fixture
    async def server_url(self) -> AsyncIterator[str]:
        async with serving(InProcessGraphStore(state=GraphState())) as url:
            yield url

    @pytest.fixture
    def connect(self) -> Callable[[str], GraphStore]:
        return lambda url: cast(GraphStore, RemoteBackend(url))


class TestRemoteCache(CacheOutageContract):
    deadline = DEADLINE

    @pytest.fixture
    async def server_url(self) -> AsyncIterator[str]:
        async with serving(InProcessCache(state=CacheState())) as url:
            yield url

    @pytest.fixture
    def connect(self) -> Callable[[str], Cache]:
        return lambda url: cast(Cache, RemoteBackend(url))


class TestRemoteEventSink(EventSinkOutageContract):
    deadline = DEADLINE

    @pytest.fixture
    def state(self) -> EventStreamState:
        return EventStreamState()

    @pytest.fixture
    async def server_url(self, state: EventStreamState) -> AsyncIterator[str]:
        self.served = InProcessEventSink(state=state)
        async with serving(self.served) as url:
            yield url

    @pytest.fixture
    def connect(self) -> Callable[[str], EventSink]:
        return lambda url: cast(EventSink, RemoteBackend(url))

    async def published(self, sink: EventSink, count: int) -> list[Event]:
        assert sink.shared
        assert len(self.served.events) >= count
        return list(self.served.events)


class TestRemoteEmbedder(EmbedderOutageContract):
    deadline = DEADLINE

    @pytest.fixture
    async def server_url(self) -> AsyncIterator[str]:
        async with serving(HashingEmbedder()) as url:
            yield url

    @pytest.fixture
    def connect(self) -> Callable[[str], Embedder]:
        return lambda url: cast(Embedder, RemoteBackend(url))
