"""A house for engines: the data they share, raw access to it, and faults for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.inprocess.cache import InProcessCache
from sfm_core.inprocess.embedder import HashingEmbedder
from sfm_core.inprocess.events import EventSinkState, InProcessEventSink
from sfm_core.inprocess.graph import GraphState, InProcessGraphStore
from sfm_core.inprocess.kv import InProcessKeyValueStore, KeyValueState
from sfm_core.inprocess.vector import InProcessVectorStore, VectorState
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import parse_filter
from sfm_core.model.keys import memory_key
from sfm_core.model.memory import NewMemory
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.model.payload import Payload
from sfm_core.model.query import RecallQuery
from sfm_core.protocols.kv import Commit, Write
from sfm_core.protocols.lifecycle import Backend
from sfm_core.protocols.vector import Collection
from sfm_core.registry import LOCAL, BackendContext, Factory, PortName, Registration, Registry
from sfm_core.settings import EngineSettings, Slots
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.faults import FaultPlan, faulty

NS = "house"
SETTINGS = EngineSettings()
INTERVAL = SETTINGS.sweep_interval
LEASE = SETTINGS.lease
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Faults:
    """One plan per port of one engine."""

    kv: FaultPlan = field(default_factory=FaultPlan)
    vector: FaultPlan = field(default_factory=FaultPlan)
    graph: FaultPlan = field(default_factory=FaultPlan)
    embedder: FaultPlan = field(default_factory=FaultPlan)
    sink: FaultPlan = field(default_factory=FaultPlan)

    def clear(self) -> None:
        for plan in (self.kv, self.vector, self.graph, self.embedder, self.sink):
            plan.clear()


class House:
    """What engines share, and three stores to look and meddle behind their backs."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self._kv_state = KeyValueState()
        self._vector_state = VectorState()
        self._graph_state = GraphState()
        self._sink_state = EventSinkState()
        self.kv = InProcessKeyValueStore(state=self._kv_state, clock=self.clock)
        self.vector = InProcessVectorStore(state=self._vector_state)
        self.graph = InProcessGraphStore(state=self._graph_state)
        self.sink = InProcessEventSink(state=self._sink_state)
        self.engines = 0
        self.interval = INTERVAL

    @property
    def collection(self) -> Collection:
        """The collection that the engines have made."""
        [made] = self._vector_state.collections()
        return made

    @asynccontextmanager
    async def open(
        self,
        settings: EngineSettings = SETTINGS,
        *,
        faults: Faults | None = None,
        events: bool = False,
    ) -> AsyncGenerator[MemoryEngine]:
        """Open an engine whose first round of upkeep is done."""
        self.interval = settings.sweep_interval
        async with open_engine(
            slots=Slots(
                kv="memory:",
                vector="memory:",
                graph="memory:",
                cache="memory:",
                embedder="memory:",
                events="memory:" if events else None,
            ),
            registry=self._registry(faults or Faults()),
            context=BackendContext(data_folder=Path("unused"), clock=self.clock),
            settings=settings,
        ) as engine:
            self.engines += 1
            try:
                await self._upkeep_done()
                await eventually(lambda: not engine.rebuilding)
                yield engine
            finally:
                self.engines -= 1

    async def sweep(self, by: timedelta = INTERVAL) -> None:
        """Let time pass, and every engine do a whole round of upkeep afterwards."""
        for step in (by, self.interval):
            await self.clock.advance(step)
            await self._upkeep_done()

    async def outbox_depth(self) -> int:
        """Tell how many notes wait."""
        return (await self.kv.outbox_status()).depth

    async def points(self, namespace: str = NS) -> dict[Coordinate, int]:
        """Return the version of every point."""
        states = await self.vector.scroll(self.collection, namespace, after=None, limit=10_000)
        return {state.id.coordinate: state.version for state in states}

    async def edges(self, namespace: str = NS) -> set[tuple[Coordinate, str, Coordinate]]:
        """Return every edge."""
        edges = await self.graph.scroll(namespace, after=None, limit=10_000)
        return {(edge.id.source, edge.id.type, edge.id.target) for edge in edges}

    async def corrupt(self, namespace: str, coordinate: Coordinate) -> None:
        """Make the entry of a memory unreadable."""
        key = memory_key(coordinate)
        [entry] = await self.kv.get_many(namespace, [key])
        version = entry.version if entry else 1
        commit = Commit(namespace=namespace, writes=(Write(key, b"no record", version),))
        await self.kv.commit([commit], owner="test", lease=LEASE)

    async def rewrite_manifest(self, value: bytes) -> None:
        """Put something else where the truth says what it is."""
        write = Write(b"manifest", value, 9)
        commit = Commit(namespace=SYSTEM_NAMESPACE, writes=(write,))
        await self.kv.commit([commit], owner="test", lease=LEASE)

    async def _upkeep_done(self) -> None:
        await eventually(lambda: self.clock.sleepers >= self.engines)

    def _registry(self, faults: Faults) -> Registry:
        registry = Registry()
        factories: dict[PortName, Callable[[], Backend]] = {
            PortName.KV: lambda: faulty(
                InProcessKeyValueStore(state=self._kv_state, clock=self.clock), faults.kv
            ),
            PortName.VECTOR: lambda: faulty(
                InProcessVectorStore(state=self._vector_state), faults.vector
            ),
            PortName.GRAPH: lambda: faulty(
                InProcessGraphStore(state=self._graph_state), faults.graph
            ),
            PortName.CACHE: lambda: InProcessCache(clock=self.clock),
            PortName.EMBEDDER: lambda: faulty(HashingEmbedder(), faults.embedder),
            PortName.EVENTS: lambda: faulty(
                InProcessEventSink(state=self._sink_state), faults.sink
            ),
        }
        for port, make in factories.items():
            registry.add(
                Registration(
                    port=port,
                    scheme="memory",
                    factory=_ignoring(make),
                    summary="",
                    capabilities=frozenset({LOCAL}),
                    distribution="tests",
                )
            )
        return registry


def _ignoring(make: Callable[[], Backend]) -> Factory[Backend]:
    def factory(url: str, context: BackendContext) -> Backend:  # noqa: ARG001 - a factory's signature
        return make()

    return factory


@asynccontextmanager
async def open_house() -> AsyncGenerator[House]:
    """Open a house whose own stores are open."""
    house = House()
    async with house.kv, house.vector, house.graph, house.sink:
        yield house


async def eventually(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Let others work until something holds; threads need real time, so it is given to them."""
    async with asyncio.timeout(PATIENCE):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.0005)


def at(*components: float) -> Coordinate:
    """Return a coordinate."""
    return Coordinate.of(components)


def new(coordinate: Coordinate, text: str = "a thing to keep", **more: object) -> NewMemory:
    """Return a memory to store; `more` are further fields of `NewMemory`."""
    return replace(NewMemory(coordinate=coordinate, payload={"text": text}), **more)  # type: ignore[arg-type]


def ask(text: str, top_k: int = 5, *, where: Payload | None = None, **more: object) -> RecallQuery:
    """Return a query; `where` is a filter in its JSON form."""
    query = RecallQuery(text=text, top_k=top_k, filter=parse_filter(where))
    return replace(query, **more)  # type: ignore[arg-type]


async def found(
    engine: MemoryEngine, text: str, top_k: int = 5, **more: object
) -> list[Coordinate]:
    """Return where the memories live that a recall returns."""
    return [r.memory.coordinate for r in await engine.recall(NS, ask(text, top_k, **more))]  # type: ignore[arg-type]
