"""Comparing the derived stores with the truth, and remaking them from it.

Both sides are read in the same order, a page at a time, and merged: so the
memory needed does not grow with the store. Nothing is ever deleted from the
truth. What writers change meanwhile may be reported although it is about to be
followed up; a repair of it does no harm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import UTC, datetime
from typing import NamedTuple

from sfm_core.engine.counting import Counting
from sfm_core.engine.index import Index
from sfm_core.engine.indexes import Indexes
from sfm_core.engine.reading import Reading
from sfm_core.engine.repairing import Repairing
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth, link_alive
from sfm_core.engine.walking import merge
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import (
    LINK,
    MEMORY,
    link_key,
    memory_key,
)
from sfm_core.model.report import CheckReport
from sfm_core.protocols.graph import EdgeId
from sfm_core.protocols.observer import Figure

PAGE = 500

Progress = Callable[[int], None]
"""Called with the number of memories and links that were dealt with since the last call."""


_FADING = 0
"""In place of a version: what has expired and is not deleted yet may be there or not."""
_ALWAYS = datetime.min.replace(tzinfo=UTC)
"""A time at which nothing has expired."""


class _Step(NamedTuple):
    """What a page of pairs has shown."""

    broken: list[bytes]
    living: int


class _Names(NamedTuple):
    """How a report calls what a comparison finds."""

    total: str
    missing: str
    stale: str
    orphan: str


class Checking:
    """Checks, repairs and rebuilds derived stores."""

    def __init__(
        self,
        stores: Stores,
        truth: Truth,
        reading: Reading,
        repairing: Repairing,
        indexes: Indexes,
    ) -> None:
        """Compare with `truth`; repair through `repairing`."""
        self._stores = stores
        self._truth = truth
        self._reading = reading
        self._repairing = repairing
        self._indexes = indexes
        self._counting = Counting(stores.kv, owner=stores.owner, lease=stores.settings.lease)

    async def check(self, *, repair: bool, progress: Progress | None = None) -> CheckReport:
        """Compare everything; see `MemoryEngine.check`."""
        found: Counter[str] = Counter()
        index = (await self._indexes.current()).searched
        for namespace in await self._reading.namespaces():
            counted: Counter[str] = Counter()
            living = self._living_memories(namespace, counted, progress)
            async for step in self._point_steps(namespace, found, living, index):
                if repair:
                    await self._repairing.repair(namespace, step.broken, index)
            await self._compare_rest(namespace, found, counted, repair=repair, progress=progress)
        self._tell(found)
        return CheckReport(**found, repaired=repair)

    def _tell(self, found: Counter[str]) -> None:
        tell = self._stores.observer.count
        tell(Figure.CHECK_MISSING, found["missing"] + found["links_missing"])
        tell(Figure.CHECK_ORPHANS, found["orphans"] + found["links_orphaned"])
        tell(Figure.CHECK_STALE, found["stale"])

    async def rebuild(self, *, progress: Progress | None = None) -> int:
        """Remake points and edges in place; see `MemoryEngine.rebuild`."""
        rebuilt = 0
        for namespace in await self._reading.namespaces():
            for kind in (MEMORY, LINK):
                async for page in self._truth.pages(namespace, kind):
                    for index in (await self._indexes.current()).followed:
                        await self._repairing.repair(namespace, [key for key, _ in page], index)
                    rebuilt += len(page)
                    if progress:
                        progress(len(page))
            await self._catch_up_all(namespace)
        return rebuilt

    async def catch_up(
        self, namespace: str, index: Index, *, edges: bool, progress: Progress | None = None
    ) -> None:
        """Compare the points of one index with the truth, and repair what differs.

        Args:
            namespace: Where to compare.
            index: Whose points.
            edges: Whether to compare the edges and the counters too.
            progress: Told how many living memories were dealt with.

        Raises:
            BackendError: A backend failed; what came before is repaired.
        """
        counted: Counter[str] = Counter()
        found: Counter[str] = Counter()
        living = self._living_memories(namespace, counted, None)
        async for step in self._point_steps(namespace, found, living, index):
            await self._repairing.repair(namespace, step.broken, index)
            if progress:
                progress(step.living)
        if edges:
            await self._compare_rest(namespace, found, counted, repair=True, progress=None)

    async def _catch_up_all(self, namespace: str) -> None:
        searched, *others = (await self._indexes.current()).followed
        await self.catch_up(namespace, searched, edges=True)
        for index in others:
            await self.catch_up(namespace, index, edges=False)

    def _point_steps(
        self,
        namespace: str,
        found: Counter[str],
        living: AsyncIterator[tuple[bytes, int]],
        index: Index,
    ) -> AsyncGenerator[_Step]:
        names = _Names("memories", "missing", "stale", "orphans")
        return _steps(merge(living, self._points(namespace, index)), found, names)

    async def _compare_rest(
        self,
        namespace: str,
        found: Counter[str],
        counted: Counter[str],
        *,
        repair: bool,
        progress: Progress | None,
    ) -> None:
        """Compare edges, and counters with what was counted of memories already."""
        names = _Names("links", "links_missing", "links_missing", "links_orphaned")
        living = self._living_links(namespace, counted, progress)
        async for step in _steps(merge(living, self._edges(namespace)), found, names):
            if repair:
                await self._repairing.repair(namespace, step.broken)
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
                yield key, entry.version if record.alive(now) else _FADING
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
                elif link_alive(record, source, target, _ALWAYS):
                    yield key, _FADING
            if progress:
                progress(len(page))

    async def _points(self, namespace: str, index: Index) -> AsyncGenerator[tuple[bytes, int]]:
        after: Coordinate | None = None
        while page := await self._stores.vector.scroll(
            index.collection, namespace, after=after, limit=PAGE
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


async def _steps(
    pairs: AsyncIterator[tuple[bytes, int | None, int | None]], found: Counter[str], names: _Names
) -> AsyncGenerator[_Step]:
    """Count the versions that differ, and hand on the keys a page at a time."""
    broken: list[bytes] = []
    seen = living = 0
    async for key, truth, derived in pairs:
        seen += 1
        living += truth not in {None, _FADING}
        if truth not in {derived, _FADING}:
            broken.append(key)
            if truth is None:
                found[names.orphan] += 1
            else:
                found[names.missing if derived is None else names.stale] += 1
        if seen == PAGE:
            found[names.total] += living
            yield _Step(broken, living)
            broken, seen, living = [], 0, 0
    found[names.total] += living
    yield _Step(broken, living)
