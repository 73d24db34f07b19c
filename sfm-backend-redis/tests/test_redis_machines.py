"""Random sequences of calls, beside the in-process model."""

from __future__ import annotations

from collections.abc import Callable

from redis_helpers import fresh, open_graph, open_timed_kv

from sfm_backend_redis.graph import RedisGraphStore
from sfm_backend_redis.kv import RedisKeyValueStore
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.machines import check_graph_store, check_key_value_store


def test_the_key_value_store_is_like_its_model(redis_server: str) -> None:
    def begin(clock: ManualClock) -> Callable[[], RedisKeyValueStore]:
        url = fresh(redis_server)
        return lambda: open_timed_kv(url, clock)

    check_key_value_store(begin)


def test_the_graph_store_is_like_its_model(redis_server: str) -> None:
    def begin(_: ManualClock) -> Callable[[], RedisGraphStore]:
        url = fresh(redis_server)
        return lambda: open_graph(url)

    check_graph_store(begin)
