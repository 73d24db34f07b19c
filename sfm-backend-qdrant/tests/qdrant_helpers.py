"""What the tests of this backend share."""

from __future__ import annotations

from pathlib import Path

from sfm_backend_qdrant.plugin import create_vector
from sfm_backend_qdrant.vector import QdrantVectorStore
from sfm_core.protocols.vector import Collection
from sfm_core.registry import BackendContext

COLLECTION = Collection(name="tests", dimension=8)


def open_local(folder: Path, *, url: str = "qdrant+local:points") -> QdrantVectorStore:
    """Make a store with a context of its own, as another process would."""
    return create_vector(url, BackendContext(data_folder=folder))
