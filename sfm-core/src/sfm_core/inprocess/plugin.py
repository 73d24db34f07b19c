"""Registers the in-process backends, the way any other plugin does.

`memory:` and `memory:<name>` choose data that lives as long as the context
they are made in; the same URL in the same context is the same data. The cache
takes its size as `memory:?max_bytes=…`, the event source its group as
`memory:?group=…`.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from sfm_core.errors import ConfigurationError
from sfm_core.hookspecs import hookimpl
from sfm_core.inprocess.cache import DEFAULT_MAX_BYTES, CacheState, InProcessCache
from sfm_core.inprocess.embedder import HashingEmbedder
from sfm_core.inprocess.events import (
    GROUP,
    EventStreamState,
    InProcessEventSink,
    InProcessEventSource,
)
from sfm_core.inprocess.graph import GraphState, InProcessGraphStore
from sfm_core.inprocess.kv import InProcessKeyValueStore, KeyValueState
from sfm_core.inprocess.vector import InProcessVectorStore, VectorState
from sfm_core.protocols.cache import Cache
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.events import EventSink
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.source import EventSource
from sfm_core.protocols.vector import VectorStore
from sfm_core.registry import FLEETING, LOCAL, BackendContext, PortName, Register

SFM_API_VERSION = 1
SCHEME = "memory"
_LOCAL = frozenset({LOCAL})
_SUMMARY = "In this process only; gone when it ends."


@hookimpl
def sfm_register_caches(register: Register[Cache]) -> None:
    """Offer the in-process cache."""
    register(SCHEME, _cache, summary=_SUMMARY, capabilities=_LOCAL)


@hookimpl
def sfm_register_kv_stores(register: Register[KeyValueStore]) -> None:
    """Offer the in-process key-value store."""
    register(SCHEME, _kv_store, summary=_SUMMARY, capabilities=_LOCAL | {FLEETING})


@hookimpl
def sfm_register_vector_stores(register: Register[VectorStore]) -> None:
    """Offer the in-process vector store."""
    register(SCHEME, _vector_store, summary=_SUMMARY, capabilities=_LOCAL)


@hookimpl
def sfm_register_graph_stores(register: Register[GraphStore]) -> None:
    """Offer the in-process graph store."""
    register(SCHEME, _graph_store, summary=_SUMMARY, capabilities=_LOCAL)


@hookimpl
def sfm_register_event_sinks(register: Register[EventSink]) -> None:
    """Offer the in-process event sink."""
    register(SCHEME, _event_sink, summary=_SUMMARY, capabilities=_LOCAL)


@hookimpl
def sfm_register_event_sources(register: Register[EventSource]) -> None:
    """Offer the source that reads what the in-process event sink has published."""
    register(SCHEME, _event_source, summary=_SUMMARY, capabilities=_LOCAL)


@hookimpl
def sfm_register_embedders(register: Register[Embedder]) -> None:
    """Offer the embedder that needs no model."""
    register(
        "hashing",
        _embedder,
        summary="Shared words and parts of words; needs no model.",
        capabilities=_LOCAL,
    )


def _cache(url: str, context: BackendContext) -> InProcessCache:
    key, options = _parts(PortName.CACHE, url, allowed=frozenset({"max_bytes"}))
    max_bytes = options.get("max_bytes", str(DEFAULT_MAX_BYTES))
    if not max_bytes.isdecimal():
        raise ConfigurationError(
            f"max_bytes is {max_bytes!r} in {url!r}.",
            setting="SFM_CACHE_URL",
            remedy="Give a whole number of bytes.",
        )
    state = context.share(key, lambda: CacheState(max_bytes=int(max_bytes)))
    return InProcessCache(state=state, clock=context.clock)


def _kv_store(url: str, context: BackendContext) -> InProcessKeyValueStore:
    key, _ = _parts(PortName.KV, url)
    return InProcessKeyValueStore(state=context.share(key, KeyValueState), clock=context.clock)


def _vector_store(url: str, context: BackendContext) -> InProcessVectorStore:
    key, _ = _parts(PortName.VECTOR, url)
    return InProcessVectorStore(state=context.share(key, VectorState))


def _graph_store(url: str, context: BackendContext) -> InProcessGraphStore:
    key, _ = _parts(PortName.GRAPH, url)
    return InProcessGraphStore(state=context.share(key, GraphState))


def _event_sink(url: str, context: BackendContext) -> InProcessEventSink:
    key, _ = _parts(PortName.EVENTS, url)
    return InProcessEventSink(state=context.share(key, EventStreamState))


def _event_source(url: str, context: BackendContext) -> InProcessEventSource:
    # The same key as for the sink: it is the same stream.
    key, options = _parts(PortName.EVENTS, url, allowed=frozenset({"group"}))
    state = context.share(key, EventStreamState)
    return InProcessEventSource(state=state, group=options.get("group", GROUP), clock=context.clock)


def _embedder(url: str, context: BackendContext) -> HashingEmbedder:  # noqa: ARG001 - a factory's signature
    _parts(PortName.EMBEDDER, url)
    return HashingEmbedder()


def _parts(
    port: PortName, url: str, *, allowed: frozenset[str] = frozenset()
) -> tuple[str, dict[str, str]]:
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(options.keys() - allowed)
    if unknown:
        raise ConfigurationError(
            f"{url!r} has the unknown option {unknown[0]!r}.",
            setting=f"SFM_{port.upper()}_URL",
            remedy=f"Options here: {', '.join(sorted(allowed)) or 'none'}.",
        )
    return f"sfm_core.inprocess/{port}/{parts.netloc}{parts.path}", options
