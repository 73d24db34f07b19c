"""Offers the stores of this package to the plugin system.

Every program imports this module, also those that choose another backend. So
the driver is imported where it is chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfm_backend_redis.settings import Form
from sfm_backend_redis.variables import OPTIONS, choose, is_set_up
from sfm_core.hookspecs import hookimpl
from sfm_core.protocols.cache import Cache
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.registry import SECURE, BackendContext, Register

if TYPE_CHECKING:
    from sfm_backend_redis._client import RedisClient
    from sfm_backend_redis.cache import RedisCache
    from sfm_backend_redis.graph import RedisGraphStore
    from sfm_backend_redis.kv import RedisKeyValueStore

SFM_API_VERSION = 1

_CAPABILITIES = frozenset({SECURE})
_REACHED = {
    Form.PLAIN: "a Redis or Valkey server",
    Form.TLS: "a Redis or Valkey server, encrypted",
    Form.UNIX: "a Redis or Valkey server on this machine",
    Form.SENTINEL: "the Redis or Valkey master that sentinels name",
    Form.CLUSTER: "a Redis or Valkey cluster",
}


def create_kv(url: str, context: BackendContext) -> RedisKeyValueStore:
    """Make the key-value store for a URL; see `choose` for its form."""
    from sfm_backend_redis.kv import RedisKeyValueStore  # noqa: PLC0415 - see above

    return RedisKeyValueStore(_client(url, context, "SFM_KV_URL"))


def create_graph(url: str, context: BackendContext) -> RedisGraphStore:
    """Make the graph store for a URL; see `choose` for its form."""
    from sfm_backend_redis.graph import RedisGraphStore  # noqa: PLC0415 - see above

    return RedisGraphStore(_client(url, context, "SFM_GRAPH_URL"))


def create_cache(url: str, context: BackendContext) -> RedisCache:
    """Make the cache for a URL; see `choose` for its form."""
    from sfm_backend_redis.cache import RedisCache  # noqa: PLC0415 - see above

    return RedisCache(_client(url, context, "SFM_CACHE_URL"))


def _client(url: str, context: BackendContext, setting: str) -> RedisClient:
    from sfm_backend_redis._client import shared_client  # noqa: PLC0415 - see above

    return shared_client(choose(url, context, setting=setting), context)


@hookimpl
def sfm_register_kv_stores(register: Register[KeyValueStore]) -> None:
    """Offer the truth in a Redis."""
    for form, reached in _REACHED.items():
        register(
            form.value,
            create_kv,
            capabilities=_CAPABILITIES,
            options=OPTIONS,
            is_set_up=is_set_up,
            summary=f"The truth on {reached}.",
        )


@hookimpl
def sfm_register_graph_stores(register: Register[GraphStore]) -> None:
    """Offer the graph in a Redis."""
    for form, reached in _REACHED.items():
        register(
            form.value,
            create_graph,
            capabilities=_CAPABILITIES,
            options=OPTIONS,
            summary=f"Edges on {reached}.",
        )


@hookimpl
def sfm_register_caches(register: Register[Cache]) -> None:
    """Offer the cache in a Redis."""
    for form, reached in _REACHED.items():
        register(
            form.value,
            create_cache,
            capabilities=_CAPABILITIES,
            options=OPTIONS,
            summary=f"Copies and shared counters on {reached}.",
        )
