"""How patient an engine is with backends that can be cut off: short and long outages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import BackendUnavailableError
from sfm_core.hookspecs import hookimpl
from sfm_core.inprocess import (
    HashingEmbedder,
    InProcessCache,
    InProcessGraphStore,
    InProcessKeyValueStore,
    InProcessVectorStore,
)
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import NewMemory
from sfm_core.model.query import RecallQuery
from sfm_core.plugins import load_plugins
from sfm_core.protocols.cache import Cache
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.lifecycle import Backend
from sfm_core.protocols.vector import Collection, Point, VectorStore
from sfm_core.registry import BackendContext, Factory, Register
from sfm_core.resilience import Policy
from sfm_core.settings import EngineSettings, Slots

BackendT = TypeVar("BackendT", bound=Backend)

NS = "tests"
HERE = Coordinate((1.0,))
POLICY = Policy(backoff=timedelta(milliseconds=1), backoff_limit=timedelta(milliseconds=1))
SLOTS = Slots(kv="remote:", vector="remote:", graph="remote:", cache="remote:", embedder="remote:")


class OutageVectorStore(InProcessVectorStore):
    """Refuses as many writes as it is told."""

    outages = 0

    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        if self.outages:
            self.outages -= 1
            raise BackendUnavailableError("Connection refused.", backend="remote")
        await super().upsert(collection, points)


def always(backend: BackendT) -> Factory[BackendT]:
    """Return a factory that makes nothing new."""

    def factory(url: str, context: BackendContext) -> BackendT:
        del url, context
        return backend

    return factory


class RemoteBackends:
    """A plugin that offers in-process backends as if they could be cut off."""

    def __init__(self) -> None:
        self.vectors = OutageVectorStore()

    @hookimpl
    def sfm_register_caches(self, register: Register[Cache]) -> None:
        register("remote", always(InProcessCache()), summary="-")

    @hookimpl
    def sfm_register_kv_stores(self, register: Register[KeyValueStore]) -> None:
        register("remote", always(InProcessKeyValueStore()), summary="-")

    @hookimpl
    def sfm_register_vector_stores(self, register: Register[VectorStore]) -> None:
        register("remote", always(self.vectors), summary="-")

    @hookimpl
    def sfm_register_graph_stores(self, register: Register[GraphStore]) -> None:
        register("remote", always(InProcessGraphStore()), summary="-")

    @hookimpl
    def sfm_register_embedders(self, register: Register[Embedder]) -> None:
        register("remote", always(HashingEmbedder()), summary="-")


@pytest.fixture
def backends() -> RemoteBackends:
    return RemoteBackends()


@pytest.fixture
async def engine(backends: RemoteBackends, tmp_path: Path) -> AsyncIterator[MemoryEngine]:
    registry = load_plugins(extra={"remote": backends}).registry
    # No sweeper comes to help within the length of a test.
    settings = EngineSettings(sweep_interval=timedelta(hours=1))
    context = BackendContext(data_folder=tmp_path)
    async with open_engine(
        slots=SLOTS, registry=registry, context=context, settings=settings, policy=POLICY
    ) as opened:
        yield opened


def tea() -> NewMemory:
    return NewMemory(coordinate=HERE, payload={"text": "Ada likes green tea."})


async def test_a_patient_engine_stores_links_and_recalls(engine: MemoryEngine) -> None:
    await engine.store(NS, tea())
    await engine.store(NS, NewMemory(coordinate=Coordinate((2.0,)), payload={"text": "Trains."}))
    await engine.link(NS, HERE, Coordinate((2.0,)))

    (found,) = await engine.recall(NS, RecallQuery(text="green tea", top_k=1))

    assert found.memory.coordinate == HERE
    assert (await engine.check()).consistent
    assert await engine.shortest_path(NS, HERE, Coordinate((2.0,))) == [HERE, Coordinate((2.0,))]


async def test_a_short_outage_of_the_index_is_not_noticed(
    engine: MemoryEngine, backends: RemoteBackends
) -> None:
    backends.vectors.outages = POLICY.attempts - 1

    stored = await engine.store(NS, tea())

    assert stored.indexed


async def test_a_longer_outage_of_the_index_delays_it_but_not_the_write(
    engine: MemoryEngine, backends: RemoteBackends
) -> None:
    backends.vectors.outages = POLICY.attempts

    stored = await engine.store(NS, tea())

    assert not stored.indexed
    assert (await engine.get(NS, HERE)).version == 1
    assert (await engine.check()).missing == 1
    await engine.check(repair=True)
    assert (await engine.check()).consistent
