"""Measure the way of events from the truth to a topic of Kafka, and what it costs those who write.

    python -m benchmarks.stream [--truth sqlite] [--events 20000] [--rate 500] [--json FILE]

Truth and Kafka are started for it. The driver alone sends the same bytes, with
the same settings, in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Protocol, TypeAlias, cast
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from benchmarks.corpus import Corpus
from benchmarks.measuring import Results, Times, summary, timed
from benchmarks.services import kafka_at, make_database, postgres_at, read_topic
from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.events import event_id
from sfm_core.model.keys import memory_key
from sfm_core.model.memory import NewMemory
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_core.settings import EngineSettings, Slots

SPACE = "bench"
BULK = 1000
SINGLE = 500
WARM_UP = 20
PATIENCE_SECONDS = 120.0

Headers: TypeAlias = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much to measure.

    Attributes:
        events: Events that are in the log before they are published.
        rate: Writes a second while the delay is measured.
        seconds: For how long it is measured.
    """

    events: int
    rate: int
    seconds: int


class _Producer(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send_and_wait(self, topic: str, value: bytes) -> object: ...

    async def send(
        self, topic: str, value: bytes, *, key: bytes, headers: Headers
    ) -> asyncio.Future[object]: ...


class Bench:
    """One truth and one broker."""

    def __init__(self, truth_of: Callable[[str], str], brokers: str, folder: Path) -> None:
        """Use servers that run; `truth_of` returns the URL of a truth by its name."""
        self._truth_of = cache(truth_of)
        self._brokers = brokers
        self._folder = folder
        self._results = Results()
        self._corpus = Corpus()
        self._registry = load_plugins().registry
        self._number = 0

    async def run(self, plan: Plan) -> dict[str, float]:
        """Measure everything.

        Args:
            plan: How much.

        Returns:
            The figures by name.
        """
        self._results.title(f"load {os.getloadavg()[0]:.1f}")
        await self._throughput(plan.events)
        await self._cost()
        await self._delay(plan)
        return self._results.figures

    async def _throughput(self, events: int) -> None:
        """Publish a log that has waited, and send the same with the driver alone."""
        topic = _topic()
        async with self._engine("before", events=self._url(topic)) as engine:
            # So that the topic is there.
            await engine.store_many(SPACE, self._memories(1))
            await self._published(engine)
        async with self._engine("throughput", events=None) as engine:
            memories = list(self._memories(events))
            for at in range(0, events, BULK):
                await engine.store_many(SPACE, memories[at : at + BULK])
        async with self._engine("throughput", events=self._url(topic)) as engine:
            begin = time.perf_counter()
            while engine.publication.events < events:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.005)
            ours = events / (time.perf_counter() - begin)
        records = await read_topic(self._brokers, topic)
        theirs = await self._send([(r.key, r.value, list(r.headers)) for r in records])
        self._results.tell("relay, from a log that has waited", ours, "/s", raw=theirs)

    async def _send(self, records: Sequence[tuple[bytes, bytes, Headers]]) -> float:
        """Return how many records a second the driver sends to a topic that is there."""
        topic = _topic()
        producer = cast("Callable[..., _Producer]", AIOKafkaProducer)(
            bootstrap_servers=self._brokers,
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            max_batch_size=262_144,
            linger_ms=5,
        )
        await producer.start()
        try:
            await producer.send_and_wait(topic, b"first")
            begin = time.perf_counter()
            sent = [
                await producer.send(topic, value, key=key, headers=headers)
                for key, value, headers in records
            ]
            await asyncio.gather(*sent)
            return len(records) / (time.perf_counter() - begin)
        finally:
            await producer.stop()

    async def _cost(self) -> None:
        """Store one at a time in two truths in turn, one of them without events."""
        async with (
            self._engine("with", events=self._url(_topic())) as told,
            self._engine("without", events=None, log=False) as quiet,
        ):
            memories = list(self._memories(SINGLE + WARM_UP))
            with_events = [partial(told.store, SPACE, memory) for memory in memories]
            without = [partial(quiet.store, SPACE, memory) for memory in memories]
            await _in_turn(with_events[:WARM_UP], without[:WARM_UP])
            ours, theirs = await _in_turn(with_events[WARM_UP:], without[WARM_UP:])
        self._results.tell_times("store, with events", ours)
        self._results.tell_times("  without", theirs)
        self._results.tell("store, with events: p50", ours.p50, "ms", raw=theirs.p50)
        self._results.tell("store, with events: processor time", ours.cpu, "ms", raw=theirs.cpu)

    async def _delay(self, plan: Plan) -> None:
        """Store at a steady rate, and have another process tell when each event came."""
        url, count = self._url(_topic()), plan.rate * plan.seconds
        async with self._engine("delay", events=url) as engine:
            await engine.store_many(SPACE, list(self._memories(WARM_UP)))
            await self._published(engine)
            reader = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "benchmarks.stream_reader",
                f"{url}&group={_topic()}",
                str(count + WARM_UP),
                stdout=asyncio.subprocess.PIPE,
            )
            assert reader.stdout  # noqa: S101 - for the type checkers: it was asked for
            await reader.stdout.readline()
            # Joining a group takes a while, and is not what is measured.
            await asyncio.sleep(5)
            stored = await self._store_steadily(engine, plan, count)
            said, _ = await asyncio.wait_for(reader.communicate(), PATIENCE_SECONDS)
        came = cast("dict[str, float]", json.loads(said))
        delays = [max(0.0, came[one] - when) for one, when in stored.items()]
        times = summary(delays, elapsed=plan.seconds, cpu=0.0)
        name = f"from stored to consumed, at {plan.rate} writes/s"
        self._results.tell(f"{name}: p50", times.p50, "ms")
        self._results.tell(f"{name}: p99", times.p99, "ms")

    async def _store_steadily(
        self, engine: MemoryEngine, plan: Plan, count: int
    ) -> dict[str, float]:
        stored: dict[str, float] = {}

        async def store(memory: NewMemory) -> None:
            done = await engine.store(SPACE, memory)
            key = memory_key(done.coordinate)
            stored[event_id(SPACE, key, done.version)] = time.time()

        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number, memory in enumerate(self._memories(count)):
                group.create_task(store(memory))
                due = begin + (number + 1) / plan.rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
        rate = count / (time.perf_counter() - begin)
        self._results.tell("writes", rate, "/s", raw=float(plan.rate))
        return stored

    async def _published(self, engine: MemoryEngine) -> None:
        """Wait until everything in the log is published."""
        while (await engine.health()).ports["events"].lag:  # noqa: ASYNC110 - it is only told when asked
            await asyncio.sleep(0.01)

    def _memories(self, count: int) -> Sequence[NewMemory]:
        self._number += count
        return list(self._corpus.memories(self._number - count, self._number))

    def _url(self, topic: str) -> str:
        return f"kafka://{self._brokers}/{topic}?partitions=4"

    @asynccontextmanager
    async def _engine(
        self, name: str, *, events: str | None, log: bool = True
    ) -> AsyncGenerator[MemoryEngine]:
        # Kept from one engine to the next, which else would be busy with making them anew.
        indexes = f"sqlite:{self._folder / name}-indexes.db"
        slots = Slots(
            kv=self._truth_of(name),
            vector=indexes,
            graph=indexes,
            cache="memory:",
            embedder="hashing:",
            events=events,
        )
        async with open_engine(
            slots=slots,
            registry=self._registry,
            context=BackendContext(data_folder=self._folder),
            settings=EngineSettings(event_log=log),
        ) as engine:
            yield engine


