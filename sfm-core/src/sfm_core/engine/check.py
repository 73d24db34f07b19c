"""Comparing the derived stores with the truth, and remaking them from it.

Both sides are read in the same order, a page at a time, and merged: so the
memory needed does not grow with the store. Nothing is ever deleted from the
truth. What writers change meanwhile may be reported although it is about to be
followed up; a repair of it does no harm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import NamedTuple

from sfm_core.engine.counting import Counting
from sfm_core.engine.indexer import Indexer
from sfm_core.engine.reading import Reading
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth, link_alive
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import (
    LINK,
    MEMORY,
    link_key,
    memory_key,
)
from sfm_core.model.report import CheckReport
from sfm_core.protocols.graph import EdgeId

PAGE = 500

Progress = Callable[[int], None]
"""Called with the number of memories and links that were dealt with since the last call."""


class _Pair(NamedTuple):
    """One key, and the version each side has of it; `None` where it has none."""

    key: bytes
    truth: int | None
    derived: int | None


class Checking:
    """Checks, repairs and rebuilds derived stores."""

    def __init__(self, stores: Stores, truth: Truth, reading: Reading, indexer: Indexer) -> None:
        """Compare with `truth`; repair through `indexer`."""
        self._stores = stores
        self._truth = truth
        self._reading = reading
        self._indexer = indexer
        self._counting = Counting(stores, truth)

    async def check(self, *, repair: bool, progress: Progress | None = None) -> CheckReport:
        """Compare everything; see `MemoryEngine.check`."""
        found: Counter[str] = Counter()
        for namespace in await self._reading.namespaces():
            await self._compare(namespace, found, repair=repair, progress=progress)
        return CheckReport(**found, repaired=repair)

    async def rebuild(self, *, progress: Progress | None = None) -> int:
        """Remake points and edges in place; see `MemoryEngine.rebuild`."""
        rebuilt = 0
        for namespace in await self._reading.namespaces():
            for kind in (MEMORY, LINK):
                async for page in self._truth.pages(namespace, kind):
                    await self._indexer.repair(namespace, [key for key, _ in page])
                    rebuilt += len(page)
                    if progress:
                        progress(len(page))
            await self._compare(namespace, Counter(), repair=True, progress=None)
        return rebuilt

    async def _compare(
        self, namespace: str, found: Counter[str], *, repair: bool, progress: Progress | None
    ) -> None:
        counted: Counter[str] = Counter()
        for living, derived, names in (
            (
                self._living_memories(namespace, counted, progress),
                self._points(namespace),
                ("memories", "missing", "stale", "orphans"),
            ),
            (
                self._living_links(namespace, counted, progress),
                self._edges(namespace),
                ("links", "links_missing", "links_missing", "links_orphaned"),
            ),
        ):
            total, missing, stale, orphan = names
            broken: list[bytes] = []
            async for pair in _merge(living, derived):
                found[total] += pair.truth is not None
                if pair.truth == pair.derived:
                    continue
                if pair.truth is None:
                    found[orphan] += 1
                else:
                    found[missing if pair.derived is None else stale] += 1
                broken.append(pair.key)
                if repair and len(broken) == PAGE:
                    await self._indexer.repair(namespace, broken)
                    broken = []
            if repair:
                await self._indexer.repair(namespace, broken)
        found["counters_wrong"] += await self._counting.compare(namespace, counted, repair=repair)

    async def _living_memories(
        self, namespace: str, counted: Counter[str], progress: Progress | None
    ) -> AsyncGenerator[tuple[bytes, int]]:
        async for page in self._truth.pages(namespace, MEMORY):
            now = self._stores.clock.now()
            for key, entry in page:
                record = self._truth.memory_record(namespace, key, entry)
                if record.deleted:
                    continue
                counted[record.type] += 1
                if record.alive(now):
                    yield key, entry.version
            if progress:
                progress(len(page))

    async def _living_links(
        self, namespace: str, counted: Counter[str], progress: Progress | None
    ) -> AsyncGenerator[tuple[bytes, int]]:
        async for page in self._truth.pages(namespace, LINK):
            ends = await self._truth.link_ends(namespace, [key for key, _ in page])
            now = self._stores.clock.now()
            for (key, entry), (source, target) in zip(page, ends, strict=True):
                record = self._truth.link_state(namespace, key, entry).record
                if record is None or record.deleted:
                    continue
                counted["links"] += 1
                if link_alive(record, source, target, now):
                    yield key, entry.version
            if progress:
                progress(len(page))

    async def _points(self, namespace: str) -> AsyncGenerator[tuple[bytes, int]]:
        after: Coordinate | None = None
        while page := await self._stores.vector.scroll(
            self._stores.index.collection, namespace, after=after, limit=PAGE
        ):
            for state in page:
                yield memory_key(state.id.coordinate), state.version
            after = page[-1].id.coordinate

    async def _edges(self, namespace: str) -> AsyncGenerator[tuple[bytes, int]]:
        after: EdgeId | None = None
        while page := await self._stores.graph.scroll(namespace, after=after, limit=PAGE):
            for edge in page:
                yield link_key(edge.id.source, edge.id.type, edge.id.target), edge.version
            after = page[-1].id


async def _merge(
    truth: AsyncIterator[tuple[bytes, int]], derived: AsyncIterator[tuple[bytes, int]]
) -> AsyncGenerator[_Pair]:
    """Pair up two sequences that are both in ascending order of their keys."""
    mine, theirs = await anext(truth, None), await anext(derived, None)
    while mine is not None or theirs is not None:
        if mine is not None and (theirs is None or mine[0] < theirs[0]):
            yield _Pair(mine[0], mine[1], None)
            mine = await anext(truth, None)
        elif theirs is not None and (mine is None or theirs[0] < mine[0]):
            yield _Pair(theirs[0], None, theirs[1])
            theirs = await anext(derived, None)
        elif mine is not None and theirs is not None:
            yield _Pair(mine[0], mine[1], theirs[1])
            mine, theirs = await anext(truth, None), await anext(derived, None)
