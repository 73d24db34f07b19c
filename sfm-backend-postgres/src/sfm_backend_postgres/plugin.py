"""Offers the stores of this package to the plugin system.

Every program imports this module, also those that choose another backend. So
the driver is imported where it is chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfm_backend_postgres._variables import ADDRESS, OPTIONS, SCHEME, SHORT_SCHEME, is_bare
from sfm_core.hookspecs import hookimpl
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.vector import VectorStore
from sfm_core.registry import SECURE, BackendContext, Register

if TYPE_CHECKING:
    from sfm_backend_postgres._client import PostgresDatabase
    from sfm_backend_postgres.graph import PostgresGraphStore
    from sfm_backend_postgres.kv import PostgresKeyValueStore
    from sfm_backend_postgres.vector import PostgresVectorStore

SFM_API_VERSION = 1

_CAPABILITIES = frozenset({SECURE})


def create_kv(url: str, context: BackendContext) -> PostgresKeyValueStore:
    """Make the key-value store for a URL; see `PostgresSettings.parse` for its form."""
    from sfm_backend_postgres.kv import PostgresKeyValueStore  # noqa: PLC0415 - see above

    return PostgresKeyValueStore(_database(url, context))


def create_graph(url: str, context: BackendContext) -> PostgresGraphStore:
    """Make the graph store for a URL; see `PostgresSettings.parse` for its form."""
    from sfm_backend_postgres.graph import PostgresGraphStore  # noqa: PLC0415 - see above

    return PostgresGraphStore(_database(url, context))


def create_vector(url: str, context: BackendContext) -> PostgresVectorStore:
    """Make the vector store for a URL; see `PostgresSettings.parse` for its form."""
    from sfm_backend_postgres.vector import PostgresVectorStore  # noqa: PLC0415 - see above

    return PostgresVectorStore(_database(url, context))


def _database(url: str, context: BackendContext) -> PostgresDatabase:
    from sfm_backend_postgres._client import shared_database  # noqa: PLC0415 - see above
    from sfm_backend_postgres.settings import PostgresSettings  # noqa: PLC0415 - see above

    settings = PostgresSettings.parse(url, context.options, secure=context.secure)
    return shared_database(settings, context)


def is_set_up(url: str, context: BackendContext) -> bool:
    """Tell whether a server is named: by the URL itself, or for a bare one by `POSTGRES_URL`."""
    return not is_bare(url) or bool(context.options.get(ADDRESS))


@hookimpl
def sfm_register_kv_stores(register: Register[KeyValueStore]) -> None:
    """Offer the truth in PostgreSQL."""
    for scheme in (SCHEME, SHORT_SCHEME):
        register(
            scheme,
            create_kv,
            summary="A PostgreSQL database, 15 or later.",
            capabilities=_CAPABILITIES,
            options=OPTIONS,
            is_set_up=is_set_up,
        )


@hookimpl
def sfm_register_graph_stores(register: Register[GraphStore]) -> None:
    """Offer the graph in PostgreSQL."""
    for scheme in (SCHEME, SHORT_SCHEME):
        register(
            scheme,
            create_graph,
            summary="Edges in a PostgreSQL database.",
            capabilities=_CAPABILITIES,
            options=OPTIONS,
        )


@hookimpl
def sfm_register_vector_stores(register: Register[VectorStore]) -> None:
    """Offer points in PostgreSQL, where pgvector is there."""
    for scheme in (SCHEME, SHORT_SCHEME):
        register(
            scheme,
            create_vector,
            summary="Points in a PostgreSQL database with the extension pgvector.",
            capabilities=_CAPABILITIES,
            options=OPTIONS,
        )
