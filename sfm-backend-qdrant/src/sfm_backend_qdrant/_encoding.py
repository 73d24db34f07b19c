"""How a memory's point lies in Qdrant.

Payloads have no schema, and Qdrant's own paths, comparisons and absent values
differ from those of `sfm_core.model.filters`. So a payload is kept as JSON
text, and what filters ask of it in a form of our own, whose fields are always
the same and have an index each:

- `tokens`: one 64-bit hash for each statement about a path that an equality
  can ask for ("has a value", "has this value", "has an array with this
  element", "has text").
- `numbers`: each number, with the hash of its path.
- `texts`: the first 24 bytes of each text as four numbers that sort as the
  text does, with its length and the hash of its path.

Two different statements have the same hash in about one of 10^19 pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Final, TypeAlias

import msgspec
from qdrant_client import models

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
TOKENS: Final = "tokens"
NUMBERS: Final = "numbers"
TEXTS: Final = "texts"
ORDER: Final = ("order_0", "order_1", "order_2")

PATH: Final = "path"
VALUE: Final = "value"
TEXT_KEYS: Final = ("word_0", "word_1", "word_2", "word_3", "bytes")
TEXT_PREFIX_BYTES: Final = 24

HAS_VALUE: Final = "?"
EQUALS: Final = "="
HOLDS: Final = "@"
HAS_TEXT: Final = "t"

BM25_K1: Final = 0.9
BM25_B: Final = 0.4
AVERAGE_LENGTH: Final = 32.0
"""What lengths of texts are compared with.

Qdrant knows how rare a term is, but not how long texts are on average, and a
weight, once written, stays. A fixed average only moves the point where length
begins to count against a text; the order among texts of one length is as ever.
"""

_ORDER_BYTES: Final = 8
_WORD_BYTES: Final = 6
_SIGN: Final = 1 << 63
_WHOLE: Final = (-(2.0**63), 2.0**64)

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


def sparse(weights: Mapping[int, float]) -> models.SparseVector:
    """Return a sparse vector, its indexes in order."""
    indices = sorted(weights)
    return models.SparseVector(indices=indices, values=[weights[index] for index in indices])


def document_weights(terms: Mapping[str, float]) -> dict[int, float]:
    """Return what BM25 gives each term of a text, apart from its rarity."""
    counted = {term: weight for term, weight in terms.items() if weight > 0.0}
    length = sum(counted.values())
    norm = BM25_K1 * (1.0 - BM25_B + BM25_B * length / AVERAGE_LENGTH)
    weights: dict[int, float] = {}
    for term, frequency in counted.items():
        index = term_index(term)
        weight = frequency * (BM25_K1 + 1.0) / (frequency + norm)
        weights[index] = weights.get(index, 0.0) + weight
    return weights


def query_weights(terms: Mapping[str, float] | None) -> dict[int, float]:
    """Return the weight of each term of a question; Qdrant multiplies in its rarity."""
    weights: dict[int, float] = {}
    for term, weight in (terms or {}).items():
        if weight > 0.0:
            index = term_index(term)
            weights[index] = weights.get(index, 0.0) + weight
    return weights


def term_index(term: str) -> int:
    """Return the place of a term in sparse vectors: 32 bits that depend on nothing else."""
    return int.from_bytes(blake2b(term.encode(), digest_size=4).digest())


def order_words(coordinate: Coordinate) -> tuple[int, ...]:
    """Return the first bytes of a coordinate's key as numbers that sort as they do."""
    key = coordinate.key.ljust(_ORDER_BYTES * len(ORDER), b"\0")
    starts = range(0, _ORDER_BYTES * len(ORDER), _ORDER_BYTES)
    return tuple(int.from_bytes(key[at : at + _ORDER_BYTES]) - _SIGN for at in starts)


def path_token(path: str) -> int:
    """Return what stands for a path in `numbers` and `texts`."""
    return token(PATH, path)


def token(kind: str, path: str, value: JsonValue = None) -> int:
    """Return what stands for a statement about a path: 64 bits, signed as Qdrant wants it."""
    said = msgspec.json.encode([kind, path, _canonical(value)], order="deterministic")
    return int.from_bytes(blake2b(said, digest_size=8).digest(), signed=True)


def text_numbers(text: str) -> tuple[int, ...]:
    """Return numbers that sort as texts do, as far as the first 24 bytes tell.

    Of two texts with the same first four numbers, where one has at most 24
    bytes, the fifth, the length, tells which is less: the longer one goes on
    with zero bytes where the other ends.
    """
    raw = text.encode()
    head = raw[:TEXT_PREFIX_BYTES].ljust(TEXT_PREFIX_BYTES, b"\0")
    starts = range(0, TEXT_PREFIX_BYTES, _WORD_BYTES)
    return (*(int.from_bytes(head[at : at + _WORD_BYTES]) for at in starts), len(raw))


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


def _canonical(value: JsonValue) -> JsonValue:
    """Write equal values in one way: whole floats as integers."""
    if isinstance(value, float) and value.is_integer() and _WHOLE[0] <= value < _WHOLE[1]:
        return int(value)
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value
