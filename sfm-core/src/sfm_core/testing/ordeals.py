"""An engine at work while one of its backends misbehaves, and what it must keep all the same.

::

    @pytest.mark.parametrize("fault", Fault)
    async def test_an_engine_on_mine_keeps_its_word(fault: Fault, url: str) -> None:
        await undergo(PortName.VECTOR, fault, {PortName.VECTOR: lambda: MyStore(url)})

The law: what was acknowledged is there; what was deleted is never returned;
and once the faults are over, everything derived equals the truth, and every
memory's events have been published in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
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
from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import (
    ENGINE_PORTS,
    BackendContext,
    Factory,
    PortName,
    Registration,
    Registry,
)
from sfm_core.resilience import Policy
from sfm_core.settings import EngineSettings, Slots
from sfm_core.testing._ordeal_ledger import Ledger
from sfm_core.testing.faults import Fault, FaultPlan, Process, faulty

Makers = Mapping[PortName, Callable[[], Backend]]

_SCHEME: Final = "ordeal"
_PATIENCE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.01
_LONGEST: Final = 20
# The fewer calls of a port the engine makes, the more of them are struck.
_RATES: Final = {
    PortName.KV: 0.1,
    PortName.VECTOR: 0.2,
    PortName.EMBEDDER: 0.2,
    PortName.GRAPH: 0.4,
    PortName.CACHE: 0.5,
    PortName.EVENTS: 0.5,
}
# Short enough to see the end of: servers keep a time of their own.
_SETTINGS: Final = EngineSettings(
    lease=timedelta(seconds=0.5),
    sweep_interval=timedelta(milliseconds=5),
    index_wait=timedelta(seconds=1),
)
_POLICY: Final = Policy(
    deadline=timedelta(seconds=30), backoff=timedelta(milliseconds=1), failures_to_open=1_000_000
)


async def undergo(
    port: PortName,
    fault: Fault,
    makers: Makers | None = None,
    *,
    seed: int = 0,
    operations: int = 60,
    rate: float | None = None,
) -> None:
    """Let an engine work while calls of one port are struck at random, and hold it to the law.

    Args:
        port: Whose calls.
        fault: How.
        makers: What makes the backends under test, not open yet, on the same
            empty data each time; the other ports are served in process.
        seed: Which operations and which calls.
        operations: How many operations, at least.
        rate: Which part of the calls is struck; by default the more, the
            fewer the engine makes.

    Raises:
        AssertionError: The engine broke its word.
    """
    trial = _Trial(makers or {})
    ledger = Ledger(seed)
    done = crashes = 0

    def enough() -> bool:
        # A port that the engine calls when it sees fit may have been left alone so far.
        return done >= operations and (trial.struck[port] > 0 or done >= _LONGEST * operations)

    while not enough():
        async with trial.engine() as engine:
            plan = trial.plans[port]
            plan.at_random(fault, seed=seed + crashes, rate=rate or _RATES[port])
            while not trial.process.crashed and not enough():
                done += 1
                await ledger.step(engine)
            crashes += trial.process.crashed
            plan.clear()
    async with trial.engine() as engine:
        await _until(lambda: _at_rest(engine))
        await ledger.settle(engine)
        versions = await ledger.versions(engine)
        if PortName.EVENTS not in (makers or {}):
            await _until(lambda: trial.published(versions))
    assert trial.struck[port], f"No call of the {port} was struck: use more operations."


class _Trial:
    """The data that engines share, and a fresh process with fresh plans for each of them."""

    def __init__(self, makers: Makers) -> None:
        self._events = EventStreamState()
        self._makers = _in_process(self._events) | dict(makers)
        self.process = Process()
        self.plans: dict[PortName, FaultPlan] = {}
        self._past: list[tuple[PortName, FaultPlan]] = []

    @property
    def struck(self) -> dict[PortName, int]:
        """How many calls of each port were struck, of all engines."""
        counts = dict.fromkeys(PortName, 0)
        for port, plan in self._past:
            counts[port] += plan.struck.total()
        return counts

    async def published(self, versions: Mapping[Coordinate, int]) -> bool:
        """Tell whether a consumer has heard of everything; the order must be right already."""
        heard: dict[str, dict[int, None]] = {}
        async with InProcessEventSink(state=self._events) as sink:
            for event in sink.events:
                heard.setdefault(event.subject, {})[event.version] = None
        assert all(list(known) == sorted(known) for known in heard.values()), heard
        return all(last in heard.get(str(place), {}) for place, last in versions.items())

    @asynccontextmanager
    async def engine(self) -> AsyncGenerator[MemoryEngine]:
        """Open an engine on which everything goes well, as yet."""
        self.process = Process()
        self.plans = {port: FaultPlan(process=self.process) for port in ENGINE_PORTS}
        self._past += self.plans.items()
        async with open_engine(
            slots=Slots(**dict.fromkeys(ENGINE_PORTS, f"{_SCHEME}:")),
            registry=self._registry(),
            context=BackendContext(data_folder=Path("unused")),
            settings=_SETTINGS,
            policy=_POLICY,
        ) as engine:
            yield engine

    def _registry(self) -> Registry:
        registry = Registry()
        for port, make in self._makers.items():
            registry.add(
                Registration(
                    port=port,
                    scheme=_SCHEME,
                    factory=_factory(make, self.plans[port]),
                    summary="",
                    capabilities=frozenset(),
                    distribution="sfm_core.testing",
                )
            )
        return registry


def _factory(make: Callable[[], Backend], plan: FaultPlan) -> Factory[Backend]:
    def factory(url: str, context: BackendContext) -> Backend:  # noqa: ARG001 - a factory's signature
        return faulty(make(), plan)

    return factory


def _in_process(events: EventStreamState) -> dict[PortName, Callable[[], Backend]]:
    kv, vector, graph = KeyValueState(), VectorState(), GraphState()
    cache = CacheState()
    return {
        PortName.KV: lambda: InProcessKeyValueStore(state=kv),
        PortName.VECTOR: lambda: InProcessVectorStore(state=vector),
        PortName.GRAPH: lambda: InProcessGraphStore(state=graph),
        PortName.CACHE: lambda: InProcessCache(state=cache),
        PortName.EVENTS: lambda: InProcessEventSink(state=events),
        PortName.EMBEDDER: HashingEmbedder,
    }


async def _at_rest(engine: MemoryEngine) -> bool:
    health = await engine.health()
    return health.outbox_depth == 0 and not health.rebuilding


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        # A server has no event to wait for.
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(_PAUSE_SECONDS)
