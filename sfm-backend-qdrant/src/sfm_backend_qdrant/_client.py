"""A Qdrant that is asked through its client: a server, or the client's in-process mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from qdrant_client import AsyncQdrantClient, models

from sfm_backend_qdrant._asking import Arm, Ask, Offset, Order
from sfm_backend_qdrant._collections import create, describe, index_missing
from sfm_backend_qdrant._connection import Connection
from sfm_backend_qdrant._encoding import StoredPoint
from sfm_backend_qdrant._parting import parts
from sfm_backend_qdrant._scrubbing import ON_A_SERVER, rewrite_files
from sfm_backend_qdrant._statements import DENSE, WORDS
from sfm_backend_qdrant.settings import QdrantSettings, Quantization

# How a server searches the graph of neighbours; the in-process mode has none.
_WIDELY: Final = models.SearchParams(hnsw_ef=128, acorn=models.AcornSearchParams(enable=True))
_PARAMS: Final = {
    Quantization.NONE: _WIDELY,
    # Scores go into an order with others, so they must be those of the vectors themselves.
    Quantization.SCALAR: _WIDELY.model_copy(
        update={"quantization": models.QuantizationSearchParams(rescore=True, oversampling=2.0)}
    ),
}


@dataclass(frozen=True, slots=True)
class _Found:
    id: str
    fields: Mapping[str, object]
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class _Page:
    points: Sequence[_Found]
    offset: Offset | None


class ClientQdrant:
    """Collections behind an `AsyncQdrantClient`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._settings = connection.settings

    @property
    def settings(self) -> QdrantSettings:
        """What it was made with."""
        return self._settings

    async def open(self) -> None:
        """Open the connection; see `Connection.open`."""
        await self._connection.open()

    async def close(self) -> None:
        """Close the connection; see `Connection.close`."""
        await self._connection.close()

    async def ping(self) -> None:
        """List the names of collections, which also proves that the API key is good."""
        await self.names()

    async def names(self) -> list[str]:
        """List the collections; see `Qdrant.names`."""
        listed = await self._connection.run(lambda client: client.get_collections())
        return [each.name for each in listed.collections]

    async def exists(self, name: str) -> bool:
        """Tell whether there is such a collection."""
        return await self._connection.run(lambda client: client.collection_exists(name))

    async def create(self, name: str, dimension: int) -> None:
        """Make a collection; see `Qdrant.create`."""
        await self._connection.run(lambda client: create(client, name, dimension, self._settings))

    async def complete(self, name: str) -> int | None:
        """Make the indexes that a collection lacks; see `Qdrant.complete`."""
        info = await self._connection.run(lambda client: client.get_collection(name))
        dimension = describe(info)
        # The in-process mode has no indexes.
        if dimension is not None and not self._settings.local:
            await index_missing(self._connection, name, info)
        return dimension

    async def dimension(self, name: str) -> int | None:
        """Return the dimension of a collection; see `Qdrant.dimension`."""
        return describe(await self._connection.run(lambda client: client.get_collection(name)))

    async def upsert(self, name: str, points: Sequence[StoredPoint]) -> None:
        """Write points; see `Qdrant.upsert`."""
        for part in parts(points):
            structs = [struct(point) for point in part]
            await self._connection.run(partial(self._upsert, name, structs))

    async def _upsert(
        self, name: str, structs: list[models.PointStruct], client: AsyncQdrantClient
    ) -> None:
        result = await client.upsert(
            name, points=structs, wait=True, ordering=self._settings.ordering
        )
        _check_applied(result)

    async def delete(self, name: str, ids: Sequence[str]) -> None:
        """Remove points; see `Qdrant.delete`."""
        await self._connection.run(partial(self._delete, name, models.PointIdsList(points=[*ids])))

    async def _delete(
        self, name: str, chosen: models.PointIdsList, client: AsyncQdrantClient
    ) -> None:
        result = await client.delete(
            name, points_selector=chosen, wait=True, ordering=self._settings.ordering
        )
        _check_applied(result)

    async def query(self, name: str, asks: Sequence[Ask]) -> list[list[list[_Found]]]:
        """Search; see `Qdrant.query`."""
        requests = [request for ask in asks for request in self.requests(ask)]
        responses = iter(
            await self._connection.run(
                lambda client: client.query_batch_points(
                    name, requests=requests, consistency=self._settings.consistency
                )
            )
        )
        return [[list(map(_found, next(responses).points)) for _ in ask.arms] for ask in asks]

    async def scroll(
        self,
        name: str,
        condition: models.Filter,
        fields: list[str],
        *,
        size: int,
        order: Order | None = None,
        offset: Offset | None = None,
    ) -> _Page:
        """List points; see `Qdrant.scroll`."""
        by = None if order is None else models.OrderBy(key=order.key, start_from=order.start)
        records, following = await self._connection.run(
            lambda client: client.scroll(
                name,
                scroll_filter=condition,
                order_by=by,
                limit=size,
                offset=offset,
                with_payload=fields,
                consistency=self._settings.consistency,
            )
        )
        points = [_Found(str(record.id), record.payload or {}) for record in records]
        return _Page(points, None if following is None else str(following))

    async def drop(self, name: str) -> None:
        """Remove a collection; see `Qdrant.drop`."""
        await self._connection.run(lambda client: client.delete_collection(name))

    async def scrub(self) -> str:
        """Let go of what files have of removed points; see `Qdrant.scrub`."""
        if not self._settings.local:
            return ON_A_SERVER
        if self._settings.folder is not None:
            await self._connection.run(partial(self._rewrite, self._settings.folder))
        return ""

    async def _rewrite(self, folder: Path, _client: AsyncQdrantClient) -> None:
        # In the thread in which the client's own calls run one after another.
        rewrite_files(folder)

    def requests(self, ask: Ask) -> list[models.QueryRequest]:
        """Return one request for each arm; see `Qdrant.query`."""
        params = self._params(ask.corpus)
        queries = [(arm.using, _nearest(arm)) for arm in ask.arms]
        several = len(queries) > 1
        chosen = [
            models.Prefetch(
                query=query,
                using=using,
                filter=ask.condition,
                params=params.get(using),
                limit=ask.size,
            )
            for using, query in queries
        ]
        return [
            models.QueryRequest(
                prefetch=chosen if several else None,
                query=query,
                using=using,
                filter=None if several else ask.condition,
                params=params.get(using),
                limit=len(queries) * ask.size,
                with_payload=ask.fields if number == 0 else False,
            )
            for number, (using, query) in enumerate(queries)
        ]

    def _params(self, corpus: models.Filter) -> dict[str, models.SearchParams]:
        params: dict[str, models.SearchParams] = {}
        if not self._settings.local:
            params[DENSE] = _PARAMS[self._settings.quantization]
        if self._connection.counts_by_namespace:
            counted = models.IdfCorpusParams(corpus=corpus)
            params[WORDS] = models.SearchParams(idf=counted)
        return params


def _check_applied(result: models.UpdateResult) -> None:
    """Tell a write that a search may not see yet from one that it sees.

    Raises:
        TimeoutError: The server has written it down only.
    """
    if result.status is models.UpdateStatus.WAIT_TIMEOUT:
        raise TimeoutError


def struct(point: StoredPoint) -> models.PointStruct:
    """Return a point as the client sends it."""
    vectors: dict[str, models.Vector] = {DENSE: point.vector.tolist()}
    if point.words:
        vectors[WORDS] = _sparse(point.words)
    return models.PointStruct(id=point.id, vector=dict(vectors), payload=dict(point.fields))


def _nearest(arm: Arm) -> models.NearestQuery:
    if arm.vector is not None:
        return models.NearestQuery(nearest=arm.vector.tolist())
    return models.NearestQuery(nearest=_sparse(arm.words or {}))


def _sparse(weights: Mapping[int, float]) -> models.SparseVector:
    indices = sorted(weights)
    return models.SparseVector(indices=indices, values=[weights[index] for index in indices])


def _found(point: models.ScoredPoint) -> _Found:
    return _Found(str(point.id), point.payload or {}, point.score)
