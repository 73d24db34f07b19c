"""Registers the event handlers of the engine, the way any other plugin does."""

from __future__ import annotations

from sfm_core.engine.consuming.indexer import SCHEME, make_indexer
from sfm_core.handling import RegisterHandler
from sfm_core.hookspecs import hookimpl

SFM_API_VERSION = 1


@hookimpl
def sfm_register_event_handlers(register: RegisterHandler) -> None:
    """Offer the indexer."""
    register(SCHEME, make_indexer, summary="Has the derived stores of the memory follow it.")
