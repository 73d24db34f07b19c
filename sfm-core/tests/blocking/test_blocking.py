"""The blocking facade over a real engine on the in-process backends."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sfm_core.blocking import BlockingMemory
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import ClosedError, ConfigurationError, NotFoundError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import NewMemory
from sfm_core.model.query import RecallQuery
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_core.settings import Slots

NS = "tests"
SLOTS = Slots(kv="memory:", vector="memory:", graph="memory:", cache="memory:", embedder="hashing:")

Make = Callable[[], BlockingMemory]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    registry = load_plugins().registry
    context = BackendContext(data_folder=tmp_path)
    return lambda: BlockingMemory(slots=SLOTS, registry=registry, context=context)


@pytest.fixture
def memory(make: Make) -> Iterator[BlockingMemory]:
    with make() as opened:
        yield opened


def at(*components: float) -> Coordinate:
    return Coordinate.of(components)


def new(number: int) -> NewMemory:
    return NewMemory(coordinate=at(number), payload={"text": f"Fact number {number}."})


def engine_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sfm-engine"]


class TestMethods:
    def test_they_are_those_of_the_engine_with_the_same_parameters(self) -> None:
        def parameters(cls: type) -> dict[str, list[tuple[str, object, object]]]:
            return {
                name: [
                    (p.name, p.kind, p.default)
                    for p in inspect.signature(member).parameters.values()
                ]
                for name, member in inspect.getmembers(cls, inspect.isfunction)
                if not name.startswith("_")
            }

        assert parameters(BlockingMemory) == parameters(MemoryEngine)

    def test_what_is_stored_is_recalled(self, memory: BlockingMemory) -> None:
        memory.store(NS, NewMemory(coordinate=at(1), payload={"text": "Ada likes green tea."}))
        memory.store(NS, NewMemory(coordinate=at(2), payload={"text": "Bob likes trains."}))

        (found,) = memory.recall(NS, RecallQuery(text="green tea", top_k=1))

        assert found.memory.coordinate == at(1)

    def test_what_was_written_can_be_waited_for(self, memory: BlockingMemory) -> None:
        stored = memory.store(NS, new(1))
        deleted = memory.delete(NS, at(1))

        assert memory.wait_for(stored.position, deleted.position)

    def test_an_error_of_the_engine_is_raised_to_the_caller(self, memory: BlockingMemory) -> None:
        with pytest.raises(NotFoundError):
            memory.get(NS, at(1))

    def test_links_are_followed(self, memory: BlockingMemory) -> None:
        memory.store_many(NS, [new(1), new(2), new(3)])
        memory.link(NS, at(1), at(2))
        memory.link(NS, at(2), at(3))

        assert memory.shortest_path(NS, at(1), at(3)) == [at(1), at(2), at(3)]
        assert [link.target for link in memory.neighbors(NS, at(1))] == [at(2)]

    def test_what_is_exported_can_be_imported(self, memory: BlockingMemory, make: Make) -> None:
        memory.store_many(NS, [new(number) for number in range(600)])

        lines = list(memory.export())
        with make() as copy:
            report = copy.import_lines(lines, default_namespace="other")

        assert report.imported == 600
        assert report.errors == ()

    def test_an_export_can_be_left_in_the_middle(self, memory: BlockingMemory) -> None:
        memory.store_many(NS, [new(number) for number in range(600)])

        first = next(memory.export())

        assert first
        assert memory.stats(NS).total_memories == 600

    def test_an_export_ends_with_an_error_when_the_memory_is_closed(self, make: Make) -> None:
        with make() as memory:
            memory.store_many(NS, [new(number) for number in range(600)])
            lines = memory.export()
            next(lines)

        with pytest.raises(ClosedError):
            list(lines)

    def test_events_are_followed_page_by_page(self, memory: BlockingMemory) -> None:
        memory.store_many(NS, [new(number) for number in range(5)])

        pages = memory.follow_events(NS, after="start", limit=3)
        told = [len(page.events) for page in (next(pages), next(pages))]
        memory.store(NS, new(9))

        assert told == [3, 2]
        assert len(next(pages).events) == 1

    def test_lines_are_drawn_outside_the_engine_thread(self, memory: BlockingMemory) -> None:
        threads: list[str] = []

        def lines() -> Iterator[bytes]:
            threads.append(threading.current_thread().name)
            yield b'{"coord": "1", "payload": {"text": "Ada"}}'

        report = memory.import_lines(lines(), default_namespace=NS)

        assert (report.imported, report.errors) == (1, ())
        assert "sfm-engine" not in threads


class TestThreads:
    def test_many_threads_share_it(self, memory: BlockingMemory) -> None:
        with ThreadPoolExecutor(16) as pool:
            stored = [pool.submit(memory.store, NS, new(number)) for number in range(200)]
        assert {future.result().version for future in stored} == {1}

        assert memory.stats(NS).total_memories == 200

    def test_a_call_from_the_engine_thread_is_refused_instead_of_hanging(
        self, memory: BlockingMemory
    ) -> None:
        memory.store(NS, new(1))

        def ask(_: int) -> None:
            memory.get(NS, at(1))

        with pytest.raises(RuntimeError, match="engine's own thread"):
            memory.rebuild(progress=ask)

    async def test_it_works_where_an_event_loop_is_running(self, make: Make) -> None:
        with make() as memory:
            assert memory.store(NS, new(1)).version == 1


class TestOpeningAndClosing:
    def test_it_is_unusable_before_it_is_opened(self, make: Make) -> None:
        with pytest.raises(ClosedError):
            make().stats(NS)

    def test_it_is_unusable_after_it_was_closed(self, make: Make) -> None:
        with make() as memory:
            pass

        with pytest.raises(ClosedError):
            memory.stats(NS)

    def test_it_cannot_be_opened_twice_at_once(self, memory: BlockingMemory) -> None:
        with pytest.raises(RuntimeError, match="open already"):
            memory.__enter__()

    def test_it_can_be_opened_again(self, make: Make) -> None:
        memory = make()
        with memory:
            memory.store(NS, new(1))
        with memory:
            assert memory.get(NS, at(1)).version == 1

    def test_closing_ends_its_thread(self, make: Make) -> None:
        with make():
            assert len(engine_threads()) == 1

        assert engine_threads() == []

    def test_closing_finishes_the_calls_of_other_threads(self, make: Make) -> None:
        begun = threading.Semaphore(0)

        def lines(name: int) -> Iterator[bytes]:
            begun.release()
            for number in range(300):
                yield f'{{"coord": "{name},{number}", "payload": {{"text": "x"}}}}'.encode()

        with ThreadPoolExecutor(4) as pool:
            with make() as memory:
                calls = [
                    pool.submit(memory.import_lines, lines(name), default_namespace=NS)
                    for name in range(4)
                ]
                for _ in calls:
                    begun.acquire()
            reports = [call.result() for call in calls]

        assert [report.imported for report in reports] == [300] * 4

    def test_what_keeps_it_from_opening_is_raised_and_leaves_nothing_behind(
        self, tmp_path: Path
    ) -> None:
        memory = BlockingMemory(
            slots=Slots(kv="nowhere:", vector="", graph="", cache="", embedder=""),
            registry=load_plugins().registry,
            context=BackendContext(data_folder=tmp_path),
        )

        with pytest.raises(ConfigurationError, match="nowhere"):
            memory.__enter__()

        assert engine_threads() == []

    def test_a_memory_that_did_not_open_stays_closed(self, tmp_path: Path) -> None:
        memory = BlockingMemory(
            slots=Slots(kv="nowhere:", vector="", graph="", cache="", embedder=""),
            registry=load_plugins().registry,
            context=BackendContext(data_folder=tmp_path),
        )
        with pytest.raises(ConfigurationError):
            memory.__enter__()

        with pytest.raises(ClosedError):
            memory.stats(NS)
