"""Time as a dependency, so that tests move it instead of waiting for it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Source of wall-clock time, monotonic time and delays."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a scale that never goes back."""
        ...

    async def sleep(self, delay: timedelta) -> None:
        """Wait for `delay` on this clock."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds on a scale that never goes back."""
        return time.monotonic()

    async def sleep(self, delay: timedelta) -> None:
        """Wait for `delay`; other tasks run meanwhile."""
        await asyncio.sleep(delay.total_seconds())
