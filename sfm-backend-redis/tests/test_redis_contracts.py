"""The Redis backends keep the promises of their ports."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sfm_backend_redis.cache import RedisCache
from sfm_backend_redis.graph import RedisGraphStore
from sfm_backend_redis.kv import RedisKeyValueStore
from sfm_backend_redis.plugin import create_cache, create_graph, create_kv
from sfm_core.registry import BackendContext
from sfm_core.testing.clock import WaitingClock
from sfm_core.testing.contracts.cache import CacheContract
from sfm_core.testing.contracts.graph import GraphStoreContract
from sfm_core.testing.contracts.kv import KeyValueStoreContract


class TestRedisKeyValueStore(KeyValueStoreContract):
    lease = timedelta(seconds=0.6)

    @pytest.fixture
    def clock(self) -> WaitingClock:
        return WaitingClock()

    @pytest.fixture
    def make(self, tmp_path: Path, redis_url: str) -> Callable[[], RedisKeyValueStore]:
        return lambda: create_kv(redis_url, BackendContext(data_folder=tmp_path))


class TestRedisGraphStore(GraphStoreContract):
    @pytest.fixture
    def make(self, tmp_path: Path, redis_url: str) -> Callable[[], RedisGraphStore]:
        return lambda: create_graph(redis_url, BackendContext(data_folder=tmp_path))


class TestRedisCache(CacheContract):
    ttl = timedelta(seconds=0.6)

    @pytest.fixture
    def clock(self) -> WaitingClock:
        return WaitingClock()

    @pytest.fixture
    def make(self, tmp_path: Path, redis_url: str) -> Callable[[], RedisCache]:
        return lambda: create_cache(redis_url, BackendContext(data_folder=tmp_path))


class TestRedisKeyValueStoreOnCluster(TestRedisKeyValueStore):
    @pytest.fixture
    def make(self, tmp_path: Path, cluster_url: str) -> Callable[[], RedisKeyValueStore]:
        return lambda: create_kv(cluster_url, BackendContext(data_folder=tmp_path))


class TestRedisGraphStoreOnCluster(TestRedisGraphStore):
    @pytest.fixture
    def make(self, tmp_path: Path, cluster_url: str) -> Callable[[], RedisGraphStore]:
        return lambda: create_graph(cluster_url, BackendContext(data_folder=tmp_path))


class TestRedisCacheOnCluster(TestRedisCache):
    @pytest.fixture
    def make(self, tmp_path: Path, cluster_url: str) -> Callable[[], RedisCache]:
        return lambda: create_cache(cluster_url, BackendContext(data_folder=tmp_path))


class TestRedisKeyValueStoreOnRedis(TestRedisKeyValueStore):
    """On the distribution's Redis, the other servers being Valkey, and behind TLS."""

    @pytest.fixture
    def make(self, tmp_path: Path, secured_url: str) -> Callable[[], RedisKeyValueStore]:
        return lambda: create_kv(secured_url, BackendContext(data_folder=tmp_path))


class TestRedisGraphStoreOnRedis(TestRedisGraphStore):
    @pytest.fixture
    def make(self, tmp_path: Path, secured_url: str) -> Callable[[], RedisGraphStore]:
        return lambda: create_graph(secured_url, BackendContext(data_folder=tmp_path))


class TestRedisCacheOnRedis(TestRedisCache):
    @pytest.fixture
    def make(self, tmp_path: Path, secured_url: str) -> Callable[[], RedisCache]:
        return lambda: create_cache(secured_url, BackendContext(data_folder=tmp_path))
