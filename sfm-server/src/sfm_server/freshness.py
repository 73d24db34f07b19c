"""Answering a question only when the index has what the caller wants to be seen."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.position import parse_positions


async def is_stale(engine: MemoryEngine, min_position: str | None) -> bool | UnsetType:
    """Wait until the index has followed certain writes, if the caller wants that.

    Args:
        engine: The engine that is to be asked next.
        min_position: What the writes have answered, with commas between several.

    Returns:
        Whether the answer may lack some of them, because waiting took too
        long; unset where the caller has not asked.

    Raises:
        InvalidPositionError: It is no position, or one of another truth.
        LimitExceededError: It names too many writes.
        BackendUnavailableError: The truth did not answer.
    """
    if min_position is None:
        return UNSET
    return not await engine.wait_for(*parse_positions(min_position))
