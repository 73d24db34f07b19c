"""Measure event sink and event source on Kafka beside the driver doing the same without us.

    python -m benchmarks.events [--bootstrap HOST:PORT] [--json figures.json]

Without a broker of yours, Apache Kafka is started as the tests start it. Ours and the driver
take turns; the figures are medians of the rounds. Topics that begin with `bench-` are left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

from benchmarks.bare_kafka import bare_consume, bare_producer
from benchmarks.measuring import Results
from benchmarks.services import kafka_at
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import Event, EventType, event_id
from sfm_core.model.payload import Payload
from sfm_core.registry import BackendContext
from sfm_eventing_kafka._wire import record_of
from sfm_eventing_kafka.plugin import create_events, create_source

MEMORIES = 1000
PARTITIONS = 6
PAGES = (1, 100, 1000)
CONTENT: Payload = {"kind": "memory", "type": "episodic", "payload": {"text": "x" * 400}}
WAIT = timedelta(seconds=1)
Turn = Callable[[], Awaitable[float]]


def events(count: int) -> list[Event]:
    """Return events of many memories, in the order in which a truth logs them."""
    now = datetime.now(UTC)
    made: list[Event] = []
    for number in range(count):
        subject = str(Coordinate((float(number % MEMORIES),)))
        version = number // MEMORIES + 1
        made.append(
            Event(
                id=event_id("bench", subject.encode(), version),
                type=EventType.MEMORY_STORED,
                source="/namespaces/bench",
                subject=subject,
                time=now,
                version=version,
                data=CONTENT,
            )
        )
    return made


class Bench:
    """Turns of ours and of the driver on one broker."""

    def __init__(self, address: str, count: int, rounds: int) -> None:
        """Say how much to measure, and where."""
        self._address = address
        self._events = events(count)
        self._rounds = rounds
        self._context = BackendContext(data_folder=Path("unused"))
        self.results = Results()

    async def run(self) -> None:
        """Measure publishing and consuming."""
        self.results.title(f"Publishing, {PARTITIONS} partitions (events/s)")
        for page in PAGES:
            # With one event in a call, the round trip is all there is.
            some = self._events[: min(len(self._events), 2000 * page)]
            await self._compare(
                f"{page} in a call",
                len(some),
                partial(self._publish, some, page),
                {
                    "the same events": partial(self._publish_bare, some, page, encodes=True),
                    "the same bytes": partial(self._publish_bare, some, page, encodes=False),
                },
            )
        topic = await self._filled()
        self.results.title("Consuming, each call acknowledged (events/s)")
        for page in PAGES[1:]:
            await self._compare(
                f"{page} in a call",
                len(self._events),
                partial(self._consume, topic, page),
                {"decode, commit": partial(self._consume_bare, topic, page)},
            )

    async def _compare(self, name: str, count: int, ours: Turn, bare: dict[str, Turn]) -> None:
        taken: dict[str, list[float]] = defaultdict(list)
        for _ in range(self._rounds):
            for who, turn in {"": ours, **bare}.items():
                taken[who].append(count / await turn())
        rates = {who: statistics.median(each) for who, each in taken.items()}
        for who in bare:
            self.results.tell(f"{name}; bare: {who}", rates[""], "/s", raw=rates[who])

    def _url(self, topic: str) -> str:
        return f"kafka://{self._address}/{topic}?partitions={PARTITIONS}&group={uuid4().hex}"

    async def _topic(self) -> str:
        """Make a topic whose partitions all work; brokers need a moment for each."""
        topic = f"bench-{uuid4().hex}"
        async with create_events(self._url(topic), self._context) as sink:
            await sink.publish(self._events[:MEMORIES])
        return topic

    async def _filled(self) -> str:
        topic = await self._topic()
        async with create_events(self._url(topic), self._context) as sink:
            for at in range(MEMORIES, len(self._events), MEMORIES):
                await sink.publish(self._events[at : at + MEMORIES])
        return topic

    async def _publish(self, some: Sequence[Event], page: int) -> float:
        async with create_events(self._url(await self._topic()), self._context) as sink:
            await sink.ping()
            start = time.perf_counter()
            for at in range(0, len(some), page):
                await sink.publish(some[at : at + page])
            return time.perf_counter() - start

    async def _publish_bare(self, some: Sequence[Event], page: int, *, encodes: bool) -> float:
        records = [] if encodes else [record_of(event) for event in some]
        async with bare_producer(self._address, await self._topic()) as producer:
            start = time.perf_counter()
            for at in range(0, len(some), page):
                if encodes:
                    await producer.publish(some[at : at + page])
                else:
                    await producer.send(records[at : at + page])
            return time.perf_counter() - start

    async def _consume(self, topic: str, page: int) -> float:
        async with create_source(self._url(topic), self._context) as source:
            begin, read = 0.0, 0
            while read < len(self._events):
                found = await source.receive(limit=page, wait=WAIT)
                # Joining the group and the first fetch are nobody's speed.
                begin = begin or time.perf_counter() * bool(found)
                await source.acknowledge(found)
                read += len(found)
            return time.perf_counter() - begin

    async def _consume_bare(self, topic: str, page: int) -> float:
        return await bare_consume(self._address, topic, len(self._events), at_once=page)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.events", description=__doc__)
    parser.add_argument("--bootstrap", help="a broker, as host:port")
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="sfm-bench-") as name, ExitStack() as stack:
        address = options.bootstrap or stack.enter_context(kafka_at(Path(name) / "kafka"))
        bench = Bench(address, options.events, options.rounds)
        asyncio.run(bench.run())
    if options.json:
        text = json.dumps(bench.results.figures, indent=2)
        options.json.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
