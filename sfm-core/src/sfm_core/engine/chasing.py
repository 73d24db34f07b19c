"""Applying what the truth says until it holds still."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sfm_core.errors import BackendUnavailableError

MAX_CHASES: Final = 10


async def chase(
    keys: Sequence[bytes],
    apply: Callable[[Sequence[bytes]], Awaitable[list[bytes]]],
    *,
    backend: str,
) -> None:
    """Apply keys, and again those that changed meanwhile, until none did.

    Args:
        keys: What to apply.
        apply: Applies keys, and returns those that changed meanwhile.
        backend: Scheme of the truth, for the error.

    Raises:
        BackendUnavailableError: Some change faster than they can be applied.
        BackendError: `apply` failed; part of it may be applied.
    """
    todo = keys
    for _ in range(MAX_CHASES):
        if not todo:
            return
        todo = await apply(todo)
    if todo:
        # Acknowledging now could leave an older state behind for good.
        raise BackendUnavailableError(
            f"{len(todo)} keys change faster than they can be indexed.", backend=backend
        )
