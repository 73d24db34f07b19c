"""The cache of one process: bounded, the copies used longest ago go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import heapify, heappop, heappush
from itertools import count

from sfm_core.clock import Clock, SystemClock
from sfm_core.inprocess._base import InProcessBackend
from sfm_core.porting import check_batch
from sfm_core.protocols.cache import Cached

DEFAULT_MAX_BYTES = 64 * 1024 * 1024
_OVERHEAD_BYTES = 300
_SPARE_DEADLINES = 1000
_Key = tuple[str, bytes]
_Deadline = tuple[float, int, _Key | str]


@dataclass(slots=True)
class _Kept:
    cached: Cached
    size: int
    deadline: _Deadline


@dataclass(slots=True)
class _Counter:
    value: int
    deadline: _Deadline


@dataclass(slots=True)
class CacheState:
    """Copies and counters. Caches that are given the same state show the same data.

    Tombstones have a place of their own: they may not be evicted to make room,
    because a slow filler would then bring back what was deleted.

    Attributes:
        max_bytes: Room for copies; tombstones and counters come on top.
    """

    max_bytes: int = DEFAULT_MAX_BYTES
    _copies: OrderedDict[_Key, _Kept] = field(default_factory=OrderedDict[_Key, _Kept])
    _tombstones: dict[_Key, _Kept] = field(default_factory=dict[_Key, _Kept])
    _counters: dict[str, _Counter] = field(default_factory=dict[str, _Counter])
    _deadlines: list[_Deadline] = field(default_factory=list[_Deadline])
    _order: count[int] = field(default_factory=count)
    _bytes: int = 0

    @property
    def watched(self) -> int:
        """How many deadlines are watched: one per thing kept, and some of things long gone."""
        return len(self._deadlines)

    def get(self, key: _Key) -> Cached | None:
        """Return what is kept under a key, and count it as used."""
        if key in self._copies:
            self._copies.move_to_end(key)
            return self._copies[key].cached
        buried = self._tombstones.get(key)
        return buried.cached if buried else None

    def put(self, key: _Key, cached: Cached, expires_at: float) -> None:
        """Keep a copy or tombstone in place of what was there, and make room."""
        self._remove(key)
        size = _OVERHEAD_BYTES + len(key[1]) + len(cached.value or b"")
        kept = _Kept(cached, size, self._watch(expires_at, key))
        if cached.value is None:
            self._tombstones[key] = kept
        else:
            self._copies[key] = kept
            self._bytes += size
        while self._bytes > self.max_bytes:
            self._remove(next(iter(self._copies)))

    def add(self, key: str, amount: int, expires_at: float) -> int:
        """Add to a counter and return its value."""
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = _Counter(0, self._watch(expires_at, key))
        counter.value += amount
        return counter.value

    def expire(self, now: float) -> None:
        """Forget whatever has outlived its time."""
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline = heappop(self._deadlines)
            if self._current(deadline):
                self._remove(deadline[2])

    def clear(self, namespace: str) -> None:
        """Forget what is kept of a namespace."""
        for key in [key for key in (*self._copies, *self._tombstones) if key[0] == namespace]:
            self._remove(key)

    def _watch(self, expires_at: float, key: _Key | str) -> _Deadline:
        live = len(self._copies) + len(self._tombstones) + len(self._counters)
        if len(self._deadlines) > 2 * live + _SPARE_DEADLINES:
            # What was replaced or evicted leaves its deadline behind.
            self._deadlines = [due for due in self._deadlines if self._current(due)]
            heapify(self._deadlines)
        deadline = (expires_at, next(self._order), key)
        heappush(self._deadlines, deadline)
        return deadline

    def _current(self, deadline: _Deadline) -> bool:
        key = deadline[2]
        if isinstance(key, str):
            found: _Counter | _Kept | None = self._counters.get(key)
        else:
            found = self._copies.get(key) or self._tombstones.get(key)
        return found is not None and found.deadline is deadline

    def _remove(self, key: _Key | str) -> None:
        if isinstance(key, str):
            del self._counters[key]
            return
        self._tombstones.pop(key, None)
        copy = self._copies.pop(key, None)
        if copy:
            self._bytes -= copy.size


class InProcessCache(InProcessBackend):
    """Copies in dictionaries, with one limit for all namespaces."""

    def __init__(self, *, state: CacheState | None = None, clock: Clock | None = None) -> None:
        super().__init__()
        self._state = state or CacheState()
        self._clock = clock or SystemClock()

    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Cached | None]:
        """Read many copies; see `Cache.get_many`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` keys.
            ClosedError: The cache is not open.
        """
        await self._turn()
        check_batch(len(keys), "keys")
        self._state.expire(self._clock.monotonic())
        return [self._state.get((namespace, key)) for key in keys]

    async def set_if_newer(
        self, namespace: str, entries: Mapping[bytes, Cached], *, ttl: timedelta
    ) -> None:
        """Keep copies that are newer than what is kept; see `Cache.set_if_newer`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` entries; none was kept.
            ClosedError: The cache is not open.
        """
        await self._turn()
        check_batch(len(entries), "entries")
        now = self._clock.monotonic()
        self._state.expire(now)
        for name, cached in entries.items():
            kept = self._state.get((namespace, name))
            if kept is None or kept.version < cached.version:
                self._state.put((namespace, name), cached, now + ttl.total_seconds())

    async def increment(self, key: str, amount: int, *, ttl: timedelta) -> int:
        """Add to a counter; see `Cache.increment`.

        Raises:
            ClosedError: The cache is not open.
        """
        await self._turn()
        now = self._clock.monotonic()
        self._state.expire(now)
        return self._state.add(key, amount, now + ttl.total_seconds())

    async def clear(self, namespace: str) -> None:
        """Forget every copy of a namespace; see `Cache.clear`.

        Raises:
            ClosedError: The cache is not open.
        """
        await self._turn()
        self._state.clear(namespace)
