"""The Redis backends behind a network that fails in every way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from redis_helpers import open_cache, open_graph, open_kv, with_options

from sfm_backend_redis.cache import RedisCache
from sfm_backend_redis.graph import RedisGraphStore
from sfm_backend_redis.kv import RedisKeyValueStore
from sfm_core.testing.clock import WaitingClock
from sfm_core.testing.contracts import (
    CacheOutageContract,
    GraphOutageContract,
    KeyValueOutageContract,
)

DEADLINE = timedelta(seconds=30)


@pytest.fixture
def impatient_url(redis_url: str) -> str:
    return with_options(redis_url, "timeout_seconds=2&connect_timeout_seconds=2")


class TestRedisKeyValueStoreInOutages(KeyValueOutageContract):
    deadline = DEADLINE
    lease = timedelta(seconds=0.6)

    @pytest.fixture
    def clock(self) -> WaitingClock:
        return WaitingClock()

    @pytest.fixture
    def server_url(self, impatient_url: str) -> str:
        return impatient_url

    @pytest.fixture
    def connect(self) -> Callable[[str], RedisKeyValueStore]:
        return open_kv


class TestRedisGraphStoreInOutages(GraphOutageContract):
    deadline = DEADLINE

    @pytest.fixture
    def server_url(self, impatient_url: str) -> str:
        return impatient_url

    @pytest.fixture
    def connect(self) -> Callable[[str], RedisGraphStore]:
        return open_graph


class TestRedisCacheInOutages(CacheOutageContract):
    deadline = DEADLINE

    @pytest.fixture
    def server_url(self, impatient_url: str) -> str:
        return impatient_url

    @pytest.fixture
    def connect(self) -> Callable[[str], RedisCache]:
        return open_cache
