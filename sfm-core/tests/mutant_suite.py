"""For each mutant the test that has to notice it, and for each original every test.

It is not collected with the other tests: `test_kit_mutants` runs it in a
process of its own, where it is meant to fail.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import cast

import pytest
from mutants_capabilities import CAPABILITY_MUTANTS, ModestGraph
from mutants_entries import ENTRY_MUTANTS
from mutants_filters import FILTER_MUTANTS
from mutants_graph import GRAPH_MUTANTS
from mutants_handlers import HANDLER_MUTANTS, Bookkeeper, Ledger
from mutants_outages import CACHE_OUTAGE_MUTANTS, KEY_VALUE_OUTAGE_MUTANTS
from mutants_outbox import OUTBOX_MUTANTS
from mutants_points import POINT_MUTANTS
from mutants_small import CACHE_MUTANTS, EMBEDDER_MUTANTS, SINK_MUTANTS
from mutants_vector import VECTOR_MUTANTS
from remote import RemoteBackend, serving

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
from sfm_core.protocols.cache import Cache
from sfm_core.protocols.events import EventSink
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.registry import Registration
from sfm_core.testing.clock import MovableClock
from sfm_core.testing.contracts import (
    CacheContract,
    CacheOutageContract,
    CapabilityContract,
    EmbedderContract,
    EventHandlerContract,
    EventSinkContract,
    GraphStoreContract,
    KeyValueOutageContract,
    KeyValueStoreContract,
    VectorStoreContract,
)


class KeyValueSubject(KeyValueStoreContract):
    shared = False
    subject = InProcessKeyValueStore

    @pytest.fixture
    def make(self, clock: MovableClock) -> Callable[[], InProcessKeyValueStore]:
        state = KeyValueState()
        return lambda: self.subject(state=state, clock=clock)


class VectorSubject(VectorStoreContract):
    shared = False
    subject = InProcessVectorStore

    @pytest.fixture
    def make(self) -> Callable[[], InProcessVectorStore]:
        state = VectorState()
        return lambda: self.subject(state=state)


class GraphSubject(GraphStoreContract):
    shared = False
    subject = InProcessGraphStore

    @pytest.fixture
    def make(self) -> Callable[[], InProcessGraphStore]:
        state = GraphState()
        return lambda: self.subject(state=state)


class CacheSubject(CacheContract):
    shared = False
    subject = InProcessCache

    @pytest.fixture
    def make(self, clock: MovableClock) -> Callable[[], InProcessCache]:
        state = CacheState()
        return lambda: self.subject(state=state, clock=clock)


class SinkSubject(EventSinkContract):
    shared = False
    subject = InProcessEventSink

    @pytest.fixture
    def make(self) -> Callable[[], InProcessEventSink]:
        state = EventStreamState()
        return lambda: self.subject(state=state)

    async def published(self, sink: EventSink, count: int) -> list[Event]:
        assert isinstance(sink, InProcessEventSink)
        assert len(sink.events) >= count
        return list(sink.events)


class HandlerSubject(EventHandlerContract):
    subject = Bookkeeper

    @pytest.fixture
    def make(self) -> Callable[[], Bookkeeper]:
        return lambda: self.subject(self._ledger)

    @pytest.fixture(autouse=True)
    def ledger(self) -> Ledger:
        self._ledger: Ledger = {}
        return self._ledger

    async def effect(self) -> object:
        return dict(self._ledger)


class EmbedderSubject(EmbedderContract):
    shared = False
    subject = HashingEmbedder

    @pytest.fixture
    def make(self) -> Callable[[], HashingEmbedder]:
        return self.subject


class KeyValueOutageSubject(KeyValueOutageContract):
    deadline = timedelta(seconds=3)
    subject = RemoteBackend

    @pytest.fixture
    async def server_url(self, clock: MovableClock) -> AsyncIterator[str]:
        async with serving(InProcessKeyValueStore(state=KeyValueState(), clock=clock)) as url:
            yield url

    @pytest.fixture
    def connect(self) -> Callable[[str], KeyValueStore]:
        return lambda url: cast(KeyValueStore, self.subject(url))


class CacheOutageSubject(CacheOutageContract):
    deadline = timedelta(seconds=3)
    subject = RemoteBackend

    @pytest.fixture
    async def server_url(self, clock: MovableClock) -> AsyncIterator[str]:
        async with serving(InProcessCache(state=CacheState(), clock=clock)) as url:
            yield url

    @pytest.fixture
    def connect(self) -> Callable[[str], Cache]:
        return lambda url: cast(Cache, self.subject(url))


class CapabilitySubject(CapabilityContract):
    subject = ModestGraph

    @pytest.fixture
    def registration(self) -> Registration[InProcessGraphStore]:
        return self.subject.registration()

    @pytest.fixture
    def url(self) -> str:
        return "modest:"


SUBJECTS: dict[type, Mapping[type, str]] = {
    KeyValueSubject: {InProcessKeyValueStore: "", **ENTRY_MUTANTS, **OUTBOX_MUTANTS},
    VectorSubject: {InProcessVectorStore: "", **VECTOR_MUTANTS, **POINT_MUTANTS, **FILTER_MUTANTS},
    GraphSubject: {InProcessGraphStore: "", **GRAPH_MUTANTS},
    CacheSubject: {InProcessCache: "", **CACHE_MUTANTS},
    SinkSubject: {InProcessEventSink: "", **SINK_MUTANTS},
    HandlerSubject: {Bookkeeper: "", **HANDLER_MUTANTS},
    EmbedderSubject: {HashingEmbedder: "", **EMBEDDER_MUTANTS},
    KeyValueOutageSubject: {RemoteBackend: "", **KEY_VALUE_OUTAGE_MUTANTS},
    CacheOutageSubject: CACHE_OUTAGE_MUTANTS,
    CapabilitySubject: {ModestGraph: "", **CAPABILITY_MUTANTS},
}


def _narrowed(contract: type, expected: str) -> dict[str, None]:
    """Hide every test but one; all are kept for an original, which names none."""
    tests = [name for name in dir(contract) if name.startswith("test_")]
    assert not expected or expected in tests, expected
    return {name: None for name in tests if expected and name != expected}


# What waits for ever is waited for no longer than it takes to tell.
_IMPATIENT = {"deadline": timedelta(seconds=1.5)}

for contract, subjects in SUBJECTS.items():
    for subject, expected in subjects.items():
        name = f"Test{subject.__name__}"
        body: dict[str, object] = {"subject": subject, "__module__": __name__}
        body |= _narrowed(contract, expected)
        if expected and issubclass(contract, KeyValueOutageSubject | CacheOutageSubject):
            body |= _IMPATIENT
        globals()[name] = type(name, (contract,), body)
