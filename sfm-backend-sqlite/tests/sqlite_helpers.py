"""What the tests of this backend share."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfm_backend_sqlite._database import shared_database
from sfm_backend_sqlite.graph import SqliteGraphStore
from sfm_backend_sqlite.kv import SqliteKeyValueStore
from sfm_backend_sqlite.settings import SqliteSettings
from sfm_backend_sqlite.vector import SqliteVectorStore
from sfm_core.clock import Clock, SystemClock
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import MemoryType
from sfm_core.protocols.vector import Collection, Point, PointId, VectorQuery
from sfm_core.registry import BackendContext


class LimitedKeyValueStore(SqliteKeyValueStore):
    """A store whose file can be kept from growing, like a disk that is full."""

    async def limit_pages(self, pages: int) -> None:
        await self._database.write(
            lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()
        )


def open_kv(
    folder: Path, *, url: str = "sqlite:", clock: Clock | None = None
) -> LimitedKeyValueStore:
    """Make a store with a context of its own, as another process would."""
    context = BackendContext(data_folder=folder, clock=clock or SystemClock())
    settings = SqliteSettings.parse(url, folder)
    return LimitedKeyValueStore(shared_database(settings, context), context.clock)


def open_graph(folder: Path) -> SqliteGraphStore:
    """Make a graph store with a context of its own."""
    context = BackendContext(data_folder=folder)
    settings = SqliteSettings.parse("sqlite:", folder)
    return SqliteGraphStore(shared_database(settings, context), context.clock)


COLLECTION = Collection(name="tests", dimension=64)


def open_vector(
    folder: Path,
    *,
    approximate_from: int = 16_384,
    snapshot_from: int = 5_000,
    resident_points: int = 2_000_000,
) -> SqliteVectorStore:
    """Make a vector store with a context and settings of its own."""
    context = BackendContext(data_folder=folder)
    settings = replace(
        SqliteSettings.parse("sqlite:", folder),
        approximate_from=approximate_from,
        snapshot_from=snapshot_from,
        resident_points=resident_points,
    )
    return SqliteVectorStore(shared_database(settings, context), context.clock)


def clustered(count: int, *, seed: int) -> NDArray[np.float32]:
    """Return vectors in clusters, as those of texts are."""
    centres = np.random.default_rng(0).standard_normal((100, COLLECTION.dimension))
    source = np.random.default_rng(seed)
    around = centres[source.integers(0, len(centres), count)]
    return normalized(around + source.standard_normal((count, COLLECTION.dimension)))


def normalized(raw: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return vectors of length 1."""
    lengths: NDArray[np.float64] = np.linalg.norm(raw, axis=1, keepdims=True)
    return np.divide(raw, lengths).astype(np.float32)


def points(
    vectors: NDArray[np.float32], *, first: int = 0, namespace: str = "n", version: int = 1
) -> list[Point]:
    """Return points at consecutive coordinates."""
    return [
        Point(
            id=PointId(namespace=namespace, coordinate=Coordinate((float(number),))),
            version=version,
            type=MemoryType.EPISODIC if number % 2 else MemoryType.SEMANTIC,
            payload={"n": number, "third": number % 3, "hundredth": number % 100},
            vector=vector,
            terms={f"t{number}": 1.0, "common": 1.0},
        )
        for number, vector in enumerate(vectors, start=first)
    ]


async def settled(store: SqliteVectorStore) -> None:
    """Search once, and wait until nothing more is done in the background for it."""
    query = VectorQuery(namespace="n", limit=1, vector=clustered(1, seed=2)[0])
    await store.search(COLLECTION, [query])
    # A thread does it, which has no event to wait for.
    while store.tending:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
