"""Walking through two ordered sequences side by side."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

LeftT = TypeVar("LeftT")
RightT = TypeVar("RightT")


async def merge(
    left: AsyncIterator[tuple[bytes, LeftT]], right: AsyncIterator[tuple[bytes, RightT]]
) -> AsyncGenerator[tuple[bytes, LeftT | None, RightT | None]]:
    """Pair up two sequences that are both in ascending order of their keys.

    Args:
        left: Keys and values, no key twice.
        right: Keys and values, no key twice.

    Yields:
        Each key of either sequence once, with its value in each; `None` where
        a sequence does not have it.
    """
    mine, theirs = await anext(left, None), await anext(right, None)
    while mine is not None or theirs is not None:
        if mine is not None and (theirs is None or mine[0] < theirs[0]):
            yield mine[0], mine[1], None
            mine = await anext(left, None)
        elif theirs is not None and (mine is None or theirs[0] < mine[0]):
            yield theirs[0], None, theirs[1]
            theirs = await anext(right, None)
        elif mine is not None and theirs is not None:
            yield mine[0], mine[1], theirs[1]
            mine, theirs = await anext(left, None), await anext(right, None)
