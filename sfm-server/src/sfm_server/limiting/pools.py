"""Room for work, and for what arrives to be worked on."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

from sfm_server.problems import OverloadedError


class Pool:
    """Places for one kind of work, and a queue before them that is bounded in length and time."""

    def __init__(self, places: int, *, waiting: int, patience: timedelta, share: int) -> None:
        """Have places.

        Args:
            places: How many.
            waiting: How many requests may wait for one.
            patience: How long each may wait.
            share: How many one caller may hold or wait for.
        """
        self._places = asyncio.Semaphore(places)
        self._room = waiting
        self._patience = patience
        self._share = share
        self._held: Counter[str] = Counter()

    async def enter(self, caller: str) -> None:
        """Take a place; give it back with `leave`.

        Args:
            caller: For whom.

        Raises:
            OverloadedError: Too many wait already, no place became free in
                time, or the caller holds too many.
        """
        if self._held[caller] >= self._share:
            raise _overloaded()
        self._held[caller] += 1
        try:
            await self._take()
        except BaseException:
            self._drop(caller)
            raise

    def leave(self, caller: str) -> None:
        """Give a place back."""
        self._drop(caller)
        self._places.release()

    def _drop(self, caller: str) -> None:
        self._held[caller] -= 1
        if not self._held[caller]:
            del self._held[caller]

    async def _take(self) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        if not self._room:
            raise _overloaded()
        self._room -= 1
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await self._places.acquire()
        except TimeoutError as error:
            raise _overloaded() from error
        finally:
            self._room += 1


class Arriving:
    """Bounds the bytes of bodies that are held at once; one caller gets half of the room."""

    def __init__(self, limit: int) -> None:
        """Hold at most `limit` bytes."""
        self._limit = limit
        self._held: Counter[str] = Counter()

    def take(self, caller: str, count: int) -> None:
        """Hold bytes of a caller.

        Raises:
            OverloadedError: There is no room for them.
        """
        if self._held.total() + count > self._limit:
            raise _overloaded()
        if self._held[caller] + count > self._limit // 2:
            raise _overloaded()
        self._held[caller] += count

    def give_back(self, caller: str, count: int) -> None:
        """Hold bytes no longer."""
        self._held[caller] -= count
        if not self._held[caller]:
            del self._held[caller]


def _overloaded() -> OverloadedError:
    return OverloadedError(
        "The server has as much work of this kind in hand as it takes.",
        remedy="Try again a little later, or send fewer requests at once.",
    )
