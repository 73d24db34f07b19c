"""Points in an SQLite file, searched through an index in the process."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import TypeVar

import msgspec

from sfm_backend_sqlite._database import SqliteDatabase
from sfm_backend_sqlite._namespaces import allot
from sfm_backend_sqlite._port import SqlitePort
from sfm_backend_sqlite._scrubbing import forget_removed
from sfm_backend_sqlite._threads import run_on
from sfm_backend_sqlite.index.follower import find_place
from sfm_backend_sqlite.index.indexes import SearchIndexes
from sfm_backend_sqlite.index.namespace import encode_terms
from sfm_core.clock import Clock
from sfm_core.errors import ClosedError
from sfm_core.model.coordinate import Coordinate
from sfm_core.porting import check_batch, check_vector
from sfm_core.protocols.vector import (
    Collection,
    Point,
    PointId,
    PointState,
    SearchResult,
    VectorQuery,
)

ResultT = TypeVar("ResultT")

_PUT = (
    "INSERT OR REPLACE INTO point "
    "(collection, namespace, coordinate, version, type, payload, terms, vector) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
# Only what exists gets a tombstone, so that removing unknown points costs nothing.
_BURY = (
    "INSERT OR REPLACE INTO point "
    "(collection, namespace, coordinate, version, type, payload, terms, vector) "
    "SELECT collection, namespace, coordinate, version, '', x'', x'', NULL FROM point "
    "WHERE collection = ? AND namespace = ? AND coordinate = ? AND vector IS NOT NULL"
)
_SCROLL = (
    "SELECT coordinate, version FROM point INDEXED BY point_identity "
    "WHERE collection = ? AND namespace = ? AND coordinate > ? AND vector IS NOT NULL "
    "ORDER BY coordinate LIMIT ?"
)
# So many points are encoded faster than a thread is changed.
_ENCODED_HERE = 16
# Rows per transaction of upkeep, so that others write in between.
_CHUNK = 1_000
_DROP = (
    "INSERT INTO dropped (collection) SELECT id FROM collection WHERE name = ?",
    "DELETE FROM collection WHERE name = ?",
)
_DROPPED = "SELECT value, collection FROM dropped JOIN property ON name = 'identity'"
_CLEAR = "DELETE FROM point WHERE change IN (SELECT change FROM point WHERE collection = ? LIMIT ?)"
_TOMBSTONES = (
    "SELECT collection, namespace FROM point INDEXED BY point_removed WHERE vector IS NULL "
    "GROUP BY collection, namespace HAVING count(*) > 2 * ?"
)
_NEWEST_PURGED = (
    "SELECT change FROM point INDEXED BY point_removed "
    "WHERE collection = ? AND namespace = ? AND vector IS NULL "
    "ORDER BY change DESC LIMIT 1 OFFSET ?"
)
# Tombstones that are kept for followers which are behind; who lags more loads anew.
_KEPT_TOMBSTONES = 10_000
_SEARCHERS = 2
_Row = tuple[str, bytes, int, str, bytes, bytes, bytes]


class SqliteVectorStore(SqlitePort):
    """Points are rows in the file; every process follows them with an index of its own."""

    def __init__(self, database: SqliteDatabase, clock: Clock) -> None:
        super().__init__(database, clock)
        self._searching: ThreadPoolExecutor | None = None
        self._indexes = SearchIndexes(database.settings, database.connect)

    async def _take(self, stack: AsyncExitStack) -> None:
        await super()._take(stack)
        self._indexes = SearchIndexes(self._resource.settings, self._resource.connect)
        self._searching = ThreadPoolExecutor(_SEARCHERS, "sfm-sqlite-search")
        stack.push_async_callback(self._stop_searching)

    async def _stop_searching(self) -> None:
        searching, self._searching = self._searching, None
        if searching is not None:
            await asyncio.shield(run_on(searching, self._indexes.close))
            searching.shutdown(wait=False)

    @property
    def tending(self) -> bool:
        """Whether an index is being improved in the background; searches are right meanwhile."""
        return self._indexes.tending

    @property
    def resident_points(self) -> int:
        """How many points the indexes in memory hold."""
        return self._indexes.resident_points

    @property
    def resident_namespaces(self) -> int:
        """How many namespaces have an index in memory, those without a point included."""
        return self._indexes.resident_namespaces

    async def ensure(self, collection: Collection) -> None:
        """Make sure that a collection exists; see `VectorStore.ensure`.

        Raises:
            ConfigurationError: It exists with another dimension.
            BackendError: The file could not be written to.
        """

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO collection (name, dimension) VALUES (?, ?) "
                "ON CONFLICT (name) DO NOTHING",
                (collection.name, collection.dimension),
            )
            find_place(connection, collection, "")

        if collection not in await self.collections():
            await self._database.write(work)

    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        """Write points in one transaction; see `VectorStore.upsert`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` points.
            InvalidInputError: A vector of another length than the collection's.
            ConfigurationError: The collection does not exist.
            BackendError: The file could not be written to; nothing was changed.
        """
        check_batch(len(points), "points")
        database = self._database
        if len(points) <= _ENCODED_HERE:
            rows = _rows(points, collection)
        else:
            # Some microseconds a point: not on the event loop, and not inside the transaction.
            rows = await database.read(lambda _: _rows(points, collection))

        def work(connection: sqlite3.Connection) -> None:
            number = find_place(connection, collection, "").collection
            names = {name: allot(connection, name) for name in {row[0] for row in rows}}
            connection.executemany(_PUT, [(number, names[row[0]], *row[1:]) for row in rows])

        await database.write(work)

    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        """Remove points in one transaction; see `VectorStore.delete`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` ids.
            ConfigurationError: The collection does not exist.
            BackendError: The file could not be written to; nothing was changed.
        """
        check_batch(len(ids), "ids")
        gone = [(each.namespace, each.coordinate.key) for each in ids]

        def work(connection: sqlite3.Connection) -> None:
            number = find_place(connection, collection, "").collection
            names = {name: allot(connection, name) for name, _ in gone}
            connection.executemany(_BURY, [(number, names[name], key) for name, key in gone])

        await self._database.write(work)

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        """Answer many searches; see `VectorStore.search`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` queries.
            InvalidInputError: A vector of another length than the collection's.
            ConfigurationError: The collection does not exist.
            CorruptDataError: A point is damaged.
            BackendError: The file could not be read.
        """
        check_batch(len(queries), "queries")
        groups: dict[str, list[int]] = {}
        for position, query in enumerate(queries):
            if query.vector is not None:
                check_vector(query.vector, collection)
            groups.setdefault(query.namespace, []).append(position)

        def work() -> list[SearchResult]:
            answers = [SearchResult()] * len(queries)
            for namespace, positions in groups.items():
                found = self._indexes.search(
                    collection, namespace, [queries[position] for position in positions]
                )
                for position, result in zip(positions, found, strict=True):
                    answers[position] = result
            return answers

        return await self._search(work)

    async def scroll(
        self, collection: Collection, namespace: str, *, after: Coordinate | None, limit: int
    ) -> list[PointState]:
        """List the points of a namespace by the bytes of their coordinates.

        Raises:
            ConfigurationError: The collection does not exist.
            BackendError: The file could not be read.
        """
        start = b"" if after is None else after.key

        def work(connection: sqlite3.Connection) -> list[PointState]:
            place = find_place(connection, collection, namespace)
            rows = connection.execute(_SCROLL, (place.collection, place.namespace, start, limit))
            return [
                PointState(
                    id=PointId(namespace=namespace, coordinate=Coordinate.from_key(key)),
                    version=version,
                )
                for key, version in rows
            ]

        return await self._database.read(work)

    async def drop(self, collection: Collection) -> None:
        """Remove a collection with all its points; see `VectorStore.drop`.

        Raises:
            BackendError: The file could not be written to.
        """

        def work(connection: sqlite3.Connection) -> None:
            for statement in _DROP:
                connection.execute(statement, (collection.name,))

        await self._database.write(work)
        await self._clear_dropped()

    async def collections(self) -> list[Collection]:
        """List the collections that exist, by name.

        Raises:
            BackendError: The file could not be read.
        """
        rows: list[tuple[str, int]] = await self._database.read(
            lambda connection: connection.execute(
                "SELECT name, dimension FROM collection ORDER BY name"
            ).fetchall()
        )
        return [Collection(name=name, dimension=dimension) for name, dimension in rows]

    async def maintain(self) -> None:
        """Remove what nobody needs any more, and write snapshots of large indexes.

        Raises:
            BackendError: The file could not be written to; the next call tries again.
        """
        await self._clear_dropped()
        await self._purge()
        await self._search(self._indexes.save)

    async def scrub(self, places: Mapping[str, Sequence[Coordinate]]) -> str:
        """Let go of removed points in file, indexes and snapshots; see `SupportsScrubbing.scrub`.

        The indexes of the namespaces, in every process, are loaded anew at the next search.

        Raises:
            BackendUnavailableError: Others use the file, or a snapshot cannot be removed; a
                later call does it.
            StorageFullError: There is no room for the file a second time.
            BackendError: The file could not be written to.
        """
        await self._database.write(partial(forget_removed, namespaces=list(places)))
        await self._search(self._indexes.discard_outdated)
        await self._database.rewrite()
        return ""

    async def _clear_dropped(self) -> None:
        """Remove the points of collections that are gone, also those a crash left behind."""
        gone: list[tuple[str, int]] = await self._database.read(
            lambda connection: connection.execute(_DROPPED).fetchall()
        )
        for identity, number in gone:
            while await self._database.write(partial(_clear, number=number)):
                pass
            await self._search(partial(self._indexes.forget, identity, number))

    async def _purge(self) -> None:
        """Remove the oldest tombstones where there are many."""
        places: list[tuple[int, int]] = await self._database.read(
            lambda connection: connection.execute(_TOMBSTONES, (_KEPT_TOMBSTONES,)).fetchall()
        )
        for place in places:
            await self._database.write(partial(_purge, place=place))

    async def _search(self, work: Callable[[], ResultT]) -> ResultT:
        if self._searching is None:
            raise ClosedError(
                "This SQLite store is not open.", remedy="Use it inside `async with`."
            )
        return await run_on(self._searching, work)


def _clear(connection: sqlite3.Connection, *, number: int) -> bool:
    """Remove some points of a dropped collection; tell whether there may be more."""
    removed = connection.execute(_CLEAR, (number, _CHUNK)).rowcount
    if removed < _CHUNK:
        connection.execute("DELETE FROM purged WHERE collection = ?", (number,))
        connection.execute("DELETE FROM dropped WHERE collection = ?", (number,))
    return removed == _CHUNK


def _purge(connection: sqlite3.Connection, *, place: tuple[int, int]) -> None:
    (through,) = connection.execute(_NEWEST_PURGED, (*place, _KEPT_TOMBSTONES)).fetchone()
    connection.execute(
        "INSERT INTO purged (collection, namespace, change) VALUES (?, ?, ?) "
        "ON CONFLICT (collection, namespace) DO UPDATE SET change = excluded.change",
        (*place, through),
    )
    connection.execute(
        "DELETE FROM point WHERE collection = ? AND namespace = ? AND vector IS NULL "
        "AND change <= ?",
        (*place, through),
    )


def _rows(points: Sequence[Point], collection: Collection) -> list[_Row]:
    # Of several for one memory the last counts.
    last = {point.id: point for point in points}.values()
    return [_row(point, collection) for point in last]


def _row(point: Point, collection: Collection) -> _Row:
    check_vector(point.vector, collection, point.id.coordinate)
    return (
        point.id.namespace,
        point.id.coordinate.key,
        point.version,
        point.type.value,
        msgspec.json.encode(point.payload),
        encode_terms(point.terms),
        point.vector.astype("<f4").tobytes(),
    )
