"""Offers the stores of this package to the plugin system."""

from __future__ import annotations

from sfm_backend_sqlite._database import shared_database
from sfm_backend_sqlite.graph import SqliteGraphStore
from sfm_backend_sqlite.kv import SqliteKeyValueStore
from sfm_backend_sqlite.settings import SCHEME, SqliteSettings
from sfm_backend_sqlite.vector import SqliteVectorStore
from sfm_core.hookspecs import hookimpl
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.vector import VectorStore
from sfm_core.registry import LOCAL, BackendContext, Register

SFM_API_VERSION = 1


def create_kv(url: str, context: BackendContext) -> SqliteKeyValueStore:
    """Make the key-value store for a URL; see `SqliteSettings.parse` for its form."""
    settings = SqliteSettings.parse(url, context.data_folder)
    return SqliteKeyValueStore(shared_database(settings, context), context.clock)


def create_graph(url: str, context: BackendContext) -> SqliteGraphStore:
    """Make the graph store for a URL; see `SqliteSettings.parse` for its form."""
    settings = SqliteSettings.parse(url, context.data_folder)
    return SqliteGraphStore(shared_database(settings, context), context.clock)


def create_vector(url: str, context: BackendContext) -> SqliteVectorStore:
    """Make the vector store for a URL; see `SqliteSettings.parse` for its form."""
    settings = SqliteSettings.parse(url, context.data_folder)
    return SqliteVectorStore(shared_database(settings, context), context.clock)


def is_set_up(url: str, context: BackendContext) -> bool:
    """Tell whether the file is there."""
    return SqliteSettings.parse(url, context.data_folder).path.exists()


@hookimpl
def sfm_register_kv_stores(register: Register[KeyValueStore]) -> None:
    """Offer the truth in a file."""
    register(
        SCHEME,
        create_kv,
        summary="One SQLite file; safe for many processes.",
        capabilities=frozenset({LOCAL}),
        is_set_up=is_set_up,
    )


@hookimpl
def sfm_register_graph_stores(register: Register[GraphStore]) -> None:
    """Offer the graph in a file."""
    register(
        SCHEME,
        create_graph,
        summary="Edges in the SQLite file of the data folder.",
        capabilities=frozenset({LOCAL}),
    )


@hookimpl
def sfm_register_vector_stores(register: Register[VectorStore]) -> None:
    """Offer the points in a file."""
    register(
        SCHEME,
        create_vector,
        summary="Points in the SQLite file, indexed in the process.",
        capabilities=frozenset({LOCAL}),
    )
