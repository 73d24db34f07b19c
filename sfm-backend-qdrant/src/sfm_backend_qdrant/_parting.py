"""Parts batches, so that a server takes each part as one request and nobody else waits long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sfm_backend_qdrant._encoding import Field, StoredPoint

# A server takes 32 MB, unless it is told otherwise.
PART_BYTES: Final = 8_000_000
PART_POINTS: Final = 500
PART_SEARCHES: Final = 50

_NUMBER_BYTES: Final = 12
_ENTRY_BYTES: Final = 100


def parts(points: Sequence[StoredPoint]) -> Iterator[Sequence[StoredPoint]]:
    """Part points.

    Args:
        points: At least one.

    Yields:
        The points in their order; one that is too large by itself is a part by itself.
    """
    first, size = 0, 0
    for number, point in enumerate(points):
        more = _bytes(point)
        if number > first and (size + more > PART_BYTES or number - first == PART_POINTS):
            yield points[first:number]
            first, size = number, 0
        size += more
    yield points[first:]


def _bytes(point: StoredPoint) -> int:
    """Return about how much JSON a point is."""
    numbers = len(point.vector) + 2 * len(point.words)
    return _NUMBER_BYTES * numbers + _bytes_of(point.fields)


def _bytes_of(fields: Mapping[str, Field]) -> int:
    size = 0
    for value in fields.values():
        if isinstance(value, str):
            # Of a text within JSON, a byte may take two, and a character six.
            size += 2 * len(value.encode())
        elif not isinstance(value, int):
            size += _ENTRY_BYTES * len(value)
    return size
