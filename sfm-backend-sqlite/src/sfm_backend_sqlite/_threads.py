"""Running work on the threads that own SQLite's connections."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

ResultT = TypeVar("ResultT")


async def run_on(pool: ThreadPoolExecutor, work: Callable[[], ResultT]) -> ResultT:
    """Run `work` on a thread of the pool; a cancelled caller leaves it running.

    Args:
        pool: Whose thread.
        work: Returns plain values, never a cursor: a cursor that dies on another
            thread resets its statement, which the owner may be using again by then.

    Returns:
        What `work` returned.
    """
    return await asyncio.get_running_loop().run_in_executor(pool, _contained, work)


def _contained(work: Callable[[], ResultT]) -> ResultT:
    try:
        return work()
    except BaseException as error:
        # A traceback keeps the variables of its frames, cursors among them.
        traceback.clear_frames(error.__traceback__)
        raise
