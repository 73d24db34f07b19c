"""Work that grows with what callers send, kept off the event loop where it is long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

ResultT = TypeVar("ResultT")

MAX_BYTES_INLINE = 512 * 1024
"""JSON that is decoded on the event loop; that takes some milliseconds."""
_TURN_SECONDS: Final = 0.01


async def inline_or_apart(work: Callable[[], ResultT], *, cost: int, limit: int) -> ResultT:
    """Do some work where it keeps nobody waiting.

    Args:
        work: What to do; waits for nothing.
        cost: How long it takes, in any measure.
        limit: The cost from which on a thread does it, which itself costs a little.

    Returns:
        What it returned.
    """
    return work() if cost <= limit else await asyncio.to_thread(work)


class Turns:
    """Lets others have their turn in work of many small parts, where it takes long."""

    def __init__(self) -> None:
        """Begin now."""
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    async def between(self) -> None:
        """Call it between two parts: others have their turn if it was ours for long enough."""
        if self._loop.time() - self._began > _TURN_SECONDS:
            await asyncio.sleep(0)
            self._began = self._loop.time()
