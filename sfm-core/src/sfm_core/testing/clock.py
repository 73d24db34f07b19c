"""Clocks for tests."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from sfm_core.clock import Clock, SystemClock

_START = datetime(2026, 1, 1, tzinfo=UTC)
_TURNS = 20


class MovableClock(Clock, Protocol):
    """A clock that a test can move."""

    async def advance(self, by: timedelta) -> None:
        """Let time pass."""
        ...


class ManualClock:
    """Stands still until it is told to move.

    Attributes:
        sleepers: How many tasks wait in `sleep`.
    """

    def __init__(self, start: datetime = _START) -> None:
        self._start = start
        self._passed = timedelta()
        self._order = count()
        self._waiting: list[tuple[timedelta, int, asyncio.Future[None]]] = []

    @property
    def sleepers(self) -> int:
        """How many tasks wait in `sleep`."""
        return sum(1 for _, _, waiter in self._waiting if not waiter.done())

    def now(self) -> datetime:
        """Return the time it was moved to."""
        return self._start + self._passed

    def monotonic(self) -> float:
        """Return the seconds it was moved by."""
        return self._passed.total_seconds()

    async def sleep(self, delay: timedelta) -> None:
        """Wait until it was moved by `delay`."""
        if delay <= timedelta():
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (self._passed + delay, next(self._order), waiter))
        await waiter

    async def advance(self, by: timedelta) -> None:
        """Move on, wake the sleepers in the order of their times, and let each have its turns.

        Args:
            by: How far; a negative step is for tests of clocks that are set back
                and wakes nobody.
        """
        target = self._passed + by
        while self._waiting and self._waiting[0][0] <= target:
            due, _, waiter = heappop(self._waiting)
            self._passed = max(self._passed, due)
            if not waiter.done():
                waiter.set_result(None)
                await _let_others_run()
        self._passed = target
        await _let_others_run()


class WaitingClock(SystemClock):
    """The machine's clock, for backends whose server keeps the time.

    A contract class that is given one really waits, so choose a short `lease`.
    """

    async def advance(self, by: timedelta) -> None:
        """Wait until that much time has passed."""
        await self.sleep(by)


async def _let_others_run() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
