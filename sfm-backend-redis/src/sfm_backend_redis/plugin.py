"""Offers the stores of this package to the plugin system."""

from __future__ import annotations

from sfm_backend_redis._client import RedisClient
from sfm_backend_redis.cache import RedisCache
from sfm_backend_redis.graph import RedisGraphStore
from sfm_backend_redis.kv import RedisKeyValueStore
from sfm_backend_redis.settings import Form, RedisSettings
from sfm_core.hookspecs import hookimpl
from sfm_core.protocols.cache import Cache
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.registry import BackendContext, Register

SFM_API_VERSION = 1

_REACHED = {
    Form.PLAIN: "a Redis or Valkey server",
    Form.TLS: "a Redis or Valkey server, encrypted",
    Form.UNIX: "a Redis or Valkey server on this machine",
    Form.SENTINEL: "the Redis or Valkey master that sentinels name",
    Form.CLUSTER: "a Redis or Valkey cluster",
}


def create_kv(url: str, context: BackendContext) -> RedisKeyValueStore:
    """Make the key-value store for a URL; see `RedisSettings.parse` for its form."""
    return RedisKeyValueStore(RedisClient(RedisSettings.parse(url, context.options)))


def create_graph(url: str, context: BackendContext) -> RedisGraphStore:
    """Make the graph store for a URL; see `RedisSettings.parse` for its form."""
    return RedisGraphStore(RedisClient(RedisSettings.parse(url, context.options)))


def create_cache(url: str, context: BackendContext) -> RedisCache:
    """Make the cache for a URL; see `RedisSettings.parse` for its form."""
    return RedisCache(RedisClient(RedisSettings.parse(url, context.options)))


@hookimpl
def sfm_register_kv_stores(register: Register[KeyValueStore]) -> None:
    """Offer the truth in a Redis."""
    for form, reached in _REACHED.items():
        register(form.value, create_kv, summary=f"The truth on {reached}.")


@hookimpl
def sfm_register_graph_stores(register: Register[GraphStore]) -> None:
    """Offer the graph in a Redis."""
    for form, reached in _REACHED.items():
        register(form.value, create_graph, summary=f"Edges on {reached}.")


@hookimpl
def sfm_register_caches(register: Register[Cache]) -> None:
    """Offer the cache in a Redis."""
    for form, reached in _REACHED.items():
        register(form.value, create_cache, summary=f"Copies and shared counters on {reached}.")
