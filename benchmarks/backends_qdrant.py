"""Measure `qdrant+edge:` beside the bare engine doing the same work in this process.

    python -m benchmarks.backends_qdrant [--points 10000 100000] [--folder DIR]

The bare engine is given the same points and questions, ready made. It has no
process to talk to, does not wait for the disk, and extends its graph in one go. Points
and questions are those of `backends_sqlite`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qdrant_edge import EdgeShard, QueryBatchRequest, UpdateOperation

from benchmarks.backends_sqlite import COLLECTION, LIMIT, Sample, disk_megabytes, row, timed
from sfm_backend_qdrant._encoding import stored_point
from sfm_backend_qdrant._searching import Question
from sfm_backend_qdrant.edge import engine
from sfm_backend_qdrant.edge.shard import add_indexes
from sfm_backend_qdrant.edge.translating import EDGE_INDEXES, asked, written
from sfm_backend_qdrant.plugin import create_vector
from sfm_backend_qdrant.vector import QdrantVectorStore
from sfm_core.model.filters import parse_filter
from sfm_core.protocols.vector import VectorQuery
from sfm_core.registry import BackendContext

BATCH = 1000
LONGEST_SETTLING = 600
LONG_ENOUGH = 50


class Bare:
    """The engine without a worker."""

    def __init__(self, folder: Path) -> None:
        config = engine.config(COLLECTION.dimension, scan_kilobytes=60_000, step_kilobytes=20_000)
        self.shard = EdgeShard.create(str(folder), config)
        add_indexes(self.shard, EDGE_INDEXES)
        self.seconds = 0.0

    def write(self, sample: Sample, first: int, vectors: NDArray[np.float32]) -> None:
        """Write points, and count the time from their being ready."""
        ready = [written(stored_point(point)) for point in sample.points(first, vectors)]
        start = time.perf_counter()
        self.shard.update(UpdateOperation.upsert_points([engine.point(each) for each in ready]))
        self.seconds += time.perf_counter() - start

    def search(self, queries: Sequence[VectorQuery]) -> float:
        """Return the median time of searches one at a time, in milliseconds."""
        times: list[float] = []
        for query in queries:
            requests = engine.requests(asked(Question.of(query).ask()))
            start = time.perf_counter()
            self.shard.query_batch(QueryBatchRequest(requests))
            times.append((time.perf_counter() - start) * 1e3)
        return statistics.median(times)


async def measure(folder: Path, count: int) -> None:
    """Print how fast points are written and searched."""
    sample = Sample(count)
    vectors = sample.vectors(count)
    (folder / "bare").mkdir()
    bare = Bare(folder / "bare")
    print()
    row(f"{count} points of {COLLECTION.dimension} dimensions", "ours", "bare", "ratio")
    for durability in ("normal", "full"):
        url = f"qdrant+edge:{durability}?durability={durability}"
        async with create_vector(url, BackendContext(data_folder=folder)) as store:
            await store.ensure(COLLECTION)
            ours = await write(store, sample, vectors)
            if durability == "normal":
                for first in range(0, count, BATCH):
                    bare.write(sample, first, vectors[first : first + BATCH])
            rate = count / bare.seconds
            row(
                f"  written per second, {durability}",
                round(ours),
                round(rate),
                f"{ours / rate:.2f}",
            )
            if durability == "full":
                await settle(store, folder / durability, vectors)
                start = time.perf_counter()
                bare.shard.optimize()
                row("  graph, s", "", f"{time.perf_counter() - start:.1f}")
                await measure_searches(store, bare, sample, vectors)
                await measure_single_writes(store, sample, vectors)
    row("  disk, MB", disk_megabytes(folder / "full"), disk_megabytes(folder / "bare"))
    bare.shard.close()


async def write(store: QdrantVectorStore, sample: Sample, vectors: NDArray[np.float32]) -> float:
    """Return points written per second, their making left out."""
    seconds = 0.0
    for first in range(0, len(vectors), BATCH):
        points = sample.points(first, vectors[first : first + BATCH])
        start = time.perf_counter()
        await store.upsert(COLLECTION, points)
        seconds += time.perf_counter() - start
    return len(vectors) / seconds


async def settle(store: QdrantVectorStore, folder: Path, vectors: NDArray[np.float32]) -> None:
    """Wait until no copy is at work, and print how long a search took at most meanwhile."""
    start, longest = time.perf_counter(), 0.0
    query = VectorQuery(namespace="bench", limit=10, vector=vectors[0])
    shards = folder / "collections" / COLLECTION.name
    quiet = 0
    while time.perf_counter() - start < LONGEST_SETTLING and quiet < LONG_ENOUGH:
        quiet = quiet + 1 if sum(each.is_dir() for each in shards.iterdir()) == 1 else 0
        before = time.perf_counter()
        await store.search(COLLECTION, [query])
        longest = max(longest, time.perf_counter() - before)
        await asyncio.sleep(0.01)
    row("  graph extended beside, s", f"{time.perf_counter() - start:.1f}")
    row("  longest search meanwhile, ms", round(longest * 1e3))


async def measure_searches(
    store: QdrantVectorStore, bare: Bare, sample: Sample, vectors: NDArray[np.float32]
) -> None:
    """Print the time of each kind of search, and what it finds."""
    row(f"  searches, limit {LIMIT}", "p50 ms", "p99 ms", "bare p50", "ratio", "recall@10")
    kinds = [
        ("dense", True, False, None),
        ("keyword", False, True, None),
        ("both", True, True, None),
        ("both, a third matches", True, True, {"third": 1}),
        ("both, one in a hundred matches", True, True, {"topic": "t7"}),
        ("both, a range matches half", True, True, {"n": {"$lt": len(vectors) // 2}}),
    ]
    questions = sample.vectors(200)
    for name, dense, keyword, source in kinds:
        queries = [
            VectorQuery(
                namespace="bench",
                limit=LIMIT,
                vector=vector if dense else None,
                terms=sample.terms(number, 8) if keyword else None,
                filter=None if source is None else parse_filter(source),
            )
            for number, vector in enumerate(questions)
        ]
        middle, worst = await timed([partial(store.search, COLLECTION, [q]) for q in queries])
        raw = bare.search(queries)
        found = await recall(store, questions[:50], vectors) if name == "dense" else ""
        row(
            f"    {name}",
            f"{middle:.2f}",
            f"{worst:.2f}",
            f"{raw:.2f}",
            f"{middle / raw:.2f}",
            found,
        )


async def measure_single_writes(
    store: QdrantVectorStore, sample: Sample, vectors: NDArray[np.float32]
) -> None:
    """Print how long one point takes that is written by itself."""
    points = sample.points(0, vectors[:200])
    middle, worst = await timed([partial(store.upsert, COLLECTION, [each]) for each in points])
    row("  one point, durable: p50, p99 ms", f"{middle:.2f}", f"{worst:.2f}")


async def recall(
    store: QdrantVectorStore, questions: NDArray[np.float32], vectors: NDArray[np.float32]
) -> str:
    """Return which part of the exact ten nearest the hits hold."""
    hits = 0
    for vector in questions:
        query = VectorQuery(namespace="bench", limit=10, vector=vector)
        [result] = await store.search(COLLECTION, [query])
        best = set(np.argpartition(vectors @ vector, -10)[-10:].tolist())
        hits += len(best & {int(hit.coordinate.components[0]) for hit in result.hits})
    return f"{hits / (10 * len(questions)):.3f}"


async def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    options = parser.parse_args(arguments)
    for count in options.points:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            await measure(Path(folder), count)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
