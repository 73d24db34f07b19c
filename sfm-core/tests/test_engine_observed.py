"""An observer is told of operations, groups and calls; events carry the trace of their write."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

import pytest
from engine_house import NS, PATIENCE, Faults, House, ask, at, new

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.engine.observed import observed
from sfm_core.errors import BackendUnavailableError, NotFoundError
from sfm_core.inprocess.graph import InProcessGraphStore
from sfm_core.inprocess.kv import InProcessKeyValueStore
from sfm_core.model.events import Event
from sfm_core.model.memory import MemoryType
from sfm_core.model.trace import TraceContext, parse_trace
from sfm_core.protocols.observer import UNOBSERVED, Figure
from sfm_core.protocols.optional import SupportsShortestPath
from sfm_core.protocols.vector import Point, PointId
from sfm_core.registry import PortName
from sfm_core.testing.samples import axis

A, B = at(1), at(2)
PLACE: ContextVar[TraceContext | None] = ContextVar("place", default=None)


class Notebook:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.operations: Counter[tuple[str, ...]] = Counter()
        self.calls: Counter[tuple[str, ...]] = Counter()
        self.groups: list[tuple[str, list[TraceContext | None]]] = []
        self.counts: Counter[Figure] = Counter()

    def here(self) -> TraceContext | None:
        return PLACE.get()

    @contextmanager
    def operation(self, name: str) -> Generator[None]:
        with self._ended(self.operations, name):
            yield

    @contextmanager
    def call(self, port: str, scheme: str, method: str) -> Generator[None]:
        assert scheme in {"memory", "hashing"}
        with self._ended(self.calls, port, method):
            yield

    def group(
        self, name: str, origins: Sequence[TraceContext | None]
    ) -> AbstractContextManager[object]:
        self.groups.append((name, list(origins)))
        return UNOBSERVED.group(name, origins)

    def count(self, figure: Figure, amount: int) -> None:
        self.counts[figure] += amount

    @contextmanager
    def _ended(self, where: Counter[tuple[str, ...]], *what: str) -> Generator[None]:
        end = "ok"
        try:
            yield
        except Exception as error:
            end = type(error).__name__
            raise
        finally:
            where[(*what, end)] += 1


def place(number: int) -> TraceContext:
    made = parse_trace(f"00-{number:032x}-{number:016x}-01", "vendor=1")
    assert made is not None
    return made


@contextmanager
def being_at(number: int) -> Generator[TraceContext]:
    token = PLACE.set(place(number))
    yield place(number)
    PLACE.reset(token)


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def engine(house: House, notebook: Notebook, faults: Faults) -> AsyncIterator[MemoryEngine]:
    async with house.open(observer=notebook, faults=faults, events=True) as opened:
        yield opened


async def events_of(engine: MemoryEngine) -> list[Event]:
    pages = engine.follow_events(None, after="start", limit=100)
    async with asyncio.timeout(PATIENCE):
        async for page in pages:
            if page.events:
                return [placed.event for placed in page.events]
    raise AssertionError("the log is read without an end")


async def test_operations_are_told_with_how_they_ended(
    notebook: Notebook, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(A))
    with pytest.raises(NotFoundError):
        await engine.get(NS, B)
    assert notebook.operations["store", "ok"] == 1
    assert notebook.operations["get", "NotFoundError"] == 1


async def test_calls_of_every_port_are_told(notebook: Notebook, engine: MemoryEngine) -> None:
    await engine.store_many(NS, [new(A, "whale"), new(B, "whale")])
    await engine.link(NS, A, B)
    await engine.recall(NS, ask("whale"))
    for call in (
        ("kv", "commit", "ok"),
        ("vector", "upsert", "ok"),
        ("vector", "search", "ok"),
        ("graph", "apply", "ok"),
        ("embedder", "embed", "ok"),
    ):
        assert notebook.calls[call], call


async def test_a_call_that_fails_is_told_as_such(
    notebook: Notebook, faults: Faults, engine: MemoryEngine
) -> None:
    faults.vector.fail("search", times=None)
    with pytest.raises(BackendUnavailableError):
        await engine.recall(NS, ask("whale"))
    assert notebook.calls["vector", "search", "BackendUnavailableError"] == 1


async def test_writes_that_share_a_commit_are_one_group_with_each_origin(
    notebook: Notebook, faults: Faults, engine: MemoryEngine
) -> None:
    gate = faults.kv.hold("commit")

    async def store(number: int) -> None:
        with being_at(number):
            await engine.store(NS, new(at(number)))

    tasks = [asyncio.create_task(store(1))]
    await gate.reached()
    tasks += [asyncio.create_task(store(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(*tasks)
    commits = [origins for name, origins in notebook.groups if name == "commit"]
    assert [place(1)] in commits
    assert [place(2), place(3)] in commits
    assert any(name == "index" and place(1) in origins for name, origins in notebook.groups)


async def test_questions_are_groups(notebook: Notebook, engine: MemoryEngine) -> None:
    with being_at(7) as here:
        await engine.recall(NS, ask("whale"))
    assert ("recall", [here]) in notebook.groups


async def test_events_carry_the_place_of_their_write(engine: MemoryEngine) -> None:
    await engine.store(NS, new(B))
    with being_at(1) as stored:
        await engine.store(NS, new(A))
    with being_at(2) as weighed:
        await engine.set_importance(NS, A, 0.9)
    with being_at(3) as linked:
        await engine.link(NS, A, B)
    assert (await events_of(engine))[-1].trace == linked
    with being_at(4) as unlinked:
        await engine.unlink(NS, A, B)
    with being_at(5) as deleted:
        await engine.delete(NS, A)
    traces = [event.trace for event in await events_of(engine)]
    # Of a link that is gone, nothing is kept of what it was.
    assert traces == [None, stored, weighed, None, unlinked, deleted]


async def test_what_is_published_is_told_with_its_origins(
    house: House, notebook: Notebook, engine: MemoryEngine
) -> None:
    with being_at(1) as here:
        await engine.store(NS, new(A))
    async with asyncio.timeout(PATIENCE):
        while not notebook.counts[Figure.EVENTS_PUBLISHED]:
            await house.sweep()
    assert ("publish", [here]) in notebook.groups


async def test_a_place_is_no_part_of_what_is_exported_or_compared(engine: MemoryEngine) -> None:
    with being_at(1):
        await engine.store(NS, new(A))
    lines = [line async for line in engine.export()]
    assert not any("trace" in str(line) for line in lines)
    assert (await engine.check()).consistent


async def test_stale_points_that_a_recall_meets_are_counted(
    house: House, notebook: Notebook, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(A, "whale"))
    late = Point(
        id=PointId(namespace=NS, coordinate=A),
        version=7,
        type=MemoryType.EPISODIC,
        payload={"text": "whale"},
        vector=axis(0, house.collection.dimension),
        terms={"whale": 1.0},
    )
    await house.vector.upsert(house.collection, [late])
    await engine.recall(NS, ask("whale"))
    assert notebook.counts[Figure.RECALL_STALE] == 1


async def test_what_a_check_finds_is_counted(
    house: House, notebook: Notebook, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(A, "whale"))
    collection = house.collection
    await house.vector.drop(collection)
    await house.vector.ensure(collection)
    await engine.check()
    assert notebook.counts[Figure.CHECK_MISSING] == 1


def test_what_a_backend_supports_beyond_its_port_stays() -> None:
    notebook = Notebook()
    store = observed(InProcessGraphStore(), PortName.GRAPH, notebook)
    assert isinstance(store, SupportsShortestPath) is isinstance(
        InProcessGraphStore(), SupportsShortestPath
    )
    assert (store.scheme, store.shared) == ("memory", False)


def test_nothing_is_put_around_a_backend_that_nobody_observes() -> None:
    store = InProcessKeyValueStore()
    assert observed(store, PortName.KV, UNOBSERVED) is store


@pytest.mark.parametrize(
    "parent",
    [
        None,
        7,
        "",
        "00-0-0-01",
        "ff-" + "1" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "0" * 16 + "-01",
        "00-" + "A" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "1" * 16 + "-01\n",
    ],
)
def test_what_is_no_place_in_a_trace_is_none(parent: object) -> None:
    assert parse_trace(parent) is None


def test_a_malformed_state_is_left_out() -> None:
    known = parse_trace("00-" + "1" * 32 + "-" + "1" * 16 + "-01", "a=\n")
    assert known is not None
    assert known.state == ""
