"""What the in-process backends have in common."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from sfm_core.errors import ClosedError, LimitExceededError
from sfm_core.protocols import MAX_BATCH


class InProcessBackend:
    """Opening, closing and the limits that hold for every port."""

    scheme: str = "memory"
    shared: bool = False

    def __init__(self) -> None:
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open = False

    async def ping(self) -> None:
        """Prove that it is open.

        Raises:
            ClosedError: It is not.
        """
        await self._turn()

    async def _turn(self) -> None:
        # Other tasks run here as they would during a round trip, so that a race
        # that a remote backend would show is not hidden by this one. What follows
        # is free of awaits and so one step to everybody else.
        await asyncio.sleep(0)
        if not self._open:
            raise ClosedError(
                f"{type(self).__name__} is not open.", remedy="Use it inside `async with`."
            )


def check_count(field: str, count: int) -> None:
    """Refuse a bulk call that is too large.

    Args:
        field: Name of the argument.
        count: How many elements it has.

    Raises:
        LimitExceededError: More than `MAX_BATCH`.
    """
    if count > MAX_BATCH:
        raise LimitExceededError(
            f"{field} has {count} elements, more than {MAX_BATCH}.",
            field=field,
            remedy="Call several times with less each.",
        )
