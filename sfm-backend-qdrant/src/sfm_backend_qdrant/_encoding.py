"""How a memory's point lies in Qdrant.

Its payload is kept as JSON text, beside what filters and listings ask of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from qdrant_client import models

from sfm_backend_qdrant._statements import (
    EQUALS,
    HAS_TEXT,
    HAS_VALUE,
    HOLDS,
    NUMBERS,
    PATH,
    TEXT_KEYS,
    TEXTS,
    TOKENS,
    VALUE,
    path_token,
    text_numbers,
    token,
)
from sfm_backend_qdrant._terms import document_weights, sparse
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import point_id
from sfm_core.model.payload import JsonValue, Payload
from sfm_core.protocols.vector import Point, PointId

DENSE: Final = "dense"
WORDS: Final = "words"

NAMESPACE: Final = "namespace"
COORDINATE: Final = "coordinate"
VERSION: Final = "version"
TYPE: Final = "type"
PAYLOAD: Final = "payload"
ORDER: Final = ("order_0", "order_1", "order_2")

_ORDER_BYTES: Final = 8
_SIGN: Final = 1 << 63

_Field: TypeAlias = "str | int | Sequence[int] | Sequence[Mapping[str, float]]"


def stored_id(of: PointId) -> str:
    """Return the id of a memory's point."""
    return str(point_id(of.namespace, of.coordinate))


def stored_point(point: Point) -> models.PointStruct:
    """Return a point as Qdrant keeps it."""
    vectors: dict[str, models.Vector] = {DENSE: point.vector.tolist()}
    if words := document_weights(point.terms):
        vectors[WORDS] = sparse(words)
    return models.PointStruct(
        id=stored_id(point.id), vector=dict(vectors), payload=dict(_fields(point))
    )


def order_words(coordinate: Coordinate) -> tuple[int, ...]:
    """Return the first bytes of a coordinate's key as numbers that sort as they do."""
    key = coordinate.key.ljust(_ORDER_BYTES * len(ORDER), b"\0")
    starts = range(0, _ORDER_BYTES * len(ORDER), _ORDER_BYTES)
    return tuple(int.from_bytes(key[at : at + _ORDER_BYTES]) - _SIGN for at in starts)


def _fields(point: Point) -> dict[str, _Field]:
    tokens: set[int] = set()
    numbers: set[tuple[int, float]] = set()
    texts: set[tuple[int, ...]] = set()
    for path, value in _values(point.payload, None):
        tokens.add(token(HAS_VALUE, path))
        for each in (value, *_elements(value)):
            tokens.add(token(EQUALS, path, each))
            tokens.update(token(HOLDS, path, element) for element in _elements(each))
            if isinstance(each, str):
                tokens.add(token(HAS_TEXT, path))
                texts.add((path_token(path), *text_numbers(each)))
            elif isinstance(each, int | float) and not isinstance(each, bool):
                numbers.add((path_token(path), float(each)))
    return {
        NAMESPACE: point.id.namespace,
        COORDINATE: point.id.coordinate.key.hex(),
        **dict(zip(ORDER, order_words(point.id.coordinate), strict=True)),
        VERSION: point.version,
        TYPE: point.type.value,
        PAYLOAD: msgspec.json.encode(point.payload).decode(),
        TOKENS: sorted(tokens),
        NUMBERS: [{PATH: path, VALUE: value} for path, value in sorted(numbers)],
        TEXTS: [dict(zip((PATH, *TEXT_KEYS), text, strict=True)) for text in sorted(texts)],
    }


def _values(members: Payload, above: str | None) -> Iterator[tuple[str, JsonValue]]:
    """Go through what each path leads to, as `sfm_core.model.filters` reads paths."""
    for key, value in members.items():
        if "." in key:
            continue
        path = key if above is None else f"{above}.{key}"
        yield path, value
        for part in (value, *_elements(value)):
            if isinstance(part, Mapping):
                yield from _values(part, path)


def _elements(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list | tuple) else ()
