"""Who is linked with whom, in an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from sfm_backend_sqlite._database import SqliteDatabase
from sfm_backend_sqlite._namespaces import Namespaces, allot
from sfm_backend_sqlite._port import SqlitePort
from sfm_core.clock import Clock
from sfm_core.model.coordinate import Coordinate
from sfm_core.porting import check_batch
from sfm_core.protocols.graph import Direction, Edge, EdgeId

_UPSERT = (
    "INSERT INTO edge (namespace, source, type, target, weight, version) "
    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (namespace, source, type, target) "
    "DO UPDATE SET weight = excluded.weight, version = excluded.version"
)
_DELETE = "DELETE FROM edge WHERE namespace = ? AND source = ? AND type = ? AND target = ?"
_OUT = (
    "SELECT source, type, target, weight, version FROM edge INDEXED BY edge_out "
    "WHERE namespace = :namespace AND source = :node AND (:type IS NULL OR type = :type) "
    "ORDER BY weight, target, type LIMIT :limit"
)
_IN = (
    "SELECT source, type, target, weight, version FROM edge INDEXED BY edge_in "
    "WHERE namespace = :namespace AND target = :node AND (:type IS NULL OR type = :type) "
    "ORDER BY weight, source, type LIMIT :limit"
)
_SCROLL = (
    "SELECT source, type, target, weight, version FROM edge "
    "WHERE namespace = ? AND (source, type, target) > (?, ?, ?) "
    "ORDER BY source, type, target LIMIT ?"
)
# Rows per transaction, so that emptying a large namespace lets others write in between.
_DROP_CHUNK = 5_000
_DROP = (
    "DELETE FROM edge WHERE (namespace, source, type, target) IN "
    "(SELECT namespace, source, type, target FROM edge WHERE namespace = ? LIMIT ?)"
)
_Row = tuple[bytes, str, bytes, float, int]


class SqliteGraphStore(SqlitePort):
    """Edges in one table, and in two indexes in the order in which neighbours are answered."""

    def __init__(self, database: SqliteDatabase, clock: Clock) -> None:
        super().__init__(database, clock)
        self._namespaces = Namespaces()

    async def apply(
        self, namespace: str, *, upserts: Sequence[Edge] = (), deletes: Sequence[EdgeId] = ()
    ) -> None:
        """Write and remove edges in one transaction; see `GraphStore.apply`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` of either.
            BackendError: The file could not be written to; nothing was changed.
        """
        check_batch(len(upserts), "upserts")
        check_batch(len(deletes), "deletes")
        database = self._database
        if not upserts and not deletes:
            return
        written = [(*_identity(edge.id), edge.weight, edge.version) for edge in upserts]
        removed = [_identity(edge) for edge in deletes]

        def work(connection: sqlite3.Connection) -> None:
            number = allot(connection, namespace)
            connection.executemany(_UPSERT, [(number, *row) for row in written])
            connection.executemany(_DELETE, [(number, *row) for row in removed])

        await database.write(work)

    async def neighbors(
        self,
        namespace: str,
        nodes: Sequence[Coordinate],
        *,
        direction: Direction = Direction.OUT,
        link_type: str | None = None,
        limit: int,
    ) -> list[list[Edge]]:
        """Find the edges at many nodes; see `GraphStore.neighbors`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` nodes.
            BackendError: The file could not be read.
        """
        check_batch(len(nodes), "nodes")
        database = self._database
        if not nodes:
            return []
        statement = _OUT if direction is Direction.OUT else _IN
        keys = [node.key for node in nodes]

        def work(connection: sqlite3.Connection) -> list[list[Edge]]:
            number = self._namespaces.find(connection, namespace)
            asked = {"namespace": number, "type": link_type, "limit": limit}
            return [_edges(connection.execute(statement, asked | {"node": key})) for key in keys]

        return await database.read(work)

    async def scroll(self, namespace: str, *, after: EdgeId | None, limit: int) -> list[Edge]:
        """List the edges of a namespace in the order of `link_key`.

        Raises:
            BackendError: The file could not be read.
        """
        start = (b"", "", b"") if after is None else _identity(after)

        def work(connection: sqlite3.Connection) -> list[Edge]:
            number = self._namespaces.find(connection, namespace)
            return _edges(connection.execute(_SCROLL, (number, *start, limit)))

        return await self._database.read(work)

    async def drop(self, namespace: str) -> None:
        """Remove every edge of a namespace, in several transactions where there are many.

        Raises:
            BackendError: The file could not be written to; some edges may be gone.
        """

        def work(connection: sqlite3.Connection) -> int:
            number = allot(connection, namespace)
            return connection.execute(_DROP, (number, _DROP_CHUNK)).rowcount

        while await self._database.write(work):
            pass


def _identity(edge: EdgeId) -> tuple[bytes, str, bytes]:
    return edge.source.key, edge.type, edge.target.key


def _edges(rows: Iterable[_Row]) -> list[Edge]:
    return [
        Edge(
            id=EdgeId(
                source=Coordinate.from_key(source), type=kind, target=Coordinate.from_key(target)
            ),
            weight=weight,
            version=version,
        )
        for source, kind, target, weight, version in rows
    ]
