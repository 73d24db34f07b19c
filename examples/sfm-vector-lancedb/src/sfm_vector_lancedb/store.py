"""The vector port on LanceDB: it keeps the points and compares vectors, the core does the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import lancedb
import pyarrow as pa

from sfm_core.errors import ConfigurationError
from sfm_core.model.coordinate import Coordinate
from sfm_core.porting import ServedPort, SharedResource, check_batch, check_vector, only_user
from sfm_core.protocols import vector as port
from sfm_core.search.points import PointIndex, columns, decode_point, row_id


class Table(NamedTuple):
    """The rows of a collection, and beside them what the core looks at."""

    collection: port.Collection
    rows: lancedb.AsyncTable
    known: PointIndex


class Database(SharedResource):
    """A folder of tables."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.turn = asyncio.Lock()

    async def _take(self, stack: AsyncExitStack) -> None:
        stack.enter_context(only_user(self.folder, scheme="lancedb"))
        self.connection = await lancedb.connect_async(self.folder)
        stack.callback(self.connection.close)
        self.tables: dict[str, Table] = {}
        for name in (await self.connection.list_tables()).tables:
            rows, known = await self.connection.open_table(name), PointIndex()
            points = await rows.query().select(["point"]).to_arrow()
            known.put(map(decode_point, points["point"].to_pylist()))
            dimension = (await rows.schema()).field("vector").type.list_size
            self.tables[name] = Table(port.Collection(name=name, dimension=dimension), rows, known)


class LanceVectorStore(ServedPort[Database]):
    """Exact search over the rows that namespace, type and filter leave."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, scheme="lancedb", shared=False)

    async def ping(self) -> None:
        await self._opened.connection.list_tables(limit=1)

    async def ensure(self, collection: port.Collection) -> None:
        database = self._opened
        async with database.turn:
            if collection.name not in database.tables:
                fields = dict.fromkeys(("id", "namespace", "point"), pa.string())
                fields["vector"] = pa.list_(pa.float32(), collection.dimension)
                create = database.connection.create_table
                rows = await create(collection.name, schema=pa.schema(fields), mode="overwrite")
                database.tables[collection.name] = Table(collection, rows, PointIndex())
        if database.tables[collection.name].collection != collection:
            raise ConfigurationError(f"{collection.name} has another dimension; drop it first.")

    async def upsert(self, collection: port.Collection, points: Sequence[port.Point]) -> None:
        table = self._table(collection, points)
        for point in points:
            check_vector(point.vector, collection, point.id.coordinate)
        async with self._opened.turn:
            merge = table.rows.merge_insert("id")
            merge = merge.when_matched_update_all().when_not_matched_insert_all()
            await merge.execute(pa.table(columns(points), schema=await table.rows.schema()))
            table.known.put(points)

    async def delete(self, collection: port.Collection, ids: Sequence[port.PointId]) -> None:
        table = self._table(collection, ids)
        async with self._opened.turn:
            await table.rows.delete(_among(ids))
            table.known.remove(ids)

    async def search(
        self, collection: port.Collection, queries: Sequence[port.VectorQuery]
    ) -> list[port.SearchResult]:
        table = self._table(collection, queries)
        return [await _answer(table, query) for query in queries]

    async def scroll(
        self, collection: port.Collection, namespace: str, *, after: Coordinate | None, limit: int
    ) -> list[port.PointState]:
        return self._table(collection).known.page(namespace, after, limit)

    async def drop(self, collection: port.Collection) -> None:
        async with self._opened.turn:
            self._opened.tables.pop(collection.name, None)
            await self._opened.connection.drop_table(collection.name, ignore_missing=True)

    async def collections(self) -> list[port.Collection]:
        return [table.collection for _, table in sorted(self._opened.tables.items())]

    async def maintain(self) -> None:
        """Merge small files, and remove those of older versions."""
        for table in list(self._opened.tables.values()):
            await table.rows.optimize(cleanup_older_than=timedelta(minutes=10))

    def _table(self, collection: port.Collection, batch: Sequence[object] = ()) -> Table:
        check_batch(len(batch), "batch")
        if collection.name not in self._opened.tables:
            raise ConfigurationError(f"There is no collection {collection.name}; ensure it first.")
        return self._opened.tables[collection.name]


async def _answer(table: Table, query: port.VectorQuery) -> port.SearchResult:
    look = table.known.look(query)
    if query.vector is None:
        return look.result(None)
    check_vector(query.vector, table.collection)
    quoted = query.namespace.replace("'", "''")
    allowed = f"namespace = '{quoted}'" if look.everything else _among(look.allowed)
    cosines: dict[port.PointId, float] = {}
    for where, limit in ((allowed, query.limit), (_among(look.spoken), len(look.spoken) or 1)):
        search = table.rows.vector_search(query.vector).distance_type("cosine")
        for row in await search.where(where).limit(limit).select(["point", "_distance"]).to_list():
            cosines[decode_point(row["point"]).id] = 1.0 - row["_distance"]
    return look.result(cosines)


def _among(ids: Sequence[port.PointId]) -> str:
    names = ", ".join(f"'{row_id(one)}'" for one in ids)
    return f"id IN ({names})" if names else "false"
