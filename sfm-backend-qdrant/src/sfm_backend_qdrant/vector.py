"""The vector store on Qdrant."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.conversions.common_types import PointId as Offset

from sfm_backend_qdrant._collections import (
    create,
    describe,
    index_missing,
)
from sfm_backend_qdrant._connection import Connection
from sfm_backend_qdrant._encoding import stored_id, stored_point
from sfm_backend_qdrant._errors import AlreadyExistsError
from sfm_backend_qdrant._scrolling import FIELDS, Page, Scrolling
from sfm_backend_qdrant._searching import Searching
from sfm_core.errors import (
    ClosedError,
    ConfigurationError,
    InvalidInputError,
    LimitExceededError,
)
from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.vector import (
    Collection,
    Point,
    PointId,
    PointState,
    SearchResult,
    VectorQuery,
)


class QdrantVectorStore:
    """Points in collections of Qdrant, each with a dense and a sparse vector."""

    def __init__(self, connection: Connection) -> None:
        self._shared_connection = connection
        self._settings = connection.settings
        self._open = False

    @property
    def scheme(self) -> str:
        """URL scheme under which it is registered."""
        return self._settings.scheme

    @property
    def shared(self) -> bool:
        """Whether the points are on a server, where other processes see them."""
        return not self._settings.local

    @property
    def _connection(self) -> Connection:
        if not self._open:
            raise ClosedError(
                "This Qdrant store is not open.", remedy="Use it inside `async with`."
            )
        return self._shared_connection

    async def __aenter__(self) -> Self:
        await self._shared_connection.open()
        self._open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._open:
            self._open = False
            await self._shared_connection.close()

    async def ping(self) -> None:
        """List the names of collections, which also proves that the API key is good.

        Raises:
            BackendError: It does not work.
        """
        await self._connection.run(lambda client: client.get_collections())

    async def ensure(self, collection: Collection) -> None:
        """Make sure that a collection exists; see `VectorStore.ensure`.

        Raises:
            ConfigurationError: It exists with another dimension, or is not one of ours.
            BackendUnavailableError: The server was not reached.
        """
        connection, name = self._connection, self._name(collection)
        if not await connection.run(lambda client: client.collection_exists(name)):
            # If somebody else is faster, what they made is looked at like any other.
            with suppress(AlreadyExistsError):
                await connection.run(
                    lambda client: create(
                        client, name, collection.dimension, replicas=self._settings.replicas
                    )
                )
        info = await connection.run(lambda client: client.get_collection(name))
        dimension = describe(info)
        if dimension != collection.dimension:
            found = "no vectors of ours" if dimension is None else f"{dimension} dimensions"
            raise ConfigurationError(
                f"The collection {name!r} has {found}, not {collection.dimension} dimensions.",
                remedy="Drop it, or use another name.",
            )
        if not self._settings.local:
            await index_missing(connection, name, info)

    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        """Write points, and wait until searches see them; see `VectorStore.upsert`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` points; none was written.
            InvalidInputError: A vector of another length than the collection's.
            ConfigurationError: There is no such collection.
            BackendUnavailableError: The server was not reached.
        """
        connection, name = self._connection, self._name(collection)
        _check_batch("points", len(points))
        for point in points:
            _check_vector(point, collection)
        last = {point.id: point for point in points}
        if last:
            stored = [stored_point(point) for point in last.values()]
            await connection.run(
                lambda client: client.upsert(
                    name, points=stored, wait=True, ordering=self._settings.ordering
                )
            )

    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        """Remove points, and wait until searches do not find them; see `VectorStore.delete`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` ids; none was removed.
            ConfigurationError: There is no such collection.
            BackendUnavailableError: The server was not reached.
        """
        connection, name = self._connection, self._name(collection)
        _check_batch("ids", len(ids))
        if ids:
            chosen = models.PointIdsList(points=[stored_id(each) for each in ids])
            await connection.run(
                lambda client: client.delete(
                    name, points_selector=chosen, wait=True, ordering=self._settings.ordering
                )
            )

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        """Answer many searches; see `VectorStore.search`.

        One round trip, and further ones only for filters that Qdrant cannot
        tell exactly and that leave too few of the candidates.

        Raises:
            LimitExceededError: More than `MAX_BATCH` queries.
            InvalidFilterError: The server refuses the conditions, or too many
                points have to be looked at; nothing is left out silently.
            ConfigurationError: There is no such collection.
            BackendUnavailableError: The server was not reached.
        """
        connection, name = self._connection, self._name(collection)
        _check_batch("queries", len(queries))
        return await Searching(connection, name).answers(queries) if queries else []

    async def scroll(
        self, collection: Collection, namespace: str, *, after: Coordinate | None, limit: int
    ) -> list[PointState]:
        """List the points of a namespace in order; see `VectorStore.scroll`.

        Raises:
            ConfigurationError: There is no such collection.
            CorruptDataError: A point was not written by this package.
            BackendUnavailableError: The server was not reached.
        """
        connection, name = self._connection, self._name(collection)

        async def scroll(
            condition: models.Filter,
            order: models.OrderBy | None,
            size: int,
            offset: Offset | None,
        ) -> Page:
            async def ask(client: AsyncQdrantClient) -> Page:
                return await client.scroll(
                    name,
                    scroll_filter=condition,
                    order_by=order,
                    limit=size,
                    offset=offset,
                    with_payload=FIELDS,
                    consistency=self._settings.consistency,
                )

            return await connection.run(ask)

        return await Scrolling(scroll, namespace, self.scheme).after(after, limit)

    async def drop(self, collection: Collection) -> None:
        """Remove a collection with all its points; see `VectorStore.drop`.

        Raises:
            BackendUnavailableError: The server was not reached.
        """
        connection, name = self._connection, self._name(collection)
        if await connection.run(lambda client: client.collection_exists(name)):
            await connection.run(lambda client: client.delete_collection(name))

    async def collections(self) -> list[Collection]:
        """List the collections that this package made; see `VectorStore.collections`.

        Others on the same server, and those with another prefix, are not listed.

        Raises:
            BackendUnavailableError: The server was not reached.
        """
        connection, prefix = self._connection, self._settings.prefix
        found: list[Collection] = []
        listed = await connection.run(lambda client: client.get_collections())
        for name in sorted(each.name for each in listed.collections):
            if name.startswith(prefix):
                dimension = await self._dimension(connection, name)
                if dimension is not None:
                    found.append(Collection(name=name.removeprefix(prefix), dimension=dimension))
        return found

    async def _dimension(self, connection: Connection, name: str) -> int | None:
        try:
            return describe(await connection.run(lambda client: client.get_collection(name)))
        except ConfigurationError:
            # It was dropped after it was listed.
            if await connection.run(lambda client: client.collection_exists(name)):
                raise
            return None

    def _name(self, collection: Collection) -> str:
        return self._settings.prefix + collection.name


def _check_batch(field: str, count: int) -> None:
    if count > MAX_BATCH:
        raise LimitExceededError(
            f"{field} has {count} elements, more than {MAX_BATCH}.",
            field=field,
            remedy="Split the batch.",
        )


def _check_vector(point: Point, collection: Collection) -> None:
    if point.vector.shape != (collection.dimension,):
        raise InvalidInputError(
            f"The vector of {point.id.coordinate} has the shape {point.vector.shape}.",
            field="vector",
            remedy=f"The collection takes {collection.dimension} numbers.",
        )
