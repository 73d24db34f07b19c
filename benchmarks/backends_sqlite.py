"""Measure the SQLite backends beside the bare work they cannot do without.

    python benchmarks/backends_sqlite.py [--points 10000 100000] [--folder DIR]

Writes are compared with `sqlite3` inserting the same bytes at the same
durability; searches with one NumPy product over the same vectors. Vectors come in
clusters, as those of texts do; terms are as frequent as words are (Zipf).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfm_backend_sqlite.plugin import create_kv, create_vector
from sfm_backend_sqlite.vector import SqliteVectorStore
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import Filter, matches, parse_filter
from sfm_core.model.memory import MemoryType
from sfm_core.model.payload import JsonValue
from sfm_core.protocols.kv import Commit, Write
from sfm_core.protocols.vector import Collection, Point, PointId, VectorQuery
from sfm_core.registry import BackendContext

DIMENSION = 256
VOCABULARY = 30_000
VALUE = b'{"payload":{"text":"' + b"x" * 400 + b'"}}'
LEASE = timedelta(seconds=30)
COLLECTION = Collection(name="bench", dimension=DIMENSION)
LIMIT = 200


def row(name: str, *figures: object) -> None:
    """Print one line of a table."""
    print(f"{name:<44}" + "".join(f"{figure!s:>12}" for figure in figures), flush=True)


def commit() -> Commit:
    """Return a commit as storing one memory makes it."""
    key = b"m\x03" + os.urandom(24)
    return Commit(
        namespace="bench",
        writes=(Write(key, VALUE, 1),),
        expect={key: 0},
        counters={"memories": 1},
        dirty=(key,),
    )


def bare_inserts(folder: Path, group: int, rounds: int) -> float:
    """Return rows per second of `sqlite3` alone."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS entry (key BLOB PRIMARY KEY, value BLOB)")
    start = time.perf_counter()
    for _ in range(rounds):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO entry VALUES (?, ?)", [(os.urandom(26), VALUE) for _ in range(group)]
        )
        connection.execute("COMMIT")
    elapsed = time.perf_counter() - start
    connection.close()
    return group * rounds / elapsed


async def measure_commits(folder: Path) -> None:
    """Print commits per second, alone and in groups."""
    row("commits", "per second", "bare", "ratio")
    async with create_kv("sqlite:", BackendContext(data_folder=folder)) as store:
        for group, rounds in ((1, 500), (64, 50), (1000, 5)):
            bare = bare_inserts(folder, group, rounds)
            start = time.perf_counter()
            for _ in range(rounds):
                await store.commit([commit() for _ in range(group)], owner="o", lease=LEASE)
            ours = group * rounds / (time.perf_counter() - start)
            row(f"  {group} in a call", round(ours), round(bare), f"{ours / bare:.2f}")


def payload(number: int) -> dict[str, JsonValue]:
    """Return what filters look at."""
    return {"n": number, "topic": f"t{number % 100}", "third": number % 3}


