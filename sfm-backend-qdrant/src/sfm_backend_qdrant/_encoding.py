"""How a memory's point lies in Qdrant.

Its payload is kept as JSON text, beside what filters and listings ask of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

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
from sfm_backend_qdrant._terms import document_weights
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import point_id
from sfm_core.model.payload import JsonValue, Payload
from sfm_core.protocols.vector import Point, PointId

NAMESPACE: Final = "namespace"
COORDINATE: Final = "coordinate"
VERSION: Final = "version"
TYPE: Final = "type"
PAYLOAD: Final = "payload"
ORDER: Final = ("order_0", "order_1", "order_2", "order_3")

# Qdrant reads where an ordered listing begins as a 64-bit float, which tells integers apart
# up to 53 bits.
_ORDER_BYTES: Final = 6

Field: TypeAlias = "str | int | Sequence[int] | Sequence[Mapping[str, float]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPoint:
    """A point as Qdrant keeps it.

    Attributes:
        id: See `stored_id`.
        vector: What the dense arm compares.
        words: What the keyword arm compares; empty for a memory without terms.
        fields: Its payload.
    """

    id: str
    vector: NDArray[np.float32]
    words: Mapping[int, float]
    fields: Mapping[str, Field]


def stored_id(of: PointId) -> str:
    """Return the id of a memory's point."""
    return str(point_id(of.namespace, of.coordinate))


def stored_point(point: Point) -> StoredPoint:
    """Return a point as Qdrant keeps it."""
    return StoredPoint(
        id=stored_id(point.id),
        vector=point.vector,
        words=document_weights(point.terms),
        fields=_fields(point),
    )


def order_words(coordinate: Coordinate) -> tuple[int, ...]:
    """Return the first bytes of a coordinate's key as numbers that sort as they do."""
    key = coordinate.key.ljust(_ORDER_BYTES * len(ORDER), b"\0")
    starts = range(0, _ORDER_BYTES * len(ORDER), _ORDER_BYTES)
    return tuple(int.from_bytes(key[at : at + _ORDER_BYTES]) for at in starts)


def _fields(point: Point) -> dict[str, Field]:
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
