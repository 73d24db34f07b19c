"""A vector store that is given vectors, and nothing of what memories say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.optional import SupportsMaintenance
from sfm_core.protocols.vector import (
    Collection,
    Point,
    PointId,
    PointState,
    SearchResult,
    VectorQuery,
    VectorStore,
)


class BareVectorStore:
    """Keeps payloads and words from a store, and asks it for neither.

    Hits are then more than a filter lets pass; the engine looks at each memory
    in the truth anyway, and asks for more until it has enough.

    Attributes:
        inner: The store; it is opened and closed with the wrapper.
        maintain: There only if the store has it.
    """

    maintain: Callable[[], Awaitable[None]]

    def __init__(self, inner: VectorStore) -> None:
        """Wrap a store that is not open yet."""
        self.inner: Final = inner
        # Set on the object, because `isinstance` against an optional protocol looks for it there.
        offered: object = inner
        if isinstance(offered, SupportsMaintenance):
            self.maintain = offered.maintain

    @property
    def scheme(self) -> str:
        """URL scheme of the store."""
        return self.inner.scheme

    @property
    def shared(self) -> bool:
        """Whether other processes see the same data."""
        return self.inner.shared

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.inner.__aexit__(exc_type, exc, traceback)

    async def ping(self) -> None:
        """Ask the store itself."""
        await self.inner.ping()

    async def ensure(self, collection: Collection) -> None:
        """Make sure that a collection exists."""
        await self.inner.ensure(collection)

    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        """Write points, without payloads and words."""
        bare = [replace(point, payload={}, terms={}) for point in points]
        await self.inner.upsert(collection, bare)

    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        """Remove points."""
        await self.inner.delete(collection, ids)

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        """Search by vector only; a query without one finds nothing."""
        asked = [replace(query, terms=None, filter=None) for query in queries if _by_vector(query)]
        found = iter(await self.inner.search(collection, asked) if asked else [])
        return [next(found) if _by_vector(query) else SearchResult(hits=()) for query in queries]

    async def scroll(
        self, collection: Collection, namespace: str, *, after: Coordinate | None, limit: int
    ) -> list[PointState]:
        """List points."""
        return await self.inner.scroll(collection, namespace, after=after, limit=limit)

    async def drop(self, collection: Collection) -> None:
        """Drop a collection."""
        await self.inner.drop(collection)

    async def collections(self) -> list[Collection]:
        """List collections."""
        return await self.inner.collections()


def _by_vector(query: VectorQuery) -> bool:
    return query.vector is not None
