"""The contract of the cache port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import ClassVar

import pytest
import pytest_asyncio

from sfm_core.errors import LimitExceededError
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.cache import Cache, Cached
from sfm_core.testing.clock import MovableClock
from sfm_core.testing.contracts._base import BackendContract, Operation
from sfm_core.testing.samples import HOSTILE_KEYS, HOSTILE_NAMES, HOSTILE_VALUES


class CacheTests(BackendContract[Cache]):
    """Fixtures and shorthands for tests of a cache.

    Attributes:
        ttl: How long the tests have things kept whose end they wait for.
    """

    ttl: ClassVar[timedelta] = timedelta(seconds=60)

    @property
    def long_ttl(self) -> timedelta:
        """A time that no test sees the end of, however slow the machine is."""
        return 100 * self.ttl

    @pytest_asyncio.fixture
    async def cache(self, make: Callable[[], Cache]) -> AsyncIterator[Cache]:
        """Return an open, empty cache."""
        async with make() as cache:
            yield cache

    def operations(self, backend: Cache) -> Sequence[Operation]:
        """Return one small call of every method."""
        return (
            backend.ping,
            lambda: backend.get_many("n", [b"k"]),
            lambda: backend.set_if_newer("n", {b"k": Cached(1, b"v")}, ttl=self.long_ttl),
            lambda: backend.increment("c", 1, ttl=self.long_ttl),
            lambda: backend.clear("n"),
        )


class CacheContract(CacheTests):
    """Everything that `Cache` promises; override `make`.

    Where the server keeps the time, override `clock` with a `WaitingClock` and
    shorten `ttl`. A cache may forget copies early, so give it room for a few megabytes.
    """

    async def test_get_many_answers_in_the_order_of_the_keys(
        self, cache: Cache, namespace: str
    ) -> None:
        """Duplicates are answered twice, and `None` stands where there is no copy."""
        one, two = Cached(1, b"1"), Cached(2, b"2")
        await cache.set_if_newer(namespace, {b"a": one, b"b": two}, ttl=self.long_ttl)
        found = await cache.get_many(namespace, [b"b", b"x", b"a", b"b"])
        assert found == [two, None, one, two]

    async def test_copies_come_back_byte_for_byte(self, cache: Cache, namespace: str) -> None:
        """Keys and values are bytes; an empty value is a copy and no tombstone."""
        entries = {b"%d" % n: Cached(2**53 + 1, value) for n, value in enumerate(HOSTILE_VALUES)}
        entries |= {key: Cached(n, key) for n, key in enumerate(HOSTILE_KEYS, start=1)}
        await cache.set_if_newer(namespace, entries, ttl=self.long_ttl)
        assert await cache.get_many(namespace, list(entries)) == list(entries.values())

    async def test_namespaces_that_look_alike_stay_apart(self, cache: Cache) -> None:
        """No tenant sees another's copy."""
        for name in HOSTILE_NAMES:
            await cache.set_if_newer(name, {b"k": Cached(1, name.encode())}, ttl=self.long_ttl)
        found = [await cache.get_many(name, [b"k"]) for name in HOSTILE_NAMES]
        assert found == [[Cached(1, name.encode())] for name in HOSTILE_NAMES]

    @pytest.mark.parametrize("between", ":/|.-_")
    async def test_the_end_of_a_namespace_is_no_beginning_of_a_key(
        self, cache: Cache, between: str
    ) -> None:
        """Whatever is put between the two: `a:b` and `c` are not `a` and `b:c`."""
        copies = {("a", f"b{between}c"): b"1", (f"a{between}b", "c"): b"2"}
        for (name, key), value in copies.items():
            await cache.set_if_newer(name, {key.encode(): Cached(1, value)}, ttl=self.long_ttl)
        for (name, key), value in copies.items():
            assert await cache.get_many(name, [key.encode()]) == [Cached(1, value)]

    @pytest.mark.parametrize(
        ("kept", "offered"),
        [
            (Cached(2, b"new"), Cached(1, b"old")),
            (Cached(2, b"first"), Cached(2, b"second")),
            (Cached(2, None), Cached(1, b"old")),
            (Cached(2, None), Cached(2, b"copy")),
            (Cached(2, b"new"), Cached(1, None)),
            (Cached(10, b"new"), Cached(9, b"old")),
        ],
    )
    async def test_what_is_not_newer_is_not_kept(
        self, cache: Cache, namespace: str, kept: Cached, offered: Cached
    ) -> None:
        """So a slow filler overwrites nothing and brings nothing back from the dead."""
        await cache.set_if_newer(namespace, {b"k": kept}, ttl=self.long_ttl)
        await cache.set_if_newer(namespace, {b"k": offered}, ttl=self.long_ttl)
        assert await cache.get_many(namespace, [b"k"]) == [kept]

    @pytest.mark.parametrize(
        ("kept", "offered"),
        [
            (Cached(1, b"old"), Cached(2, b"new")),
            (Cached(1, b"old"), Cached(2, None)),
            (Cached(1, None), Cached(2, b"reborn")),
            (Cached(9, b"old"), Cached(10, b"new")),
        ],
    )
    async def test_what_is_newer_is_kept(
        self, cache: Cache, namespace: str, kept: Cached, offered: Cached
    ) -> None:
        """Copies and tombstones alike; versions are compared as numbers."""
        await cache.set_if_newer(namespace, {b"k": kept}, ttl=self.long_ttl)
        await cache.set_if_newer(namespace, {b"k": offered}, ttl=self.long_ttl)
        assert await cache.get_many(namespace, [b"k"]) == [offered]

    async def test_each_key_is_decided_for_itself(self, cache: Cache, namespace: str) -> None:
        """One that is too old does not keep the others of the call from being kept."""
        await cache.set_if_newer(namespace, {b"a": Cached(5, b"new")}, ttl=self.long_ttl)
        await cache.set_if_newer(
            namespace, {b"a": Cached(4, b"old"), b"b": Cached(1, b"b")}, ttl=self.long_ttl
        )
        found = await cache.get_many(namespace, [b"a", b"b"])
        assert found == [Cached(5, b"new"), Cached(1, b"b")]

    async def test_of_many_fillers_at_once_the_newest_wins(
        self, cache: Cache, namespace: str
    ) -> None:
        """The check and the write are one step."""
        versions = [(7 * n) % 64 + 1 for n in range(64)]
        await asyncio.gather(
            *(
                cache.set_if_newer(namespace, {b"k": Cached(v, b"%d" % v)}, ttl=self.long_ttl)
                for v in versions
            )
        )
        assert await cache.get_many(namespace, [b"k"]) == [Cached(64, b"64")]

    @pytest.mark.parametrize("value", [b"copy", None])
    async def test_nothing_outlives_its_time(
        self, cache: Cache, namespace: str, clock: MovableClock, value: bytes | None
    ) -> None:
        """After it, an older version is kept again: nothing is known of the key."""
        begun = clock.now()
        await cache.set_if_newer(namespace, {b"k": Cached(2, value)}, ttl=self.ttl)
        await clock.advance(self.ttl * 0.5)
        found = await cache.get_many(namespace, [b"k"])
        assert found == [Cached(2, value)] or clock.now() - begun >= self.ttl
        await clock.advance(self.ttl * 0.75)
        assert await cache.get_many(namespace, [b"k"]) == [None]
        await cache.set_if_newer(namespace, {b"k": Cached(1, b"old")}, ttl=self.long_ttl)
        assert await cache.get_many(namespace, [b"k"]) == [Cached(1, b"old")]

    async def test_a_newer_copy_lives_for_its_own_time(
        self, cache: Cache, namespace: str, clock: MovableClock
    ) -> None:
        """The deadline of what it replaced is forgotten."""
        await cache.set_if_newer(namespace, {b"k": Cached(1, b"1")}, ttl=self.ttl)
        await cache.set_if_newer(namespace, {b"k": Cached(2, b"2")}, ttl=self.long_ttl)
        await clock.advance(self.ttl * 1.25)
        assert await cache.get_many(namespace, [b"k"]) == [Cached(2, b"2")]

    async def test_clearing_forgets_one_namespace(self, cache: Cache, namespace: str) -> None:
        """With its tombstones, and none whose name only looks like it, nor a counter."""
        entries = {b"k": Cached(2, b"v"), b"t": Cached(2, None)}
        for name in (namespace, namespace + "2", namespace[:-1]):
            await cache.set_if_newer(name, entries, ttl=self.long_ttl)
        await cache.increment(namespace, 1, ttl=self.long_ttl)
        for _ in range(2):
            await cache.clear(namespace)
        assert await cache.get_many(namespace, [b"k", b"t"]) == [None, None]
        for name in (namespace + "2", namespace[:-1]):
            assert await cache.get_many(name, [b"k", b"t"]) == list(entries.values())
        assert await cache.increment(namespace, 1, ttl=self.long_ttl) == 2

    async def test_clearing_takes_patterns_literally(self, cache: Cache) -> None:
        """A namespace called `*` is one namespace."""
        for name in HOSTILE_NAMES:
            await cache.set_if_newer(name, {b"k": Cached(1, b"v")}, ttl=self.long_ttl)
        await cache.clear("*")
        await cache.clear("pl?in")
        found = {name: (await cache.get_many(name, [b"k"]))[0] for name in HOSTILE_NAMES}
        assert [name for name, copy in found.items() if copy is None] == ["*", "pl?in"]

    async def test_counters_count(self, cache: Cache, namespace: str) -> None:
        """Each by its name, by any amount, and apart from the copies."""
        await cache.set_if_newer(namespace, {b"c": Cached(1, b"v")}, ttl=self.long_ttl)
        assert await cache.increment("c", 1, ttl=self.long_ttl) == 1
        assert await cache.increment("c", 41, ttl=self.long_ttl) == 42
        assert await cache.increment("c", -2, ttl=self.long_ttl) == 40
        assert await cache.increment("d", 2**53 + 1, ttl=self.long_ttl) == 2**53 + 1

    async def test_concurrent_increments_all_count(self, cache: Cache) -> None:
        """And no two are told the same value."""
        each = (cache.increment("c", 1, ttl=self.long_ttl) for _ in range(64))
        values = await asyncio.gather(*each)
        assert sorted(values) == list(range(1, 65))

    async def test_a_counter_lives_from_its_first_increment(
        self, cache: Cache, clock: MovableClock
    ) -> None:
        """Later ones do not prolong it; afterwards it starts anew."""
        begun = clock.now()
        await cache.increment("c", 1, ttl=self.ttl)
        second = await cache.increment("c", 1, ttl=self.long_ttl)
        # On a slow machine it may have started anew before.
        anew = clock.now() - begun >= self.ttl
        assert second == 2 or (anew and second == 1)
        await clock.advance(self.ttl * 1.25)
        third = await cache.increment("c", 1, ttl=self.long_ttl)
        assert third == (1 if second == 2 else 2)
        await clock.advance(self.ttl * 1.25)
        assert await cache.increment("c", 1, ttl=self.ttl) == third + 1

    async def test_empty_calls_do_nothing(self, cache: Cache, namespace: str) -> None:
        """Every bulk method takes an empty collection."""
        assert await cache.get_many(namespace, []) == []
        await cache.set_if_newer(namespace, {}, ttl=self.long_ttl)

    async def test_the_largest_calls_are_done_as_a_whole(
        self, cache: Cache, namespace: str
    ) -> None:
        """`MAX_BATCH` is a promise as well: nothing in between takes less, or cuts an answer."""
        entries = {b"%d" % n: Cached(1, b"%d" % n) for n in range(MAX_BATCH)}
        await cache.set_if_newer(namespace, entries, ttl=self.long_ttl)
        assert await cache.get_many(namespace, list(entries)) == list(entries.values())

    async def test_too_large_calls_are_refused(self, cache: Cache, namespace: str) -> None:
        """Nothing of them happens."""
        entries = {b"%d" % n: Cached(1, b"") for n in range(MAX_BATCH + 1)}
        with pytest.raises(LimitExceededError):
            await cache.set_if_newer(namespace, entries, ttl=self.long_ttl)
        with pytest.raises(LimitExceededError):
            await cache.get_many(namespace, list(entries))
        assert await cache.get_many(namespace, [b"0"]) == [None]

    async def test_another_instance_sees_copies_and_counters(
        self, make: Callable[[], Cache], namespace: str
    ) -> None:
        """Two caches on the same data are one, and a counter counts for both."""
        async with make() as one, make() as other:
            await one.set_if_newer(namespace, {b"k": Cached(1, b"v")}, ttl=self.long_ttl)
            assert await other.get_many(namespace, [b"k"]) == [Cached(1, b"v")]
            await one.increment("c", 1, ttl=self.long_ttl)
            assert await other.increment("c", 1, ttl=self.long_ttl) == 2
