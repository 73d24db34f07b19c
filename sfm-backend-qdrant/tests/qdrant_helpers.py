"""What the tests of this backend share."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from qdrant_client import models

from sfm_backend_qdrant._client import ClientQdrant
from sfm_backend_qdrant._connection import Connection
from sfm_backend_qdrant._edge import EdgeQdrant
from sfm_backend_qdrant._local import LocalConnection
from sfm_backend_qdrant._urls import parse_url
from sfm_backend_qdrant.vector import EdgeVectorStore, QdrantVectorStore
from sfm_core.protocols.vector import Collection, Point
from sfm_core.testing.samples import coordinate, point, unit_vectors

COLLECTION = Collection(name="tests", dimension=8)


def numbered(first: int, count: int) -> list[Point]:
    """Return points at consecutive coordinates."""
    vectors = unit_vectors(count, COLLECTION.dimension)
    return [point("n", coordinate(float(first + row)), vectors[row]) for row in range(count)]


class LocalVectorStore(QdrantVectorStore):
    """A store in whose Qdrant others may be at work, too."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(ClientQdrant(connection))
        self.connection = connection

    async def make_foreign(self, name: str) -> None:
        """Make a collection as another program would."""
        plain = models.VectorParams(size=4, distance=models.Distance.COSINE)
        await self.connection.run(
            lambda client: client.create_collection(name, vectors_config=plain)
        )


class WatchedEdgeStore(EdgeVectorStore):
    """A store whose worker process can be seen."""

    def __init__(self, qdrant: EdgeQdrant) -> None:
        super().__init__(qdrant)
        self._watched = qdrant

    @property
    def worker(self) -> int:
        """The id of the worker process."""
        worker = self._watched.worker_id
        assert worker is not None
        return worker


def written_in(path: Path) -> bytes:
    """Return what a file has, without its holes: the engine sets much space aside."""
    found: list[bytes] = []
    with path.open("rb") as file:
        at, size = 0, path.stat().st_size
        while at < size:
            try:
                begin = os.lseek(file.fileno(), at, os.SEEK_DATA)
                at = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            except OSError as error:
                # Nothing more is written, or the file was cut off meanwhile.
                if error.errno != errno.ENXIO:
                    raise
                break
            file.seek(begin)
            found.append(file.read(at - begin))
    return b"".join(found)


def open_edge(
    folder: Path,
    *,
    query: str = "",
    lock_wait: float = 5.0,
    scan_kilobytes: int = 60_000,
    step_kilobytes: int = 20_000,
) -> WatchedEdgeStore:
    """Make a store with a worker process of its own."""
    settings = parse_url(f"qdrant+edge:points{query}", folder, {})
    tuned = replace(
        settings,
        lock_wait=timedelta(seconds=lock_wait),
        scan_kilobytes=scan_kilobytes,
        step_kilobytes=step_kilobytes,
    )
    return WatchedEdgeStore(EdgeQdrant(tuned))


def open_local(
    folder: Path, *, url: str = "qdrant+local:points", scan_limit: int = 20_000
) -> LocalVectorStore:
    """Make a store that shares nothing, as another process would."""
    settings = replace(parse_url(url, folder, {}), scan_limit=scan_limit)
    return LocalVectorStore(LocalConnection(settings))
