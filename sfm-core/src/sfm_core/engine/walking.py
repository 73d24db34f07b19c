"""Walking through a truth in the order of its keys, alone or side by side with something else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

from sfm_core.engine.portions import Portion
from sfm_core.model.keys import KeyRange
from sfm_core.protocols.kv import Entry, KeyValueStore

LeftT = TypeVar("LeftT")
RightT = TypeVar("RightT")


async def namespaces_of(*truths: KeyValueStore, after: str = "") -> list[str]:
    """List every namespace of some truths, but the engine's own.

    Args:
        truths: One truth or several.
        after: Only names greater than this.

    Returns:
        Names in ascending order, each once.

    Raises:
        BackendUnavailableError: A truth did not answer.
    """
    found: set[str] = set()
    for kv in truths:
        last = after
        while page := await kv.namespaces(after=last):
            found.update(page)
            last = page[-1]
    return sorted(found)


def pages_of(
    kv: KeyValueStore, namespace: str, prefix: bytes = b""
) -> AsyncGenerator[list[tuple[bytes, Entry]]]:
    """Go through the entries of a namespace, a page at a time.

    Args:
        kv: The truth.
        namespace: Where to read.
        prefix: Only keys that begin with this.

    Yields:
        Keys and entries in byte order of the keys; no page is empty, and none
        takes much memory.

    Raises:
        BackendError: The truth did not answer.
    """
    return pages_in(kv, namespace, KeyRange.prefix(prefix))


async def pages_in(
    kv: KeyValueStore, namespace: str, rest: KeyRange
) -> AsyncGenerator[list[tuple[bytes, Entry]]]:
    """Go through a range of keys, in either direction; see `pages_of`."""
    portion = Portion()
    while True:
        asked = portion.size
        [page] = await kv.scan(namespace, [rest], limit=asked)
        if page:
            yield page
        if len(page) < asked:
            return
        last = page[-1][0]
        if rest.reverse:
            rest = KeyRange(rest.start, last, reverse=True)
        else:
            rest = KeyRange(last + b"\0", rest.end)
        portion.took([len(entry.value) for _, entry in page])


async def entries_of(
    kv: KeyValueStore, namespace: str, prefix: bytes = b""
) -> AsyncGenerator[tuple[bytes, Entry]]:
    """Go through the entries of a namespace, one by one; see `pages_of`."""
    async for page in pages_of(kv, namespace, prefix):
        for key, entry in page:
            yield key, entry


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
