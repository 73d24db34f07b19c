"""The hooks that a plugin can implement; nothing else lives here.

A plugin is a module (or object) named by an entry point of the group `sfm`.
Its hooks are plain functions marked with `@hookimpl`. All of them fire once,
while the plugin manager is built at start-up, and must neither wait nor do
I/O: a coroutine function is refused. A module may set `SFM_API_VERSION`; one
made for another version is put in quarantine instead of being called.
"""

from __future__ import annotations

import pluggy

from sfm_core.handling import RegisterHandler
from sfm_core.modes import RegisterMode
from sfm_core.protocols.cache import Cache
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.events import EventSink
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.source import EventSource
from sfm_core.protocols.vector import VectorStore
from sfm_core.registry import Register

PROJECT = "sfm"
"""pluggy's project name and the entry-point group."""

API_VERSION = 1
"""Grows when a hook or a port changes in a way that breaks plugins."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def sfm_register_caches(register: Register[Cache]) -> None:
    """Fires at start-up: call `register` once per cache backend."""


@hookspec
def sfm_register_kv_stores(register: Register[KeyValueStore]) -> None:
    """Fires at start-up: call `register` once per key-value backend."""


@hookspec
def sfm_register_vector_stores(register: Register[VectorStore]) -> None:
    """Fires at start-up: call `register` once per vector backend."""


@hookspec
def sfm_register_graph_stores(register: Register[GraphStore]) -> None:
    """Fires at start-up: call `register` once per graph backend."""


@hookspec
def sfm_register_event_sinks(register: Register[EventSink]) -> None:
    """Fires at start-up: call `register` once per event backend."""


@hookspec
def sfm_register_event_sources(register: Register[EventSource]) -> None:
    """Fires at start-up: call `register` once per backend that a consumer can read."""


@hookspec
def sfm_register_event_handlers(register: RegisterHandler) -> None:
    """Fires at start-up: call `register` once per event handler."""


@hookspec
def sfm_register_embedders(register: Register[Embedder]) -> None:
    """Fires at start-up: call `register` once per embedder."""


@hookspec
def sfm_register_modes(register: RegisterMode) -> None:
    """Fires at start-up: call `register` once per mode."""
