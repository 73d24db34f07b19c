"""A replica beside a house, and what is compared of the two."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random

from engine_house import House, at, new

from sfm_core.engine.consuming.replica import ReplicaHandler
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.engine.walking import entries_of, namespaces_of
from sfm_core.errors import NotFoundError
from sfm_core.inprocess.kv import InProcessKeyValueStore, KeyValueState
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import Event
from sfm_core.model.keys import ACCESS
from sfm_core.model.memory import Episode, MemoryType, NewMemory
from sfm_core.protocols.kv import Entry, KeyValueStore
from sfm_core.settings import EngineSettings
from sfm_core.testing.faults import FaultPlan, faulty

Held = dict[str, tuple[dict[bytes, Entry], dict[str, int]]]


class Replica:
    """A key-value store that handlers fill.

    Attributes:
        kv: The store, for looking and meddling.
        plan: What happens to calls of the store of every handler.
        state: What it holds.
    """

    def __init__(self, house: House, settings: EngineSettings) -> None:
        self._house = house
        self._settings = settings
        self.state = KeyValueState()
        self.kv: KeyValueStore = self._store()
        self.plan = FaultPlan()

    def handler(self) -> ReplicaHandler:
        """Return a handler that is not open."""
        return ReplicaHandler(
            lambda: faulty(self._store(), self.plan),
            place="copy:",
            clock=self._house.clock,
            settings=self._settings,
        )

    async def take_in(self, events: Sequence[Event]) -> None:
        """Have a handler take events in, none of which it may refuse."""
        async with self.handler() as handler:
            assert await handler.handle(events) == [None] * len(events)

    def _store(self) -> InProcessKeyValueStore:
        return InProcessKeyValueStore(state=self.state, clock=self._house.clock)


@asynccontextmanager
async def open_replica(house: House, settings: EngineSettings) -> AsyncGenerator[Replica]:
    """Open what looks into a replica of a house."""
    replica = Replica(house, settings)
    async with replica.kv:
        yield replica


async def held(kv: KeyValueStore) -> Held:
    """Return all that a truth holds, but for how often memories were read."""
    return {
        namespace: (
            {key: entry async for key, entry in entries_of(kv, namespace) if key[:1] != ACCESS},
            {name: count for name, count in (await kv.counters(namespace)).items() if count},
        )
        for namespace in await namespaces_of(kv)
    }


async def change_something(engine: MemoryEngine, random: Random) -> None:
    """Do one thing that a client may do, on few memories, so that much meets."""
    namespace = random.choice(["one", "two"])
    one, other = at(random.randrange(4)), at(random.randrange(4))
    match random.randrange(8):
        case 0 | 1 | 2:
            await engine.store(namespace, _random_memory(random, one))
        case 3:
            await engine.store_many(namespace, [_random_memory(random, c) for c in (one, other)])
        case 4:
            await engine.delete_many(namespace, [one])
        case 5:
            await engine.unlink(namespace, one, other, type=random.choice("xy"))
        case _:
            try:
                await engine.link(
                    namespace, one, other, type=random.choice("xy"), weight=random.random()
                )
                await engine.set_importance(namespace, one, random.random())
            except NotFoundError:
                pass


def _random_memory(random: Random, where: Coordinate) -> NewMemory:
    return new(
        where,
        f"thing {random.randrange(100)}",
        type=random.choice(list(MemoryType)),
        importance=random.choice([None, 0.0, 0.3, 1.0]),
        ttl=random.choice([None, None, timedelta(seconds=random.randint(1, 100))]),
        episode=random.choice([None, Episode(name="e", order=float(random.randrange(3)))]),
    )


async def told(house: House, *changes: Callable[[MemoryEngine], Awaitable[object]]) -> list[Event]:
    """Return the events of changes, each of which is published before the next one."""
    async with house.open(events=True) as engine:
        for change in changes:
            await change(engine)
            await house.sweep()
    return list(house.sink.events)
