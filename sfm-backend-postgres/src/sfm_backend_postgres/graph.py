"""Who is linked with whom, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg.rows import TupleRow

from sfm_backend_postgres._packing import pack_bigints, pack_bytes, pack_texts
from sfm_backend_postgres._port import PostgresPort
from sfm_backend_postgres._statements import statements
from sfm_backend_postgres._types import Connection
from sfm_backend_postgres._variables import SCHEME
from sfm_core.errors import LimitExceededError, UnsupportedError
from sfm_core.model.coordinate import Coordinate
from sfm_core.porting import check_batch, check_limit
from sfm_core.protocols.graph import Direction, Edge, EdgeId

_SQL = statements("graph")
_DROP_PORTION = 5_000
_TOO_FAR = "SFM02"
_NO_TEMPORARY_TABLES = frozenset({"42501", "25006"})


class PostgresGraphStore(PostgresPort):
    """Edges in one table, and in two indexes in the order in which neighbours are answered."""

    async def apply(
        self, namespace: str, *, upserts: Sequence[Edge] = (), deletes: Sequence[EdgeId] = ()
    ) -> None:
        """Write and remove edges in one transaction; see `GraphStore.apply`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` of either.
            BackendError: The database was not reached or could not be written to.
        """
        check_batch(len(upserts), "upserts")
        check_batch(len(deletes), "deletes")
        database = self._database
        if not upserts and not deletes:
            return
        # In one order everywhere, so that two calls seldom wait for each other.
        edges = [edge for _, edge in sorted({_identity(edge.id): edge for edge in upserts}.items())]
        written = _columns(namespace, [_identity(edge.id) for edge in edges]) | {
            "weights": [edge.weight for edge in edges],
            "versions": pack_bigints([edge.version for edge in edges]),
        }
        removed = _columns(namespace, sorted({_identity(edge) for edge in deletes}))

        async def work(connection: Connection) -> None:
            async with connection.pipeline(), connection.transaction():
                if upserts:
                    await connection.execute(_SQL["upsert"], written)
                if deletes:
                    await connection.execute(_SQL["delete"], removed)

        await database.run(work)

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
            LimitExceededError: More than `MAX_BATCH` nodes, or a limit out of bounds.
            BackendError: The database was not reached.
        """
        check_batch(len(nodes), "nodes")
        check_limit(limit)
        database = self._database
        if not nodes:
            return []
        name = "neighbors_out" if direction is Direction.OUT else "neighbors_in"
        rows: list[tuple[int, bytes, str, bytes, float, int]] = await database.fetch(
            _SQL[name],
            {
                "namespace": namespace,
                "nodes": pack_bytes([node.key for node in nodes]),
                "link_type": link_type,
                "limit": limit,
            },
        )
        found = [list[Edge]() for _ in nodes]
        for place, *edge in rows:
            found[place - 1].append(_edge(tuple(edge)))
        return found

    async def shortest_path(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        link_type: str | None,
        max_nodes: int,
    ) -> list[EdgeId] | None:
        """Find a path in one round trip; see `SupportsShortestPath.shortest_path`.

        Raises:
            LimitExceededError: More than `max_nodes` nodes are nearer than the target.
            UnsupportedError: This user may not make temporary tables, or not write.
            BackendError: The database was not reached.
        """
        database = self._database
        if source == target:
            return []
        asked = {
            "namespace": namespace,
            "source": source.key,
            "target": target.key,
            "link_type": link_type,
            "max_nodes": max_nodes,
        }

        async def work(connection: Connection) -> list[TupleRow]:
            try:
                cursor = await connection.execute(_SQL["shortest_path"], asked, binary=True)
                return await cursor.fetchall()
            except psycopg.Error as error:
                raise _of_search(error) from error

        return [_edge_id(*row) for row in await database.run(work)] or None

    async def scroll(self, namespace: str, *, after: EdgeId | None, limit: int) -> list[Edge]:
        """List the edges of a namespace in the order of `link_key`.

        Raises:
            LimitExceededError: The limit is out of bounds.
            BackendError: The database was not reached.
        """
        check_limit(limit)
        source, kind, target = (b"", "", b"") if after is None else _identity(after)
        rows = await self._database.fetch(
            _SQL["scroll"],
            {
                "namespace": namespace,
                "source": source,
                "type": kind,
                "target": target,
                "limit": limit,
            },
        )
        return list(map(_edge, rows))

    async def drop(self, namespace: str) -> None:
        """Remove every edge of a namespace, in several transactions where there are many.

        Raises:
            BackendError: The database was not reached or could not be written
                to; some edges may be gone.
        """
        portion = {"namespace": namespace, "limit": _DROP_PORTION}
        while (await self._database.fetch(_SQL["drop_some"], portion))[0][0]:
            pass


def _identity(edge: EdgeId) -> tuple[bytes, str, bytes]:
    return edge.source.key, edge.type, edge.target.key


def _columns(namespace: str, edges: Sequence[tuple[bytes, str, bytes]]) -> dict[str, object]:
    return {
        "namespace": namespace,
        "sources": pack_bytes([source for source, _, _ in edges]),
        "types": pack_texts([kind for _, kind, _ in edges]),
        "targets": pack_bytes([target for _, _, target in edges]),
    }


def _edge(row: TupleRow) -> Edge:
    source, kind, target, weight, version = row
    return Edge(id=_edge_id(source, kind, target), weight=weight, version=version)


def _edge_id(source: bytes, kind: str, target: bytes) -> EdgeId:
    return EdgeId(source=Coordinate.from_key(source), type=kind, target=Coordinate.from_key(target))


def _of_search(error: psycopg.Error) -> Exception:
    if error.sqlstate == _TOO_FAR:
        return LimitExceededError(
            f"There is {error.diag.message_primary}.",
            field="to",
            remedy="Narrow the search with link_type.",
        )
    if error.sqlstate in _NO_TEMPORARY_TABLES:
        return UnsupportedError(
            "Paths cannot be searched for inside this database.",
            backend=SCHEME,
            remedy="Grant the user TEMPORARY on it, on a server that may be written to.",
        )
    return error
