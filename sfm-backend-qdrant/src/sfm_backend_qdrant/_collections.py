"""Collections and their payload indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from qdrant_client import AsyncQdrantClient, models

from sfm_backend_qdrant._connection import Connection
from sfm_backend_qdrant._encoding import NAMESPACE, ORDER, TYPE
from sfm_backend_qdrant._statements import (
    DENSE,
    NUMBERS,
    PATH,
    TEXT_KEYS,
    TEXTS,
    TOKENS,
    VALUE,
    WORDS,
)
from sfm_backend_qdrant.settings import QdrantSettings, Quantization

_KEYWORD: Final = models.KeywordIndexType.KEYWORD


def _integer(*, sorted: bool, inside: str | None = None) -> models.IntegerIndexParams:  # noqa: A002 - what it is
    integer = models.IntegerIndexType.INTEGER
    return models.IntegerIndexParams(
        type=integer, lookup=True, range=sorted, nested=inside, enable_hnsw=False
    )


INDEXES: Final[dict[str, models.PayloadSchemaParams]] = {
    NAMESPACE: models.KeywordIndexParams(type=_KEYWORD, is_tenant=True),
    TYPE: models.KeywordIndexParams(type=_KEYWORD, enable_hnsw=False),
    TOKENS: _integer(sorted=False),
    f"{NUMBERS}[].{PATH}": _integer(sorted=False, inside=NUMBERS),
    f"{NUMBERS}[].{VALUE}": models.FloatIndexParams(
        type=models.FloatIndexType.FLOAT, nested=NUMBERS, enable_hnsw=False
    ),
    f"{TEXTS}[].{PATH}": _integer(sorted=False, inside=TEXTS),
    **{f"{TEXTS}[].{key}": _integer(sorted=True, inside=TEXTS) for key in TEXT_KEYS},
    **{key: _integer(sorted=True) for key in ORDER},
}
"""Every field that a condition or an order names, so that strict mode has nothing to refuse.

Only namespaces get neighbours of their own in the graph, which for all fields would take many
times as long to build. Where other conditions leave few points, these are compared one by one up
to `SCAN_KILOBYTES`, and beyond that found by way of points that do not match (ACORN).
"""

SCAN_KILOBYTES: Final = 60_000


def shape(dimension: int, settings: QdrantSettings) -> models.CreateCollection:
    """Return how a collection is made.

    Vectors are normalised by the engine, so their dot product is the cosine.
    """
    replicas, quantized = settings.replicas, settings.quantization is Quantization.SCALAR
    scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
    dense = models.VectorParams(
        size=dimension,
        distance=models.Distance.DOT,
        hnsw_config=models.HnswConfigDiff(full_scan_threshold=SCAN_KILOBYTES),
        on_disk=True if quantized else None,
        quantization_config=models.ScalarQuantization(scalar=scalar) if quantized else None,
    )
    return models.CreateCollection(
        vectors={DENSE: dense},
        sparse_vectors={WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        # One is left to the server, which may have been told to make more of its own accord.
        replication_factor=replicas if replicas > 1 else None,
        write_consistency_factor=replicas // 2 + 1 if replicas > 1 else None,
        shard_number=settings.shards or None,
    )


async def create(
    client: AsyncQdrantClient, name: str, dimension: int, settings: QdrantSettings
) -> bool:
    """Make a collection; fails where there is one of that name."""
    wanted = shape(dimension, settings)
    return await client.create_collection(
        name,
        vectors_config=wanted.vectors,
        sparse_vectors_config=wanted.sparse_vectors,
        replication_factor=wanted.replication_factor,
        write_consistency_factor=wanted.write_consistency_factor,
        shard_number=wanted.shard_number,
    )


def describe(info: models.CollectionInfo) -> int | None:
    """Return the dimension of a collection of ours, `None` for one that is not."""
    vectors = info.config.params.vectors
    words = info.config.params.sparse_vectors or {}
    if not isinstance(vectors, dict) or DENSE not in vectors or WORDS not in words:
        return None
    return vectors[DENSE].size


async def index_missing(connection: Connection, name: str, info: models.CollectionInfo) -> None:
    """Make those indexes that a collection does not have.

    Each element of an array has an entry of its own where the server can: otherwise a condition
    on an element reads every point that the index leaves, which takes ten times as long.

    Making one again changes nothing, so two processes may do it at once, and
    one that died in the middle is caught up with.
    """
    indexes = INDEXES if connection.indexes_elements else _flat(INDEXES)
    for field, schema in indexes.items():
        if field not in info.payload_schema:

            async def make(
                client: AsyncQdrantClient,
                field: str = field,
                schema: models.PayloadSchemaParams = schema,
            ) -> None:
                await client.create_payload_index(name, field, field_schema=schema, wait=True)

            await connection.run(make)


def _flat(
    indexes: Mapping[str, models.PayloadSchemaParams],
) -> dict[str, models.PayloadSchemaParams]:
    return {field: schema.model_copy(update={"nested": None}) for field, schema in indexes.items()}
