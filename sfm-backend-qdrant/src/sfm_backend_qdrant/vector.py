"""The vector store on Qdrant."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from sfm_backend_qdrant._edge import EdgeQdrant
from sfm_backend_qdrant._encoding import StoredPoint, stored_id, stored_point
from sfm_backend_qdrant._errors import AlreadyExistsError
from sfm_backend_qdrant._qdrant import Qdrant
from sfm_backend_qdrant._scrolling import Scrolling
from sfm_backend_qdrant._searching import Searching
from sfm_core.errors import ConfigurationError
from sfm_core.model.coordinate import Coordinate
from sfm_core.porting import ServedPort, check_batch, check_vector
from sfm_core.protocols.vector import (
    Collection,
    Point,
    PointId,
    PointState,
    SearchResult,
    VectorQuery,
)

_TURN: Final = 50


class QdrantVectorStore(ServedPort[Qdrant]):
    """Points in collections of Qdrant, each with a dense and a sparse vector."""

    def __init__(self, qdrant: Qdrant) -> None:
        settings = qdrant.settings
        super().__init__(qdrant, scheme=settings.scheme, shared=not settings.embedded)
        self._settings = settings

    @property
    def _qdrant(self) -> Qdrant:
        return self._opened

    async def ping(self) -> None:
        """Ask something that needs a right API key, where there is one.

        Raises:
            BackendError: It does not work.
        """
        await self._qdrant.ping()

    async def ensure(self, collection: Collection) -> None:
        """Make sure that a collection exists; see `VectorStore.ensure`.

        Raises:
            ConfigurationError: It exists with another dimension, or is not one of ours.
            BackendUnavailableError: The server was not reached.
        """
        qdrant, name = self._qdrant, self._name(collection)
        if not await qdrant.exists(name):
            # If somebody else is faster, what they made is looked at like any other.
            with suppress(AlreadyExistsError):
                await qdrant.create(name, collection.dimension)
        dimension = await qdrant.complete(name)
        if dimension != collection.dimension:
            found = "no vectors of ours" if dimension is None else f"{dimension} dimensions"
            raise ConfigurationError(
                f"The collection {name!r} has {found}, not {collection.dimension} dimensions.",
                remedy="Drop it, or use another name.",
            )

    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        """Write points, and wait until searches see them; see `VectorStore.upsert`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` points; none was written.
            InvalidInputError: A vector of another length than the collection's.
            ConfigurationError: There is no such collection.
            BackendUnavailableError: The server was not reached.
        """
        qdrant, name = self._qdrant, self._name(collection)
        check_batch(len(points), "points")
        for point in points:
            check_vector(point.vector, collection, point.id.coordinate)
        last = {point.id: point for point in points}
        if last:
            await qdrant.upsert(name, await _stored(last.values()))

    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        """Remove points, and wait until searches do not find them; see `VectorStore.delete`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` ids; none was removed.
            ConfigurationError: There is no such collection.
            BackendUnavailableError: The server was not reached.
        """
        qdrant, name = self._qdrant, self._name(collection)
        check_batch(len(ids), "ids")
        if ids:
            await qdrant.delete(name, [stored_id(each) for each in ids])

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        """Answer many searches; see `VectorStore.search`.

        One round trip, and further ones only for filters that Qdrant cannot
        tell exactly and that leave too few of the candidates.

        Raises:
            LimitExceededError: More than `MAX_BATCH` queries.
            InvalidInputError: A vector of another length than the collection's.
            InvalidFilterError: The server refuses the conditions, or too many
                points have to be looked at; nothing is left out silently.
            ConfigurationError: There is no such collection.
            BackendUnavailableError: The server was not reached.
        """
        qdrant, name = self._qdrant, self._name(collection)
        check_batch(len(queries), "queries")
        for query in queries:
            if query.vector is not None:
                check_vector(query.vector, collection)
        return await Searching(qdrant, name).answers(queries) if queries else []

    async def scroll(
        self, collection: Collection, namespace: str, *, after: Coordinate | None, limit: int
    ) -> list[PointState]:
        """List the points of a namespace in order; see `VectorStore.scroll`.

        Raises:
            ConfigurationError: There is no such collection.
            CorruptDataError: A point was not written by this package.
            BackendUnavailableError: The server was not reached.
        """
        qdrant, name = self._qdrant, self._name(collection)
        return await Scrolling(qdrant, name, namespace).after(after, limit)

    async def drop(self, collection: Collection) -> None:
        """Remove a collection with all its points; see `VectorStore.drop`.

        Raises:
            BackendUnavailableError: The server was not reached.
        """
        qdrant, name = self._qdrant, self._name(collection)
        if await qdrant.exists(name):
            await qdrant.drop(name)

    async def collections(self) -> list[Collection]:
        """List the collections that this package made; see `VectorStore.collections`.

        Others on the same server, and those with another prefix, are not listed.

        Raises:
            BackendUnavailableError: The server was not reached.
        """
        qdrant, prefix = self._qdrant, self._settings.prefix
        found: list[Collection] = []
        for name in sorted(await qdrant.names()):
            if name.startswith(prefix):
                dimension = await _dimension(qdrant, name)
                if dimension is not None:
                    found.append(Collection(name=name.removeprefix(prefix), dimension=dimension))
        return found

    async def scrub(self, places: Mapping[str, Sequence[Coordinate]]) -> str:
        """Let go of what files have of removed points; see `SupportsScrubbing.scrub`.

        Collections in a folder are written anew, while points are searched and written. A
        server is left to itself: it does so when it likes.

        Raises:
            StorageFullError: There is no room for a collection twice.
            BackendUnavailableError: The worker process has died or does not answer.
            BackendError: It failed; a later call does it.
        """
        del places
        return await self._qdrant.scrub()

    def _name(self, collection: Collection) -> str:
        return self._settings.prefix + collection.name


class EdgeVectorStore(QdrantVectorStore):
    """Points in a folder that a worker process has open."""

    def __init__(self, qdrant: EdgeQdrant) -> None:
        super().__init__(qdrant)
        self._edge = qdrant

    async def maintain(self) -> None:
        """Write everything to the disk, so that the next start has no log to read.

        Raises:
            ClosedError: The store is not open.
            BackendUnavailableError: The worker did not answer.
        """
        if self._qdrant is self._edge:
            await self._edge.maintain()


async def _stored(points: Iterable[Point]) -> list[StoredPoint]:
    stored: list[StoredPoint] = []
    for point in points:
        stored.append(stored_point(point))
        if len(stored) % _TURN == 0:
            # A large batch takes a second, in which others have their turns.
            await asyncio.sleep(0)
    return stored


async def _dimension(qdrant: Qdrant, name: str) -> int | None:
    try:
        return await qdrant.dimension(name)
    except ConfigurationError:
        # It was dropped after it was listed.
        if await qdrant.exists(name):
            raise
        return None
