"""Offers the store of this package to the plugin system."""

from __future__ import annotations

from sfm_backend_qdrant._client import connection
from sfm_backend_qdrant.settings import LOCAL_SCHEME, SCHEME, TLS_SCHEME, QdrantSettings
from sfm_backend_qdrant.vector import QdrantVectorStore
from sfm_core.hookspecs import hookimpl
from sfm_core.protocols.vector import VectorStore
from sfm_core.registry import LOCAL, BackendContext, Register

SFM_API_VERSION = 1


def create_vector(url: str, context: BackendContext) -> QdrantVectorStore:
    """Make the vector store for a URL; see the README for its form."""
    settings = QdrantSettings.parse(url, context.data_folder, context.options)
    return QdrantVectorStore(connection(settings, context))


@hookimpl
def sfm_register_vector_stores(register: Register[VectorStore]) -> None:
    """Offer the points on a server and in the process."""
    register(SCHEME, create_vector, summary="A Qdrant server.")
    register(TLS_SCHEME, create_vector, summary="A Qdrant server over TLS.")
    register(
        LOCAL_SCHEME,
        create_vector,
        summary="Qdrant's in-process mode, for tests and small data; one process at a time.",
        capabilities=frozenset({LOCAL}),
    )
