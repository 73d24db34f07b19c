"""Trying a call until it succeeds, for as long as that takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from sfm_core.clock import Clock
from sfm_core.engine.consuming.statistics import Statistics
from sfm_core.errors import BackendError, SfmError

log = logging.getLogger(__name__)

FIRST_PAUSE = timedelta(milliseconds=100)
LONGEST_PAUSE = timedelta(seconds=30)

ResultT = TypeVar("ResultT")


class StoppedError(Exception):
    """The consumer was told to stop while a call was waiting for its next try."""


class Persistence:
    """Repeats what may succeed later, and says so once when it begins and once when it ends."""

    def __init__(self, clock: Clock, statistics: Statistics) -> None:
        """Wait on `clock`, and note in `statistics` what is in trouble."""
        self._clock = clock
        self._statistics = statistics
        self._stopping = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Whether nothing is tried again."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Try nothing again from now on; what is under way goes on."""
        self._stopping.set()

    async def stopped(self) -> None:
        """Wait until it was told to stop."""
        await self._stopping.wait()

    async def until_done(self, whose: str, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Make a call again and again, with growing pauses, until it succeeds.

        Args:
            whose: Who is called, for log and statistics.
            call: What to call; repeating it must be harmless.

        Returns:
            What it returned.

        Raises:
            StoppedError: It failed, and nothing is to be tried again.
            SfmError: It failed in a way that no repetition mends.
        """

        async def attempt() -> ResultT:
            return await call()

        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_succeed_later),
            wait=wait_random_exponential(
                multiplier=FIRST_PAUSE.total_seconds(), max=LONGEST_PAUSE.total_seconds()
            ),
            before_sleep=partial(self._failed, whose),
            sleep=self._pause,
            reraise=True,
        )
        result: ResultT = await retrying(attempt)
        if self._statistics.troubles.pop(whose, None) is not None:
            log.info("%s works again", whose)
        return result

    def _failed(self, whose: str, state: RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        if not isinstance(error, SfmError):
            return
        if whose not in self._statistics.troubles:
            log.warning("%s fails, and is tried until it works: %s: %s", whose, error.code, error)
        self._statistics.troubles[whose] = error
        self._statistics.retries[whose] += 1

    async def _pause(self, seconds: float) -> None:
        pause = asyncio.ensure_future(self._clock.sleep(timedelta(seconds=seconds)))
        stopped = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({pause, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            stopped.cancel()
        if self.stopping:
            raise StoppedError


def _may_succeed_later(error: BaseException) -> bool:
    return isinstance(error, BackendError) and error.retryable
