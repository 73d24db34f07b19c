"""Offers the store of this package to the plugin system.

Every program imports this module, also those that choose another backend. So
the client, which takes a second to import, is imported where it is chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfm_backend_qdrant._environment import OPTIONS, SCHEME, TLS_SCHEME
from sfm_backend_qdrant._urls import parse_url
from sfm_backend_qdrant.settings import EDGE_SCHEME, LOCAL_SCHEME, QdrantSettings
from sfm_core.hookspecs import hookimpl
from sfm_core.protocols.vector import VectorStore
from sfm_core.registry import LOCAL, SECURE, BackendContext, Register

if TYPE_CHECKING:
    from sfm_backend_qdrant._connection import Connection
    from sfm_backend_qdrant.vector import QdrantVectorStore

SFM_API_VERSION = 1


def create_vector(url: str, context: BackendContext) -> QdrantVectorStore:
    """Make the vector store for a URL; see the README for its form."""
    settings = parse_url(url, context.data_folder, context.options, secure=context.secure)
    if settings.scheme == EDGE_SCHEME:
        from sfm_backend_qdrant._edge import EdgeQdrant  # noqa: PLC0415 - see above
        from sfm_backend_qdrant.vector import EdgeVectorStore  # noqa: PLC0415 - see above

        key = f"sfm_backend_qdrant:edge:{settings.folder}"
        return EdgeVectorStore(context.share(key, lambda: EdgeQdrant(settings)))
    from sfm_backend_qdrant._client import ClientQdrant  # noqa: PLC0415 - see above
    from sfm_backend_qdrant.vector import QdrantVectorStore  # noqa: PLC0415 - see above

    return QdrantVectorStore(ClientQdrant(_connection(settings, context)))


@hookimpl
def sfm_register_vector_stores(register: Register[VectorStore]) -> None:
    """Offer the points on a server and in the process."""
    secure = frozenset({SECURE})
    for scheme, summary in (
        (SCHEME, "A Qdrant server."),
        (TLS_SCHEME, "A Qdrant server over TLS."),
    ):
        register(scheme, create_vector, summary=summary, capabilities=secure, options=OPTIONS)
    register(
        LOCAL_SCHEME,
        create_vector,
        summary="Qdrant's in-process mode, for tests and small data; one process at a time.",
        capabilities=frozenset({LOCAL}),
    )
    # Not LOCAL: the worker can die or hang, and what is asked again then is answered by the next.
    # Nothing leaves the machine, so there is nothing to encrypt.
    register(
        EDGE_SCHEME,
        create_vector,
        summary="Qdrant's engine in a worker process, on a folder; one process at a time.",
        capabilities=secure,
    )


def _connection(settings: QdrantSettings, context: BackendContext) -> Connection:
    """Return the connection for these settings.

    Stores of one engine share what lives in the process; to a server, each
    has connections of its own.
    """
    if not settings.local:
        from sfm_backend_qdrant._server import ServerConnection  # noqa: PLC0415 - see above

        return ServerConnection(settings)
    from sfm_backend_qdrant._local import LocalConnection  # noqa: PLC0415 - see above

    key = f"sfm_backend_qdrant:{settings.folder or 'memory'}"
    return context.share(key, lambda: LocalConnection(settings))
