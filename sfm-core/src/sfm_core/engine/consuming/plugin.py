"""Registers the event handlers of the engine, the way any other plugin does."""

from __future__ import annotations

from sfm_core.engine.consuming import indexer, replica
from sfm_core.handling import RegisterHandler
from sfm_core.hookspecs import hookimpl

SFM_API_VERSION = 1


@hookimpl
def sfm_register_event_handlers(register: RegisterHandler) -> None:
    """Offer the indexer and the replica."""
    register(
        indexer.SCHEME,
        indexer.make_indexer,
        summary="Has the derived stores of the memory follow its truth.",
    )
    register(
        replica.SCHEME,
        replica.make_replica,
        summary="Keeps a copy of the memory in another key-value store.",
    )
