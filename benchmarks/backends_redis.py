"""Measure the key-value store on Redis beside the driver making the same writes without us.

    python -m benchmarks.backends_redis [--url redis://localhost:6379]

The bare work is what a commit writes (entry, ordered key, counters, note and event),
as commands of the driver in one MULTI; and one SET, for what a round trip costs.
Only keys with the prefix `bench` are written, and removed in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol, cast

from redis.asyncio import Redis

from benchmarks.measuring import Results
from sfm_backend_redis.plugin import create_kv
from sfm_core.model.events import EventNote, EventType
from sfm_core.protocols.kv import Commit, KeyValueStore, Write
from sfm_core.registry import BackendContext

LEASE = timedelta(seconds=30)
VALUE = b'{"payload":{"text":"' + b"x" * 400 + b'"}}'
OWNER = "0" * 32
TAG = "{bench:bare}"
SINGLE, TASKS, BULK = 1000, 64, 1000
Step = Callable[[], Awaitable[object]]


class Pipeline(Protocol):
    """What is used of the driver's pipeline."""

    def execute_command(self, *arguments: str | bytes | int) -> object:
        """Add a command."""

    async def execute(self) -> object:
        """Send them."""


class Driver(Protocol):
    """What is used of the driver."""

    def execute_command(self, *arguments: str | bytes | int) -> Awaitable[object]:
        """Send a command."""
        ...

    def pipeline(self, *, transaction: bool) -> Pipeline:
        """Begin a pipeline."""
        ...

    async def aclose(self) -> None:
        """Hang up."""


def commit() -> Commit:
    """Return a commit as storing one memory makes it."""
    key = b"m\x03" + os.urandom(24)
    note = EventNote(type=EventType.MEMORY_STORED, key=key, version=1, at=datetime.now(UTC))
    return Commit(
        namespace="bench",
        writes=(Write(key, VALUE, 1),),
        expect={key: 0},
        counters={"memories": 1, "episodic": 1},
        dirty=(key,),
        events=(note,),
    )


def bare(pipeline: Pipeline) -> None:
    """Add the writes of one commit to a pipeline."""
    key, number = os.urandom(26), time.perf_counter_ns()
    pipeline.execute_command("ZADD", f"{TAG}:namespaces", 0, "bench")
    pipeline.execute_command("HSET", f"{TAG}:entries", key, b"1 " + VALUE)
    pipeline.execute_command("ZADD", f"{TAG}:keys", 0, key)
    pipeline.execute_command("HINCRBY", f"{TAG}:counters", "memories", 1)
    pipeline.execute_command("HINCRBY", f"{TAG}:counters", "episodic", 1)
    pipeline.execute_command("INCRBY", f"{TAG}:seq", 1)
    pipeline.execute_command("HSET", f"{TAG}:notes", number, key + OWNER.encode())
    pipeline.execute_command("ZADD", f"{TAG}:order", number, number)
    pipeline.execute_command("ZADD", f"{TAG}:leases", number, number)
    event = ("namespace", "bench", "type", "memory.stored", "key", key, "version", 1, "at", number)
    pipeline.execute_command("XADD", f"{TAG}:log", "*", *event)


async def median(step: Step, times: int) -> float:
    """Return how many milliseconds a step takes, the median of some."""
    taken: list[float] = []
    for _ in range(times):
        start = time.perf_counter()
        await step()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


async def measure(driver: Driver, store: KeyValueStore, results: Results) -> None:
    """Measure writes and reads."""

    async def in_one_go(count: int) -> None:
        pipeline = driver.pipeline(transaction=True)
        for _ in range(count):
            bare(pipeline)
        await pipeline.execute()

    async def stored(commits: Sequence[Commit]) -> None:
        await store.commit(commits, owner=OWNER, lease=LEASE)

    async def stored_at_once(count: int) -> None:
        await stored([commit() for _ in range(count)])

    async def by_tasks() -> None:
        await asyncio.gather(*(stored([commit()]) for _ in range(TASKS)))

    keys = [commit().writes[0].key for _ in range(15)]
    name = f"{TAG}:entries"
    round_trip = await median(lambda: driver.execute_command("SET", TAG, VALUE), SINGLE)
    one = await median(lambda: in_one_go(1), SINGLE)
    ours = await median(lambda: stored([commit()]), SINGLE)
    results.title("Writing (ms)")
    results.tell("a commit, and SET", ours, "ms", raw=round_trip)
    results.tell("a commit, and MULTI", ours, "ms", raw=one)
    for count, rounds in ((TASKS, 20), (BULK, 5)):
        together = await median(partial(in_one_go, count), rounds)
        batch = await median(partial(stored_at_once, count), rounds)
        results.tell(f"{count} commits in a call", batch, "ms", raw=together)
        results.tell(
            f"{count} commits in a call: each, one at a time", batch / count, "ms", raw=one
        )
    tasks = await median(by_tasks, 20) / TASKS
    results.tell(f"{TASKS} tasks with one commit: each, one at a time", tasks, "ms", raw=one)
    results.title("Reading (ms)")
    found = await median(lambda: store.get_many("bench", keys), SINGLE)
    raw = await median(lambda: driver.execute_command("HMGET", name, *keys), SINGLE)
    results.tell(f"{len(keys)} entries", found, "ms", raw=raw)


async def run(url: str) -> None:
    """Measure on a server and clean up."""
    make = cast(Callable[[str], Driver], Redis.from_url)  # pyright: ignore[reportUnknownMemberType]
    driver = make(url)
    context = BackendContext(data_folder=Path("unused"))
    try:
        async with create_kv(f"{url}?prefix=bench", context) as store:
            await measure(driver, store, Results())
    finally:
        for pattern in (f"{TAG}*", "{bench:truth}*"):
            found = cast(list[bytes], await driver.execute_command("KEYS", pattern))
            if found:
                await driver.execute_command("UNLINK", *found)
        await driver.aclose()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure the key-value store on Redis.")
    parser.add_argument("--url", default="redis://localhost:6379")
    asyncio.run(run(parser.parse_args().url))


if __name__ == "__main__":
    main()
