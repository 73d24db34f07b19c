"""A house for engines: the data they share, raw access to it, and faults for each of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threads_at_work import threads_at_work, watch_threads

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.inprocess.cache import InProcessCache
from sfm_core.inprocess.embedder import HashingEmbedder
from sfm_core.inprocess.events import EventStreamState, InProcessEventSink
from sfm_core.inprocess.graph import GraphState, InProcessGraphStore
from sfm_core.inprocess.kv import InProcessKeyValueStore, KeyValueState
from sfm_core.inprocess.vector import InProcessVectorStore, VectorState
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import parse_filter
from sfm_core.model.keys import memory_key
from sfm_core.model.memory import NewMemory
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.model.payload import Payload
from sfm_core.model.position import WritePosition
from sfm_core.model.query import RecallQuery
from sfm_core.protocols.embedder import Fingerprint
from sfm_core.protocols.kv import Commit, Write
from sfm_core.protocols.lifecycle import Backend
from sfm_core.protocols.observer import UNOBSERVED, Observer
from sfm_core.protocols.vector import Collection
from sfm_core.registry import LOCAL, BackendContext, Factory, PortName, Registration, Registry
from sfm_core.settings import EngineSettings, Indexing, Slots
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.faults import FaultPlan, faulty

NS = "house"
SETTINGS = EngineSettings()
EVENTED = replace(SETTINGS, indexing=Indexing.EVENTED)
EMBEDDERS = ("memory", "small", "tiny")
INTERVAL = SETTINGS.sweep_interval
LEASE = SETTINGS.lease
PATIENCE = 60.0
TURNS = 100
STEP = timedelta(milliseconds=100)

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Faults:
    """One plan per port of one engine."""

    kv: FaultPlan = field(default_factory=FaultPlan)
    vector: FaultPlan = field(default_factory=FaultPlan)
    graph: FaultPlan = field(default_factory=FaultPlan)
    embedder: FaultPlan = field(default_factory=FaultPlan)
    other: FaultPlan = field(default_factory=FaultPlan)
    sink: FaultPlan = field(default_factory=FaultPlan)

    def clear(self) -> None:
        for plan in (self.kv, self.vector, self.graph, self.embedder, self.other, self.sink):
            plan.clear()


class SmallEmbedder(HashingEmbedder):
    """An embedder whose vectors are not those of any other, and shorter than most."""

    def __init__(self, model: str, embedded: Counter[str]) -> None:
        super().__init__()
        self._model = model
        self._embedded = embedded

    @property
    def fingerprint(self) -> Fingerprint:
        return Fingerprint(model=self._model, revision="1", dimension=64)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self._embedded.update(texts)
        whole = await super().embed([f"{self._model} {text}" for text in texts])
        vectors: NDArray[np.float32] = whole.reshape(len(texts), -1, 64).sum(axis=1)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


class House:
    """What engines share, and three stores to look and meddle behind their backs.

    Attributes:
        embedded: How often each text was embedded by an embedder other than `memory`.
    """

    def __init__(
        self, *, truth: KeyValueState | None = None, clock: ManualClock | None = None
    ) -> None:
        self.clock = clock or ManualClock()
        self._kv_state = truth or KeyValueState()
        self._vector_state = VectorState()
        self._graph_state = GraphState()
        self._sink_state = EventStreamState()
        self.kv = InProcessKeyValueStore(state=self._kv_state, clock=self.clock)
        self.vector = InProcessVectorStore(state=self._vector_state)
        self.graph = InProcessGraphStore(state=self._graph_state)
        self.sink = InProcessEventSink(state=self._sink_state)
        self.engines = 0
        self.relays = 0
        self.embedded: Counter[str] = Counter()
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
        embedder: str = "memory",
        installed: Sequence[str] = EMBEDDERS,
        decides: bool = True,
        settled: bool = True,
        observer: Observer = UNOBSERVED,
    ) -> AsyncGenerator[MemoryEngine]:
        """Open an engine whose first round of upkeep is done, and its builds unless told not to."""
        watch_threads()
        self.interval = settings.sweep_interval
        async with open_engine(
            slots=Slots(
                kv="memory:",
                vector="memory:",
                graph="memory:",
                cache="memory:",
                embedder=f"{embedder}:",
                events="memory:" if events else None,
            ),
            registry=self._registry(faults or Faults(), installed),
            context=BackendContext(data_folder=Path("unused"), clock=self.clock, observer=observer),
            settings=settings,
            decides=decides,
        ) as engine:
            self.engines += 1
            self.relays += events
            try:
                await self._upkeep_done()
                if settled:
                    await self.settle(engine)
                yield engine
            finally:
                self.engines -= 1
                self.relays -= events

    async def sweep(self, by: timedelta = INTERVAL) -> None:
        """Let time pass, and every engine do a whole round of upkeep afterwards."""
        for step in (by, self.interval):
            await self.clock.advance(step)
            await self._upkeep_done()

    async def settle(self, engine: MemoryEngine) -> None:
        """Let time pass until an engine has built what it has to."""
        await eventually(partial(self._settled, engine))

    async def _settled(self, engine: MemoryEngine) -> bool:
        if engine.rebuilding:
            await self.sweep()
        return not engine.rebuilding

    async def outbox_depth(self) -> int:
        """Tell how many notes wait, once engines have had their turns to let go of them."""
        await let_others_work()
        return (await self.kv.outbox_status()).depth

    async def nothing_waits(self, *, sweeping: bool = False) -> None:
        """Wait until every note is followed, by upkeep too if need be."""
        await eventually(partial(self._nothing_waits, sweeping))

    async def _nothing_waits(self, sweeping: bool) -> bool:  # noqa: FBT001 - private
        depth = (await self.kv.outbox_status()).depth
        if depth and sweeping:
            await self.sweep()
        return depth == 0

    async def points(
        self, namespace: str = NS, collection: Collection | None = None
    ) -> dict[Coordinate, int]:
        """Return the version of every point."""
        states = await self.vector.scroll(
            collection or self.collection, namespace, after=None, limit=10_000
        )
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
        # Each engine waits for its next round, and each relay for something to do; the one
        # at work also waits for when it has to renew its lock. One may rest in two places while
        # another waits for a thread.
        at_work = self.relays > 0

        def all_rest() -> bool:
            rests = self.clock.sleepers >= self.engines + self.relays + at_work
            return rests and not threads_at_work()

        await eventually(all_rest)
        # A second round of purges sleeps, too, between two looks at how far it is.
        await let_others_work()
        await eventually(all_rest)

    def _registry(self, faults: Faults, installed: Sequence[str]) -> Registry:
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
        for scheme in installed:
            registry.add(
                Registration(
                    port=PortName.EMBEDDER,
                    scheme=scheme,
                    factory=_ignoring(partial(self._embedder, scheme, faults)),
                    summary="",
                    capabilities=frozenset({LOCAL}),
                    distribution="tests",
                )
            )
        return registry

    def _embedder(self, scheme: str, faults: Faults) -> Backend:
        if scheme == "memory":
            return faulty(HashingEmbedder(), faults.embedder)
        return faulty(SmallEmbedder(scheme, self.embedded), faults.other)


def _ignoring(make: Callable[[], Backend]) -> Factory[Backend]:
    def factory(url: str, context: BackendContext) -> Backend:  # noqa: ARG001 - a factory's signature
        return make()

    return factory


@asynccontextmanager
async def open_house(
    *, truth: KeyValueState | None = None, clock: ManualClock | None = None
) -> AsyncGenerator[House]:
    """Open a house whose own stores are open; on a truth that is there already, if one is given."""
    house = House(truth=truth, clock=clock)
    async with house.kv, house.vector, house.graph, house.sink:
        yield house


async def let_others_work() -> None:
    """Give others the turns that they need for what takes no thread."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def in_time(house: House, work: Awaitable[ResultT]) -> ResultT:
    """Let time pass in small steps until something is done; it stands still for threads."""
    task = asyncio.ensure_future(work)
    await let_others_work()
    while not task.done():
        if threads_at_work():
            await asyncio.sleep(0.0005)
        else:
            await house.clock.advance(STEP)
        await let_others_work()
    return task.result()


async def is_reached(house: House, engine: MemoryEngine, *positions: WritePosition) -> bool:
    """Wait for positions for as long as an engine does."""
    return await in_time(house, engine.wait_for(*positions))


async def eventually(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Let others work until something holds; threads need real time, so it is given to them."""
    async with asyncio.timeout(PATIENCE):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.0005)


@dataclass(slots=True)
class Turns:
    """How many turns somebody else had on the event loop."""

    taken: int = 0


@asynccontextmanager
async def turns_of_others() -> AsyncGenerator[Turns]:
    """Have another task take every turn that it can get meanwhile."""
    turns = Turns()

    async def take() -> None:
        while True:
            turns.taken += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take())
    try:
        yield turns
    finally:
        other.cancel()


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