async def _in_turn(
    ours: Sequence[Callable[[], Awaitable[object]]],
    theirs: Sequence[Callable[[], Awaitable[object]]],
) -> tuple[Times, Times]:
    """Make calls of two kinds in turn, so that both see the same weather."""
    taken: tuple[list[Times], list[Times]] = ([], [])
    for pair in zip(ours, theirs, strict=True):
        for call, times in zip(pair, taken, strict=True):
            times.append(await timed([call]))
    first, second = (_combined(times) for times in taken)
    return first, second


def _combined(calls: Sequence[Times]) -> Times:
    seconds = [call.p50 / 1e3 for call in calls]
    return summary(seconds, elapsed=sum(seconds), cpu=sum(call.cpu for call in calls) / 1e3)


def _topic() -> str:
    return f"bench-{uuid4().hex}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.stream", description=__doc__)
    parser.add_argument("--truth", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--events", type=int, default=20_000, help="events of a log that waits")
    parser.add_argument("--rate", type=int, default=500, help="writes a second")
    parser.add_argument("--seconds", type=int, default=20, help="for how long")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(arguments)
    plan = Plan(events=options.events, rate=options.rate, seconds=options.seconds)
    with tempfile.TemporaryDirectory(prefix="sfm-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        brokers = stack.enter_context(kafka_at(folder / "kafka"))
        if options.truth == "postgresql":
            server = stack.enter_context(postgres_at(folder / "postgres"))
            bench = Bench(lambda _: make_database(server), brokers, folder)
        else:
            bench = Bench("sqlite:{}.db".format, brokers, folder)
        figures = asyncio.run(bench.run(plan))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
