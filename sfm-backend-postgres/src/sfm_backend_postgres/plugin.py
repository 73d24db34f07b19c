"""Offers the stores of this package to the plugin system."""

from __future__ import annotations

from sfm_backend_postgres._client import shared_database
from sfm_backend_postgres.graph import PostgresGraphStore
from sfm_backend_postgres.kv import PostgresKeyValueStore
from sfm_backend_postgres.settings import SCHEME, SHORT_SCHEME, PostgresSettings
from sfm_core.hookspecs import hookimpl
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.registry import BackendContext, Register

SFM_API_VERSION = 1


def create_kv(url: str, context: BackendContext) -> PostgresKeyValueStore:
    """Make the key-value store for a URL; see `PostgresSettings.parse` for its form."""
    settings = PostgresSettings.parse(url, context.options)
    return PostgresKeyValueStore(shared_database(settings, context))


def create_graph(url: str, context: BackendContext) -> PostgresGraphStore:
    """Make the graph store for a URL; see `PostgresSettings.parse` for its form."""
    settings = PostgresSettings.parse(url, context.options)
    return PostgresGraphStore(shared_database(settings, context))


@hookimpl
def sfm_register_kv_stores(register: Register[KeyValueStore]) -> None:
    """Offer the truth in PostgreSQL."""
    for scheme in (SCHEME, SHORT_SCHEME):
        register(scheme, create_kv, summary="A PostgreSQL database, 15 or later.")


@hookimpl
def sfm_register_graph_stores(register: Register[GraphStore]) -> None:
    """Offer the graph in PostgreSQL."""
    for scheme in (SCHEME, SHORT_SCHEME):
        register(scheme, create_graph, summary="Edges in a PostgreSQL database.")