class Sample:
    """Made-up points and questions."""

    def __init__(self, count: int) -> None:
        self.source = np.random.default_rng(1)
        self.centres = self.source.standard_normal((max(50, count // 200), DIMENSION))
        frequency = 1.0 / np.arange(20, VOCABULARY + 20)
        self.words = self.source.choice(
            VOCABULARY, (4096, 24), p=frequency / frequency.sum()
        ).tolist()

    def vectors(self, count: int) -> NDArray[np.float32]:
        """Return vectors around the centres."""
        middle = self.centres[self.source.integers(0, len(self.centres), count)]
        raw = 0.7 * middle + 0.8 * self.source.standard_normal((count, DIMENSION))
        lengths: NDArray[np.float64] = np.linalg.norm(raw, axis=1, keepdims=True)
        return np.divide(raw, lengths).astype(np.float32)

    def terms(self, number: int, count: int = 24) -> dict[str, float]:
        """Return terms with their weights."""
        return {f"w{word}": 1.0 for word in self.words[number * 7919 % 4096][:count]}

    def points(self, first: int, vectors: NDArray[np.float32]) -> list[Point]:
        """Return points at consecutive coordinates."""
        return [
            Point(
                id=PointId(namespace="bench", coordinate=Coordinate((float(number),))),
                version=1,
                type=MemoryType.EPISODIC if number % 2 else MemoryType.SEMANTIC,
                payload=payload(number),
                vector=vector,
                terms=self.terms(number),
            )
            for number, vector in enumerate(vectors, start=first)
        ]


async def timed(calls: Sequence[Callable[[], Awaitable[object]]]) -> tuple[float, float]:
    """Return median and 99th percentile of some calls, in milliseconds."""
    times: list[float] = []
    for call in calls:
        start = time.perf_counter()
        await call()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times), sorted(times)[int(len(times) * 0.99)]


async def measure_points(folder: Path, count: int) -> None:
    """Print how fast points are written and searched."""
    sample = Sample(count)
    vectors = sample.vectors(count)
    context = BackendContext(data_folder=folder)
    print()
    row(f"{count} points of {DIMENSION} dimensions")
    async with create_vector("sqlite:", context) as store:
        await store.ensure(COLLECTION)
        start = time.perf_counter()
        for first in range(0, count, 1000):
            await store.upsert(COLLECTION, sample.points(first, vectors[first : first + 1000]))
        row("  written per second", round(count / (time.perf_counter() - start)))
        await first_search("  first search, rows read, ms", store, vectors[0])
        await settle(store, count, vectors)
        await measure_searches(store, vectors, sample)
        await store.maintain()
    async with create_vector("sqlite:", context) as store:
        await first_search("  first search, from snapshot, ms", store, vectors[0])
    row("  disk, MB", disk_megabytes(folder))
    row("  memory at most, MB", round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3))


async def first_search(name: str, store: SqliteVectorStore, vector: NDArray[np.float32]) -> None:
    """Print how long the first search takes."""
    start = time.perf_counter()
    await store.search(COLLECTION, [VectorQuery(namespace="bench", limit=10, vector=vector)])
    row(name, round((time.perf_counter() - start) * 1e3))


async def settle(store: SqliteVectorStore, count: int, vectors: NDArray[np.float32]) -> None:
    """Wait until the graph is built, and print how long the event loop was kept at most."""
    start = time.perf_counter()
    longest = 0.0
    while store.tending and time.perf_counter() - start < count / 500:
        before = time.perf_counter()
        await asyncio.sleep(0.005)
        longest = max(longest, time.perf_counter() - before - 0.005)
    row("  graph built, s", round(time.perf_counter() - start, 1))
    row("  event loop kept meanwhile at most, ms", round(longest * 1e3, 1))
    await store.search(COLLECTION, [VectorQuery(namespace="bench", limit=10, vector=vectors[0])])


async def measure_searches(
    store: SqliteVectorStore, vectors: NDArray[np.float32], sample: Sample
) -> None:
    """Print the time of each kind of search and what it finds."""
    asked = sample.vectors(300)
    row("  searches, limit 200", "p50 ms", "p99 ms", "recall@10")
    kinds: list[tuple[str, bool, bool, Filter | None]] = [
        ("dense", True, False, None),
        ("keyword", False, True, None),
        ("both", True, True, None),
        ("both, a third matches", True, True, parse_filter({"third": 1})),
        ("both, one in a hundred matches", True, True, parse_filter({"topic": "t7"})),
        ("both, a range matches half", True, True, parse_filter({"n": {"$lt": len(vectors) // 2}})),
    ]
    for name, dense, keyword, condition in kinds:
        queries = [
            VectorQuery(
                namespace="bench",
                limit=LIMIT,
                vector=vector if dense else None,
                terms=sample.terms(number, 8) if keyword else None,
                filter=condition,
            )
            for number, vector in enumerate(asked)
        ]
        await store.search(COLLECTION, queries[:1])
        middle, worst = await timed([partial(store.search, COLLECTION, [q]) for q in queries])
        found = await recall(store, queries, vectors)
        row(f"    {name}", f"{middle:.2f}", f"{worst:.2f}", found)
    batches = [queries_of(asked[start : start + 32]) for start in range(0, 256, 32)]
    middle, _ = await timed([partial(store.search, COLLECTION, batch) for batch in batches])
    row("    dense, 32 in a call, each", f"{middle / 32:.2f}")
    bare = bare_product(vectors, asked)
    row("    bare: NumPy product and best 200", f"{bare:.2f}")


def queries_of(asked: NDArray[np.float32]) -> list[VectorQuery]:
    """Return plain dense queries."""
    return [VectorQuery(namespace="bench", limit=LIMIT, vector=vector) for vector in asked]


def bare_product(vectors: NDArray[np.float32], asked: NDArray[np.float32]) -> float:
    """Return the median time of exact search with NumPy alone, in milliseconds."""
    times: list[float] = []
    for vector in asked[:50]:
        start = time.perf_counter()
        scores = vectors @ vector
        np.argpartition(scores, -LIMIT)
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


async def recall(
    store: SqliteVectorStore, queries: Sequence[VectorQuery], vectors: NDArray[np.float32]
) -> str:
    """Return which part of the exact ten nearest the hits hold."""
    condition = queries[0].filter
    allowed = np.array(
        [condition is None or matches(condition, payload(n)) for n in range(len(vectors))]
    )
    hits = 0
    for query in queries[:100]:
        if query.vector is None:
            return "-"
        [result] = await store.search(COLLECTION, [query])
        scores = np.where(allowed, vectors @ query.vector, -np.inf)
        best = set(np.argpartition(scores, -10)[-10:].tolist())
        hits += len(best & {int(hit.coordinate.components[0]) for hit in result.hits})
    return f"{hits / 1000:.3f}"


def disk_megabytes(folder: Path) -> int:
    """Return what a folder takes."""
    sizes = (file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return round(sum(sizes) / 1e6)


async def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        await measure_commits(Path(folder))
    for count in options.points:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            await measure_points(Path(folder), count)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
