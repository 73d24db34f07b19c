"""Work that grows with what callers send, kept off the event loop where it is long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")

MAX_BYTES_INLINE = 512 * 1024
"""JSON that is decoded on the event loop; that takes some milliseconds."""


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
