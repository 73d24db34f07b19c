"""What the tests of this backend share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qdrant_client import models

from sfm_backend_qdrant._client import ClientQdrant
from sfm_backend_qdrant._connection import Connection
from sfm_backend_qdrant._local import LocalConnection
from sfm_backend_qdrant.settings import QdrantSettings
from sfm_backend_qdrant.vector import QdrantVectorStore
from sfm_core.protocols.vector import Collection

COLLECTION = Collection(name="tests", dimension=8)


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


def open_local(
    folder: Path, *, url: str = "qdrant+local:points", scan_limit: int = 20_000
) -> LocalVectorStore:
    """Make a store that shares nothing, as another process would."""
    settings = replace(QdrantSettings.parse(url, folder, {}), scan_limit=scan_limit)
    return LocalVectorStore(LocalConnection(settings))
