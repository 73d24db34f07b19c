"""What the tests of this backend share."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from pathlib import Path

from sfm_backend_redis._client import RedisClient, Script
from sfm_backend_redis.cache import RedisCache
from sfm_backend_redis.graph import RedisGraphStore
from sfm_backend_redis.kv import RedisKeyValueStore
from sfm_backend_redis.plugin import create_cache, create_graph, create_kv
from sfm_backend_redis.settings import RedisSettings
from sfm_core.clock import Clock
from sfm_core.protocols.kv import Commit, CommitResult, KeyValueStore, Write
from sfm_core.registry import BackendContext

LEASE = timedelta(seconds=30)

_prefixes = count()


class TimedClient(RedisClient):
    """Runs the scripts with the time of a clock in place of the server's."""

    def __init__(self, settings: RedisSettings, clock: Clock) -> None:
        super().__init__(settings)
        self._clock = clock

    def script(self, name: str) -> Script:
        now = self._clock.now()
        time = f"{{'{int(now.timestamp())}', '{now.microsecond}'}}"
        text = super().script(name).text
        return Script.of(text.replace(b"redis.call('TIME')", time.encode()))


def with_options(url: str, options: str) -> str:
    """Return a URL with options as its query."""
    return f"{url}{'&' if '?' in url else '?'}{options}"


def fresh(url: str) -> str:
    """Return a URL with a prefix that no other test uses."""
    return with_options(url, f"prefix=fresh-{next(_prefixes)}")


def own_context() -> BackendContext:
    """Return a context whose ports have no connections in common with those of others."""
    return BackendContext(data_folder=Path("unused"))


def open_kv(url: str) -> RedisKeyValueStore:
    """Make a truth with a connection of its own, as another process would."""
    return create_kv(url, own_context())


def open_graph(url: str) -> RedisGraphStore:
    """Make a graph store with a connection of its own."""
    return create_graph(url, own_context())


def open_cache(url: str) -> RedisCache:
    """Make a cache with a connection of its own."""
    return create_cache(url, own_context())


def open_timed_kv(url: str, clock: Clock) -> RedisKeyValueStore:
    """Make a truth whose leases follow a clock of the test."""
    return RedisKeyValueStore(TimedClient(RedisSettings.parse(url, {}), clock))


async def put(store: KeyValueStore, key: bytes, value: bytes = b"v") -> CommitResult:
    """Commit one entry with a note."""
    commit = Commit(namespace="n", writes=(Write(key, value, 1),), dirty=(key,))
    [result] = await store.commit([commit], owner="o", lease=LEASE)
    return result
