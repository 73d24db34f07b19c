"""Keeping heavy work that callers ask for from taking all of a machine's time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from sfm_core.clock import Clock
from sfm_core.engine.waking import Bell


class Pace:
    """Has rounds of work keep a distance: each rests before for as long as the last one took.

    So, however often it is asked for, the work takes half of the time at most.
    """

    def __init__(self, clock: Clock) -> None:
        """Measure on `clock`; the first round begins at once."""
        self._clock = clock
        self._free_at = clock.monotonic()
        self._rests = True
        self._hurry = Bell()

    @asynccontextmanager
    async def round(self) -> AsyncGenerator[None]:
        """Rest first if need be, and measure what is done inside this context."""
        await self._rest()
        began = self._clock.monotonic()
        try:
            yield
        finally:
            ended = self._clock.monotonic()
            self._free_at = ended + (ended - began)

    def hurry(self) -> None:
        """End the rest under way, and have all rounds go without from here on."""
        self._rests = False
        self._hurry.ring()

    async def _rest(self) -> None:
        left = timedelta(seconds=self._free_at - self._clock.monotonic())
        if left <= timedelta() or not self._rests:
            return
        pause = asyncio.ensure_future(self._clock.sleep(left))
        try:
            await self._hurry.heard(pause)
        finally:
            pause.cancel()
