"""A patient vector store."""

from __future__ import annotations

from collections.abc import Sequence

from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.vector import (
    Collection,
    Point,
    PointId,
    PointState,
    SearchResult,
    VectorQuery,
    VectorStore,
)
from sfm_core.resilience.retry import Repetition
from sfm_core.resilience.wrapper import ResilientBackend


class ResilientVectorStore(ResilientBackend[VectorStore]):
    """Repeats searches, and writes that failed but not those that timed out."""

    async def ensure(self, collection: Collection) -> None:
        """Make sure that a collection exists; repeated, because a second time changes nothing."""
        await self.guard.call(
            lambda: self.inner.ensure(collection), Repetition.ALWAYS, sets_up=True
        )

    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        """Write points; repeated, but not after a time-out.

        A call that timed out may still land, and would then undo what was
        written to the same points meanwhile.
        """
        await self.guard.call(lambda: self.inner.upsert(collection, points), Repetition.UNLESS_LATE)

    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        """Remove points; repeated, but not after a time-out, for the reason of `upsert`."""
        await self.guard.call(lambda: self.inner.delete(collection, ids), Repetition.UNLESS_LATE)

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        """Search; repeated, because it only reads."""
        return await self.guard.call(
            lambda: self.inner.search(collection, queries), Repetition.ALWAYS
        )

    async def scroll(
        self, collection: Collection, namespace: str, *, after: Coordinate | None, limit: int
    ) -> list[PointState]:
        """List points; repeated, because it only reads."""
        return await self.guard.call(
            lambda: self.inner.scroll(collection, namespace, after=after, limit=limit),
            Repetition.ALWAYS,
        )

    async def drop(self, collection: Collection) -> None:
        """Drop a collection once; never repeated.

        A repetition could meet the collection that somebody made anew after
        the first attempt, and empty it.
        """
        await self.guard.call(lambda: self.inner.drop(collection), Repetition.NEVER)

    async def collections(self) -> list[Collection]:
        """List collections; repeated, because it only reads."""
        return await self.guard.call(self.inner.collections, Repetition.ALWAYS)
