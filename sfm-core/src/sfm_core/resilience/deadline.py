"""An end to waiting."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import TracebackType
from typing import Self

from sfm_core.errors import BackendError, DeadlineExceededError


class Deadline:
    """Cancels what runs inside `async with` when its time is up.

    It runs on the event loop's own time, because only that can interrupt a
    backend that never returns to anybody. A cancellation from outside passes
    as what it is.

    Attributes:
        last_failure: What went wrong inside, to be named as the cause.

    Raises:
        DeadlineExceededError: The time is up; what ran inside may have had its effect.
    """

    __slots__ = ("_limit", "_scheme", "_timeout", "last_failure")

    def __init__(self, scheme: str, limit: timedelta) -> None:
        """Set how long.

        Args:
            scheme: Scheme of the backend, for the message.
            limit: Longest time, counted from entering.
        """
        self._scheme = scheme
        self._limit = limit
        self._timeout = asyncio.timeout(limit.total_seconds())
        self.last_failure: BackendError | None = None

    @property
    def expired(self) -> bool:
        """Whether the time is up; true already while what runs inside is being cancelled."""
        return self._timeout.expired()

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._timeout.__aexit__(exc_type, exc, traceback)
        except TimeoutError as error:
            before = f" Before that: {self.last_failure.message}" if self.last_failure else ""
            raise DeadlineExceededError(
                f"{self._scheme} did not answer within {self._limit.total_seconds():g} s.{before}",
                backend=self._scheme,
                remedy="The call may have had its effect all the same.",
            ) from (self.last_failure or error)
