"""A town of truths: several key-value stores, and engines that run on one or another of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from engine_house import eventually

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.changeover import TruthUrl, UpToDate, bring_up_to_date
from sfm_core.engine.manifest import peek_manifest
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.engine.opening import BackendMaker
from sfm_core.engine.walking import entries_of, namespaces_of
from sfm_core.errors import BackendUnavailableError
from sfm_core.inprocess.cache import InProcessCache
from sfm_core.inprocess.embedder import HashingEmbedder
from sfm_core.inprocess.events import EventStreamState, InProcessEventSink
from sfm_core.inprocess.graph import GraphState, InProcessGraphStore
from sfm_core.inprocess.kv import InProcessKeyValueStore, KeyValueState
from sfm_core.inprocess.vector import InProcessVectorStore, VectorState
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import LOCAL, BackendContext, Factory, PortName, Registration, Registry
from sfm_core.resilience import Policy
from sfm_core.settings import EngineSettings, Slots
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.faults import FaultPlan, Process, faulty

PLACES = ("a", "b", "c")
TICK = timedelta(seconds=0.25)
ResultT = TypeVar("ResultT")


class Town:
    """Truths by name, each with derived stores of its own, and a plan of faults for each truth.

    Attributes:
        faults: What goes wrong with each truth.
        sinks: What goes wrong with the one sink, for engines on each truth.
        sink: The sink; also readable while it is closed.
    """

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.faults = {place: FaultPlan() for place in PLACES}
        self.sinks = {place: FaultPlan() for place in PLACES}
        self._kv = {place: KeyValueState() for place in PLACES}
        self._vector = {place: VectorState() for place in PLACES}
        self._graph = {place: GraphState() for place in PLACES}
        self._stream = EventStreamState()
        self.sink = InProcessEventSink(state=self._stream)
        self._down: set[str] = set()
        self._registry = Registry()
        for place in PLACES:
            self._register(place)

    @asynccontextmanager
    async def engine(self, place: str, *, events: bool = False) -> AsyncGenerator[MemoryEngine]:
        """Open an engine on a truth as it is, and wait until its derived stores have followed."""
        scheme = f"{place}:"
        sink = scheme if events else None
        async with open_engine(
            slots=Slots(
                kv=scheme, vector=scheme, graph=scheme, cache="a:", embedder="a:", events=sink
            ),
            registry=self._registry,
            context=self._context(),
            settings=EngineSettings(),
        ) as engine:
            await eventually(lambda: not engine.rebuilding)
            yield engine

    @asynccontextmanager
    async def server(
        self, place: str, *, last: str = "", events: bool = False
    ) -> AsyncGenerator[MemoryEngine]:
        """Do what a server does that is started on a truth: bring it up to date, then run on it."""
        await self.start(place, last=last)
        async with self.engine(place, events=events) as engine:
            yield engine

    async def start(
        self, place: str, *, others: Sequence[str] = PLACES, last: str = ""
    ) -> UpToDate:
        """Bring a truth up to date; time passes while anybody waits for it."""
        return await self.while_time_passes(self.starting(place, others=others, last=last))

    async def starting(
        self, place: str, *, others: Sequence[str] = PLACES, last: str = ""
    ) -> UpToDate:
        """Bring a truth up to date while somebody else lets time pass."""
        return await bring_up_to_date(
            self.maker(),
            url(place),
            [url(other) for other in others if other != place],
            last_id=await self.truth_id(last) if last else None,
            last_place=url(last).place if last else "",
            last_epoch=await self.epoch(last) if last else 0,
        )

    def new_process(self) -> Process:
        """Have the stores that are opened from now on be those of another process."""
        process = Process()
        self.faults = {place: FaultPlan(process=process) for place in PLACES}
        return process

    async def while_time_passes(self, work: Awaitable[ResultT]) -> ResultT:
        """Wait for something while the clock moves on."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await self.clock.advance(TICK)
        return await task

    def stop(self, place: str) -> None:
        """Have nobody reach a truth any more."""
        self._down.add(place)

    def resume(self, place: str) -> None:
        """Have a truth be reached again."""
        self._down.discard(place)

    def maker(self) -> BackendMaker:
        """Return what opens the stores of the town."""
        return BackendMaker(self._registry, self._context(), Policy())

    @asynccontextmanager
    async def kv(self, place: str) -> AsyncGenerator[KeyValueStore]:
        """Open a truth behind the engines' backs."""
        async with self._bare(place) as kv:
            yield kv

    async def truth_id(self, place: str) -> str | None:
        """Return the id of a truth that an engine has worked on."""
        async with self.kv(place) as kv:
            manifest = await peek_manifest(kv)
        return manifest.truth_id if manifest else None

    async def epoch(self, place: str) -> int:
        """Return the epoch of a truth."""
        async with self.kv(place) as kv:
            manifest = await peek_manifest(kv)
        return manifest.epoch if manifest else 0

    async def content(self, place: str) -> dict[str, list[tuple[bytes, int, bytes]]]:
        """Return everything that a truth holds, the engine's own entries left out."""
        async with self.kv(place) as kv:
            return {
                namespace: [
                    (key, entry.version, entry.value)
                    async for key, entry in entries_of(kv, namespace)
                ]
                for namespace in await namespaces_of(kv)
            }

    def _bare(self, place: str) -> InProcessKeyValueStore:
        return InProcessKeyValueStore(state=self._kv[place], clock=self.clock)

    def _context(self) -> BackendContext:
        return BackendContext(data_folder=Path("unused"), clock=self.clock)

    def _register(self, place: str) -> None:
        factories: dict[PortName, Callable[[], Backend]] = {
            PortName.KV: lambda: self._reached(place),
            PortName.VECTOR: lambda: InProcessVectorStore(state=self._vector[place]),
            PortName.GRAPH: lambda: InProcessGraphStore(state=self._graph[place]),
            PortName.CACHE: lambda: InProcessCache(clock=self.clock),
            PortName.EMBEDDER: HashingEmbedder,
            PortName.EVENTS: lambda: faulty(
                InProcessEventSink(state=self._stream), self.sinks[place]
            ),
        }
        for port, make in factories.items():
            self._registry.add(
                Registration(
                    port=port,
                    scheme=place,
                    factory=_ignoring(make),
                    summary="",
                    capabilities=frozenset({LOCAL}),
                    distribution="tests",
                )
            )

    def _reached(self, place: str) -> KeyValueStore:
        if place in self._down:
            raise BackendUnavailableError(f"{place} is down.", backend=place)
        return faulty(self._bare(place), self.faults[place])


def url(place: str) -> TruthUrl:
    """Return where a truth is."""
    return TruthUrl(url=f"{place}:", place=f"{place}:")


@contextmanager
def crashing(town: Town, place: str, nth: int) -> Generator[None]:
    """Have the process lose a truth for good at its `nth` write inside this context."""
    town.faults[place].fail("commit", nth=nth, times=None)
    try:
        yield
    finally:
        town.faults[place].clear()


def _ignoring(make: Callable[[], Backend]) -> Factory[Backend]:
    def factory(url: str, context: BackendContext) -> Backend:  # noqa: ARG001 - a factory's signature
        return make()

    return factory
