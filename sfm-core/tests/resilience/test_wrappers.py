"""Which method of which port is repeated, and what survives the wrapping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

import pytest

from sfm_core.errors import BackendError, BackendUnavailableError, DeadlineExceededError
from sfm_core.inprocess.graph import InProcessGraphStore
from sfm_core.inprocess.kv import InProcessKeyValueStore
from sfm_core.inprocess.vector import InProcessVectorStore
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import START, Position
from sfm_core.protocols.cache import Cache
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.events import EventSink
from sfm_core.protocols.graph import EdgeId, GraphStore
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.optional import (
    SupportsMaintenance,
    SupportsScrubbing,
    SupportsShortestPath,
)
from sfm_core.protocols.vector import Collection, VectorStore
from sfm_core.resilience import (
    Policy,
    ResilientCache,
    ResilientEmbedder,
    ResilientEventSink,
    ResilientGraphStore,
    ResilientKeyValueStore,
    ResilientVectorStore,
)
from sfm_core.resilience.retry import Repetition
from sfm_core.testing.clock import ManualClock

NS = "tests"
LEASE = timedelta(seconds=30)
COLLECTION = Collection(name="c", dimension=4)
POLICY = Policy(deadline=timedelta(hours=1), attempts=2, failures_to_open=100)
NODE = Coordinate((1.0,))


@dataclass
class Failing:
    """Stands at the place of any backend: each method counts its calls and fails."""

    error: BackendError
    calls: list[str] = field(default_factory=list[str])
    scheme: str = "failing"
    shared: bool = True

    def __getattr__(self, name: str) -> Callable[..., Awaitable[None]]:
        if name == "maintain":
            raise AttributeError(name)

        async def fail(*_: object, **__: object) -> None:
            await self.fail(name)

        return fail

    async def shortest_path(self, *_: object, **__: object) -> None:
        # Optional methods are looked for on the class, so this one is not left to `__getattr__`.
        await self.fail("shortest_path")

    async def fail(self, name: str) -> None:
        self.calls.append(name)
        raise self.error


class ImpatientClock(ManualClock):
    """Ends every pause at once."""

    async def sleep(self, delay: timedelta) -> None:
        await super().sleep(min(delay, timedelta(0)))


def kv(inner: Failing) -> ResilientKeyValueStore:
    backend = cast(KeyValueStore, inner)
    return ResilientKeyValueStore(backend, policy=POLICY, clock=ImpatientClock())


def vector(inner: Failing) -> ResilientVectorStore:
    backend = cast(VectorStore, inner)
    return ResilientVectorStore(backend, policy=POLICY, clock=ImpatientClock())


def graph(inner: Failing) -> ResilientGraphStore:
    backend = cast(GraphStore, inner)
    return ResilientGraphStore(backend, policy=POLICY, clock=ImpatientClock())


def cache(inner: Failing) -> ResilientCache:
    return ResilientCache(cast(Cache, inner), policy=POLICY, clock=ImpatientClock())


def embedder(inner: Failing) -> ResilientEmbedder:
    return ResilientEmbedder(cast(Embedder, inner), policy=POLICY, clock=ImpatientClock())


def sink(inner: Failing) -> ResilientEventSink:
    return ResilientEventSink(cast(EventSink, inner), policy=POLICY, clock=ImpatientClock())


Call = Callable[[Failing], Awaitable[object]]
READ, WRITE, ONCE = Repetition.ALWAYS, Repetition.UNLESS_LATE, Repetition.NEVER

CALLS: dict[str, tuple[Repetition, Call]] = {
    "kv.get_many": (READ, lambda b: kv(b).get_many(NS, [b"k"])),
    "kv.scan": (READ, lambda b: kv(b).scan(NS, [], limit=1)),
    "kv.commit": (ONCE, lambda b: kv(b).commit([], owner="o", lease=LEASE)),
    "kv.counters": (READ, lambda b: kv(b).counters(NS)),
    "kv.namespaces": (READ, lambda b: kv(b).namespaces()),
    "kv.claim": (ONCE, lambda b: kv(b).claim(owner="o", limit=1, lease=LEASE)),
    "kv.acknowledge": (READ, lambda b: kv(b).acknowledge([])),
    "kv.release": (ONCE, lambda b: kv(b).release([], owner="o", delay=LEASE)),
    "kv.outstanding": (READ, lambda b: kv(b).outstanding(["1"])),
    "kv.outbox_status": (READ, lambda b: kv(b).outbox_status()),
    "kv.read_events": (READ, lambda b: kv(b).read_events(after=START, limit=1)),
    "kv.count_events": (READ, lambda b: kv(b).count_events(after=START, limit=1)),
    "kv.end_of_events": (READ, lambda b: kv(b).end_of_events()),
    "kv.any_trimmed": (READ, lambda b: kv(b).any_trimmed(after=START)),
    "kv.trim_events": (READ, lambda b: kv(b).trim_events(through=Position("1"))),
    "vector.ensure": (READ, lambda b: vector(b).ensure(COLLECTION)),
    "vector.upsert": (WRITE, lambda b: vector(b).upsert(COLLECTION, [])),
    "vector.delete": (WRITE, lambda b: vector(b).delete(COLLECTION, [])),
    "vector.search": (READ, lambda b: vector(b).search(COLLECTION, [])),
    "vector.scroll": (READ, lambda b: vector(b).scroll(COLLECTION, NS, after=None, limit=1)),
    "vector.drop": (ONCE, lambda b: vector(b).drop(COLLECTION)),
    "vector.collections": (READ, lambda b: vector(b).collections()),
    "graph.apply": (WRITE, lambda b: graph(b).apply(NS)),
    "graph.neighbors": (READ, lambda b: graph(b).neighbors(NS, [NODE], limit=1)),
    "graph.scroll": (READ, lambda b: graph(b).scroll(NS, after=None, limit=1)),
    "graph.drop": (ONCE, lambda b: graph(b).drop(NS)),
    "graph.shortest_path": (
        READ,
        lambda b: graph(b).shortest_path(NS, NODE, NODE, link_type=None, max_nodes=9),
    ),
    "cache.get_many": (READ, lambda b: cache(b).get_many(NS, [b"k"])),
    "cache.set_if_newer": (READ, lambda b: cache(b).set_if_newer(NS, {}, ttl=LEASE)),
    "cache.increment": (ONCE, lambda b: cache(b).increment("k", 1, ttl=LEASE)),
    "cache.clear": (READ, lambda b: cache(b).clear(NS)),
    "embedder.embed": (READ, lambda b: embedder(b).embed(["text"])),
    "events.publish": (WRITE, lambda b: sink(b).publish([])),
}


class TestRepetition:
    @pytest.mark.parametrize("name", CALLS)
    async def test_after_a_failure_only_what_is_safe_is_repeated(self, name: str) -> None:
        repetition, call = CALLS[name]
        inner = Failing(BackendUnavailableError("Connection reset.", backend="failing"))

        with pytest.raises(BackendUnavailableError):
            await call(inner)

        times = 1 if repetition is ONCE else 2
        assert inner.calls == [name.partition(".")[2]] * times

    @pytest.mark.parametrize("name", CALLS)
    async def test_after_a_time_out_no_write_that_could_land_late_is_repeated(
        self, name: str
    ) -> None:
        repetition, call = CALLS[name]
        inner = Failing(DeadlineExceededError("Too slow.", backend="failing"))

        with pytest.raises(DeadlineExceededError):
            await call(inner)

        assert len(inner.calls) == (2 if repetition is READ else 1)

    @pytest.mark.parametrize(
        ("port", "prefix"),
        [
            (KeyValueStore, "kv"),
            (VectorStore, "vector"),
            (GraphStore, "graph"),
            (Cache, "cache"),
            (Embedder, "embedder"),
            (EventSink, "events"),
        ],
    )
    def test_the_table_above_has_every_method_of_the_port(self, port: type, prefix: str) -> None:
        own = {name for name, member in vars(port).items() if is_operation(name, member)}

        tested = {name.partition(".")[2] for name in CALLS if name.startswith(f"{prefix}.")}

        assert own <= tested

    async def test_a_ping_is_made_once_and_fails_as_the_backend_does(self) -> None:
        inner = Failing(BackendUnavailableError("Connection reset.", backend="failing"))

        with pytest.raises(BackendUnavailableError):
            await kv(inner).ping()

        assert inner.calls == ["ping"]


def is_operation(name: str, member: object) -> bool:
    return callable(member) and not name.startswith("_")


class Maintained(InProcessKeyValueStore):
    """Has upkeep to do."""

    maintained = 0

    async def maintain(self) -> None:
        self.maintained += 1


class WithPaths(InProcessGraphStore):
    """Finds paths by itself."""

    async def shortest_path(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        link_type: str | None,
        max_nodes: int,
    ) -> list[EdgeId] | None:
        assert (namespace, link_type, max_nodes) == (NS, None, 9)
        return [EdgeId(source=source, type="t", target=target)]


async def test_a_collection_that_is_made_has_more_time_than_other_calls() -> None:
    class Slow(InProcessVectorStore):
        async def ensure(self, collection: Collection) -> None:
            del collection
            await asyncio.Event().wait()

    policy = Policy(deadline=timedelta(hours=1), setup_deadline=timedelta(microseconds=1))
    with pytest.raises(DeadlineExceededError):
        await ResilientVectorStore(Slow(), policy=policy).ensure(COLLECTION)


class TestOptionalProtocols:
    def test_a_backend_without_upkeep_has_none_when_wrapped(self) -> None:
        assert not isinstance(ResilientKeyValueStore(InProcessKeyValueStore()), SupportsMaintenance)

    async def test_upkeep_survives_the_wrapping(self) -> None:
        inner = Maintained()
        wrapped: object = ResilientKeyValueStore(inner)

        assert isinstance(wrapped, SupportsMaintenance)
        await wrapped.maintain()
        assert inner.maintained == 1

    async def test_scrubbing_survives_the_wrapping(self) -> None:
        wrapped: object = ResilientKeyValueStore(InProcessKeyValueStore())

        assert isinstance(wrapped, SupportsScrubbing)
        assert not isinstance(ResilientGraphStore(InProcessGraphStore()), SupportsScrubbing)

    def test_a_graph_without_native_paths_has_none_when_wrapped(self) -> None:
        assert not isinstance(ResilientGraphStore(InProcessGraphStore()), SupportsShortestPath)

    async def test_native_paths_survive_the_wrapping(self) -> None:
        wrapped: object = ResilientGraphStore(WithPaths())

        assert isinstance(wrapped, SupportsShortestPath)
        path = await wrapped.shortest_path(NS, NODE, NODE, link_type=None, max_nodes=9)
        assert path == [EdgeId(source=NODE, type="t", target=NODE)]


async def test_a_wrapper_says_what_its_backend_says_of_itself() -> None:
    inner = InProcessKeyValueStore()

    async with ResilientKeyValueStore(inner) as wrapped:
        assert wrapped.scheme == inner.scheme
        assert wrapped.shared is inner.shared
        assert await wrapped.get_many(NS, [b"k"]) == [None]
