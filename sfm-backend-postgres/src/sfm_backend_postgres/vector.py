"""Points in PostgreSQL, searched by the extension pgvector and by tables of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

from psycopg.rows import TupleRow

from sfm_backend_postgres._client import PostgresDatabase
from sfm_backend_postgres._filters import Condition
from sfm_backend_postgres._levels import execute_alone
from sfm_backend_postgres._points import points_to_delete, points_to_write, query_parameters
from sfm_backend_postgres._port import PostgresPort
from sfm_backend_postgres._scrubbing import clear_away
from sfm_backend_postgres._statements import statements
from sfm_backend_postgres._types import Connection
from sfm_core.errors import ConfigurationError
from sfm_core.model.coordinate import Coordinate
from sfm_core.porting import check_batch, check_limit
from sfm_core.protocols.vector import (
    Collection,
    Hit,
    Point,
    PointId,
    PointState,
    SearchResult,
    VectorQuery,
)

_SQL = statements("vector")
_VACUUM = b"VACUUM sfm.point, sfm.posting"
_PORTION = 5_000
# Looked up once for both arms.
_CHOSEN = (
    "chosen AS MATERIALIZED (SELECT point.id FROM sfm.point "
    "WHERE point.place = (SELECT id FROM here) {}),"
)
_ALLOWED = "AND point.id IN (SELECT id FROM chosen)"


class PostgresVectorStore(PostgresPort):
    """Points and their words in tables; every search is exact."""

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__(database)
        self._schema = ""

    async def _take(self, stack: AsyncExitStack) -> None:
        await super()._take(stack)
        self._schema = await self._resource.prepare_vectors()

    async def ensure(self, collection: Collection) -> None:
        """Make sure that a collection exists; see `VectorStore.ensure`.

        Raises:
            ConfigurationError: It exists with another dimension.
            BackendError: The database was not reached or could not be written to.
        """
        dimension = await self._dimension(collection)
        if dimension is None:
            await self._database.fetch(
                _SQL["ensure"], {"name": collection.name, "dimension": collection.dimension}
            )
            dimension = await self._dimension(collection)
        if dimension != collection.dimension:
            raise ConfigurationError(
                f"The collection {collection.name!r} has {dimension} dimensions, "
                f"not {collection.dimension}.",
                remedy="Drop it, or use another name.",
            )

    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        """Write points in one transaction; see `VectorStore.upsert`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` points.
            InvalidInputError: A vector of another length than the collection's.
            ConfigurationError: The collection does not exist.
            BackendError: The database was not reached or could not be written to.
        """
        check_batch(len(points), "points")
        database = self._database
        if points:
            parameters = points_to_write(collection, points)
            await self._write(database, collection, "upsert", parameters)

    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        """Remove points in one transaction; see `VectorStore.delete`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` ids.
            ConfigurationError: The collection does not exist.
            BackendError: The database was not reached or could not be written to.
        """
        check_batch(len(ids), "ids")
        database = self._database
        if ids:
            parameters = points_to_delete(collection, list(dict.fromkeys(ids)))
            await self._write(database, collection, "delete", parameters)

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        """Answer many searches in one round trip; see `VectorStore.search`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` queries.
            InvalidInputError: A vector of another length than the collection's.
            ConfigurationError: The collection does not exist.
            BackendError: The database was not reached.
        """
        check_batch(len(queries), "queries")
        database = self._database
        if not queries:
            return []
        asked = [self._statement(collection, query) for query in queries]

        async def work(connection: Connection) -> list[list[TupleRow]]:
            async with connection.pipeline():
                found = await connection.execute(_SQL["find"], {"name": collection.name})
                # Planned each time: what was right for few points is not for many.
                cursors = [
                    await connection.execute(sql, parameters, binary=True, prepare=False)
                    for sql, parameters in asked
                ]
            return [await cursor.fetchall() for cursor in (found, *cursors)]

        [there, *answers] = await database.run(work)
        _check_found(collection, there)
        return [_result(query, rows) for query, rows in zip(queries, answers, strict=True)]

    async def scroll(
        self, collection: Collection, namespace: str, *, after: Coordinate | None, limit: int
    ) -> list[PointState]:
        """List the points of a namespace by the bytes of their coordinates.

        Raises:
            LimitExceededError: The limit is out of bounds.
            ConfigurationError: The collection does not exist.
            BackendError: The database was not reached.
        """
        check_limit(limit)
        rows: list[tuple[bytes, int]] = await self._database.fetch(
            _SQL["scroll"],
            {
                "collection": collection.name,
                "namespace": namespace,
                "after": b"" if after is None else after.key,
                "limit": limit,
            },
        )
        if not rows and await self._dimension(collection) is None:
            raise _no_collection(collection)
        return [
            PointState(
                id=PointId(namespace=namespace, coordinate=Coordinate.from_key(key)),
                version=version,
            )
            for key, version in rows
        ]

    async def drop(self, collection: Collection) -> None:
        """Remove a collection at once, and then its points, in several transactions.

        Raises:
            BackendError: The database was not reached or could not be written
                to; upkeep removes what is left of the points.
        """
        await self._database.fetch(_SQL["drop"], {"name": collection.name})
        await self._clear()

    async def collections(self) -> list[Collection]:
        """List the collections that exist, by name.

        Raises:
            BackendError: The database was not reached.
        """
        rows = await self._database.fetch(_SQL["collections"], {})
        return [Collection(name=name, dimension=dimension) for name, dimension in rows]

    async def maintain(self) -> None:
        """Remove what is left of dropped collections, and fold totals.

        Raises:
            BackendError: The database was not reached or could not be written
                to; the next call tries again.
        """
        await self._clear()
        await self._database.fetch(_SQL["fold_totals"], {})

    def _statement(
        self, collection: Collection, query: VectorQuery
    ) -> tuple[bytes, dict[str, object]]:
        parameters = query_parameters(collection, query)
        conditions: list[str] = []
        if query.type is not None:
            conditions.append("AND point.type = %(type)s")
            parameters["type"] = query.type.value
        if query.filter is not None:
            condition = Condition(query.filter)
            conditions.append(f"AND {condition.sql}")
            parameters |= condition.parameters
        template = _SQL["search"].decode()
        filled = template.format(
            schema=self._schema,
            chosen=_CHOSEN.format(" ".join(conditions)) if conditions else "",
            allowed=_ALLOWED if conditions else "",
        )
        return filled.encode(), parameters

    async def scrub(self, places: Mapping[str, Sequence[Coordinate]]) -> str:
        """Clear away dead rows; see `SupportsScrubbing.scrub`.

        Raises:
            BackendError: The database was not reached.
        """
        del places
        return await clear_away(self._database, _VACUUM)

    async def _write(
        self,
        database: PostgresDatabase,
        collection: Collection,
        name: str,
        parameters: dict[str, object],
    ) -> None:
        work = partial(execute_alone, statement=_SQL[name], parameters=parameters)
        [(done,)] = await database.run(work)
        if not done:
            raise _no_collection(collection)

    async def _dimension(self, collection: Collection) -> int | None:
        rows = await self._database.fetch(_SQL["find"], {"name": collection.name})
        return int(rows[0][0]) if rows else None

    async def _clear(self) -> None:
        for (place,) in await self._database.fetch(_SQL["orphans"], {}):
            portion = {"place": place, "limit": _PORTION}
            for name in ("clear_points", "clear_postings"):
                while (await self._database.fetch(_SQL[name], portion))[0][0]:
                    pass
            await self._database.fetch(_SQL["clear_place"], portion)


def _result(query: VectorQuery, rows: Sequence[TupleRow]) -> SearchResult:
    return SearchResult(
        hits=tuple(
            Hit(
                coordinate=Coordinate.from_key(key),
                version=version,
                dense=dense,
                keyword=keyword if query.terms else None,
            )
            for key, version, dense, keyword in rows
        )
    )


def _check_found(collection: Collection, rows: Sequence[TupleRow]) -> None:
    if [(collection.dimension,)] != rows:
        raise _no_collection(collection)


def _no_collection(collection: Collection) -> ConfigurationError:
    return ConfigurationError(
        f"There is no collection {collection.name!r} of {collection.dimension} dimensions.",
        remedy="Call ensure first.",
    )
