"""Waking those in this process who wait for work."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from sfm_core.clock import Clock
from sfm_core.errors import SfmError, UnsupportedError
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.optional import SupportsWaking

log = logging.getLogger(__name__)

# However often a truth tells: what comes meanwhile is told together.
_GAP = timedelta(milliseconds=20)


class Bell:
    """Wakes the one who listens. Rung while nobody does, it is heard at the next wait."""

    def __init__(self) -> None:
        """Hang silent."""
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake who listens."""
        self._rung.set()

    async def heard(self, pause: asyncio.Future[None]) -> bool:
        """Wait until it rings, or until a pause is over.

        Args:
            pause: What ends the waiting; not cancelled here.

        Returns:
            Whether it rang.
        """
        ring: asyncio.Future[None] = asyncio.ensure_future(self._listen())
        try:
            await asyncio.wait({ring, pause}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ring.cancel()
        rung = self._rung.is_set()
        self._rung.clear()
        return rung

    async def _listen(self) -> None:
        await self._rung.wait()


class Chime:
    """Bells that ring together, one for each who listens."""

    def __init__(self) -> None:
        """Hang no bell yet."""
        self._bells: list[Bell] = []

    def bell(self) -> Bell:
        """Return one more bell."""
        self._bells.append(Bell())
        return self._bells[-1]

    def ring(self) -> None:
        """Ring every bell."""
        for bell in self._bells:
            bell.ring()


class Waking:
    """Rings bells when the truth tells that another process has left work in it.

    Attributes:
        logged: Rings when events may have been logged. Whoever logs some in
            this process rings it, too.
        left: Rings when another process may have left something to follow up.
    """

    def __init__(self, kv: KeyValueStore, clock: Clock, *, retry: timedelta) -> None:
        """Listen to `kv`; where that fails, again after `retry`."""
        self.logged = Chime()
        self.left = Bell()
        self._kv = kv
        self._clock = clock
        self._retry = retry
        self._works = False

    @property
    def works(self) -> bool:
        """Whether the truth tells, so that nobody has to look often."""
        return self._works

    async def run(self) -> None:
        """Listen until cancelled, or until it is plain that this truth never tells."""
        kv = self._kv
        while isinstance(kv, SupportsWaking):
            try:
                await kv.wait_for_work()
            except SfmError as error:
                # What it would have told is found by those who look from time to time.
                log.debug("the truth does not tell of work: %s: %s", error.code, error)
                self._works = False
                if isinstance(error, UnsupportedError):
                    return
                await self._clock.sleep(self._retry)
            else:
                self._works = True
                self.logged.ring()
                self.left.ring()
                await self._clock.sleep(_GAP)
