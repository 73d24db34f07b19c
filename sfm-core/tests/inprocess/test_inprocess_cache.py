from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from sfm_core.inprocess import CacheState, InProcessCache
from sfm_core.protocols.cache import Cached
from sfm_core.testing.clock import ManualClock, MovableClock
from sfm_core.testing.contracts import CacheContract

TTL = timedelta(seconds=60)


class TestInProcessCache(CacheContract):
    shared = False

    @pytest.fixture
    def make(self, clock: MovableClock) -> Callable[[], InProcessCache]:
        state = CacheState()
        return lambda: InProcessCache(state=state, clock=clock)


async def test_a_full_cache_forgets_what_was_used_longest_ago() -> None:
    async with InProcessCache(state=CacheState(max_bytes=3000)) as cache:
        for name in (b"a", b"b"):
            await cache.set_if_newer("n", {name: Cached(1, b"x" * 1000)}, ttl=TTL)
        await cache.get_many("n", [b"a"])
        await cache.set_if_newer("n", {b"c": Cached(1, b"x" * 1000)}, ttl=TTL)
        found = await cache.get_many("n", [b"a", b"b", b"c"])
    assert [copy is not None for copy in found] == [True, False, True]


async def test_a_full_cache_keeps_its_tombstones() -> None:
    async with InProcessCache(state=CacheState(max_bytes=3000)) as cache:
        await cache.set_if_newer("n", {b"dead": Cached(2, None)}, ttl=TTL)
        for number in range(50):
            await cache.set_if_newer("n", {b"%d" % number: Cached(1, b"x" * 1000)}, ttl=TTL)
        await cache.set_if_newer("n", {b"dead": Cached(1, b"back")}, ttl=TTL)
        assert await cache.get_many("n", [b"dead"]) == [Cached(2, None)]


async def test_a_copy_larger_than_the_cache_is_not_kept() -> None:
    async with InProcessCache(state=CacheState(max_bytes=3000)) as cache:
        await cache.set_if_newer("n", {b"large": Cached(1, b"x" * 4000)}, ttl=TTL)
        assert await cache.get_many("n", [b"large"]) == [None]


async def test_a_copy_replaced_over_and_over_leaves_no_trail() -> None:
    state = CacheState()
    clock = ManualClock()
    async with InProcessCache(state=state, clock=clock) as cache:
        for version in range(1, 5000):
            await cache.set_if_newer("n", {b"k": Cached(version, b"v")}, ttl=TTL)
        assert state.watched < 2000
        await clock.advance(TTL)
        assert await cache.get_many("n", [b"k"]) == [None]
        assert state.watched == 0
