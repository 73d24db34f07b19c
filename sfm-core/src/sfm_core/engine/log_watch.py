"""Waiting for the event log to grow: one looks, for all who wait."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from sfm_core.engine.stores import Stores
from sfm_core.engine.waking import Waking
from sfm_core.errors import SfmError
from sfm_core.model.events import START, Position

log = logging.getLogger(__name__)

POLL = timedelta(milliseconds=500)
"""How often to look where nobody tells what other processes have logged."""

GAP = timedelta(milliseconds=20)
"""What comes in this time is told together, however many wait."""


class LogWatch:
    """Wakes those who wait for events.

    Attributes:
        changes: Grows whenever the log may have grown.
    """

    def __init__(self, stores: Stores, waking: Waking) -> None:
        """Watch the log of the truth of `stores`; `waking` tells what it knows of it."""
        self.changes = 0
        self._stores = stores
        self._waking = waking
        self._logged = waking.logged.bell()
        self._end = START
        self._waiting: set[asyncio.Future[None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def wait(self, seen: int, end: Position, patience: timedelta) -> bool:
        """Wait until the log may have grown.

        Args:
            seen: `changes` as it was before the caller read on to the end.
            end: The end that was read.
            patience: How long to wait.

        Returns:
            Whether it may have; otherwise the time is over.
        """
        if self.changes != seen:
            return True
        self._end = end
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(woken)
        if self._task is None:
            self._task = asyncio.create_task(self._look())
        pause = asyncio.ensure_future(self._stores.clock.sleep(patience))
        try:
            await asyncio.wait({woken, pause}, return_when=asyncio.FIRST_COMPLETED)
            return woken.done()
        finally:
            pause.cancel()
            self._waiting.discard(woken)

    async def close(self) -> None:
        """Wake everybody, and look no more."""
        self._tell()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _look(self) -> None:
        """Look for as long as anybody waits."""
        try:
            while self._waiting:
                pause = asyncio.ensure_future(self._stores.clock.sleep(self._patience()))
                try:
                    rung = await self._logged.heard(pause)
                finally:
                    pause.cancel()
                if rung or await self._has_grown():
                    self._tell()
                    await self._stores.clock.sleep(GAP)
        finally:
            self._task = None

    def _patience(self) -> timedelta:
        told = self._waking.works or not self._stores.kv.shared
        return self._stores.settings.sweep_interval if told else POLL

    async def _has_grown(self) -> bool:
        try:
            return bool(await self._stores.kv.read_events(after=self._end, limit=1))
        except SfmError as error:
            # Those who wait have all that there was; the next look may find more.
            log.debug("cannot look for events: %s: %s", error.code, error)
            return False

    def _tell(self) -> None:
        self.changes += 1
        for woken in self._waiting:
            if not woken.done():
                woken.set_result(None)
