"""Points and queries as parameters of statements."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from sfm_backend_postgres._filters import encode_json
from sfm_backend_postgres._packing import (
    pack_bigints,
    pack_bytes,
    pack_doubles,
    pack_integers,
    pack_reals,
    pack_texts,
)
from sfm_core.porting import check_vector
from sfm_core.protocols.vector import Collection, Point, PointId, VectorQuery

_STRIPES = 256


def points_to_write(collection: Collection, points: Sequence[Point]) -> dict[str, object]:
    """Return the parameters of `sfm.write_points`.

    Raises:
        InvalidInputError: A vector of another length than the collection's.
    """
    # Of several for one memory the last counts.
    last = list({point.id: point for point in points}.values())
    for point in last:
        check_vector(point.vector, collection, point.id.coordinate)
    terms = [_counting(point.terms) for point in last]
    words = [(place, *word) for place, one in enumerate(terms, 1) for word in one.items()]
    return points_to_delete(collection, [point.id for point in last]) | {
        "size": collection.dimension,
        "versions": pack_bigints([point.version for point in last]),
        "types": pack_texts([point.type.value for point in last]),
        "payloads": pack_texts([encode_json(point.payload) for point in last]),
        "lengths": pack_doubles([sum(one.values()) for one in terms]),
        "vectors": pack_reals(np.concatenate([point.vector for point in last])),
        "holders": pack_integers([place for place, _, _ in words]),
        "terms": pack_bytes([term.encode() for _, term, _ in words]),
        "weights": pack_reals(np.array([weight for _, _, weight in words], np.float32)),
    }


def points_to_delete(collection: Collection, ids: Sequence[PointId]) -> dict[str, object]:
    """Return the parameters of `sfm.delete_points`."""
    return {
        "collection": collection.name,
        "stripes": pack_integers(_stripes(ids)),
        "namespaces": pack_texts([one.namespace for one in ids]),
        "coordinates": pack_bytes([one.coordinate.key for one in ids]),
    }


def query_parameters(collection: Collection, query: VectorQuery) -> dict[str, object]:
    """Return the parameters of a search, without those of its filter.

    Raises:
        InvalidInputError: A vector of another length than the collection's.
    """
    vector = query.vector
    if vector is None:
        # Planning looks at it even where nothing is compared with it.
        vector = np.zeros(collection.dimension, np.float32)
    check_vector(vector, collection)
    terms = _counting(query.terms or {})
    return {
        "collection": collection.name,
        "namespace": query.namespace,
        "limit": query.limit,
        "dense": query.vector is not None,
        "vector": pack_reals(vector),
        "terms": pack_bytes([term.encode() for term in terms]),
        "weights": pack_reals(np.array(list(terms.values()), np.float32)),
    }


def _counting(terms: Mapping[str, float]) -> dict[str, float]:
    return {term: weight for term, weight in terms.items() if weight > 0.0}


def _stripes(ids: Iterable[PointId]) -> list[int]:
    return sorted(
        {
            zlib.crc32(one.coordinate.key, zlib.crc32(one.namespace.encode())) % _STRIPES
            for one in ids
        }
    )
