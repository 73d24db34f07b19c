"""Arrays in PostgreSQL's binary form.

The driver makes an array element by element in Python. One commit has twenty of
them, which would take longer than the server takes for the whole commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from struct import Struct, pack
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEAD: Final = Struct(">iiIii")
_LENGTH: Final = Struct(">i")
_NOTHING: Final = _LENGTH.pack(-1)
_BYTEA, _BIGINT, _INTEGER, _TEXT, _TIMESTAMPTZ = 17, 20, 23, 25, 1184
_REAL, _DOUBLE = 700, 701
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Packed(bytes):
    """An array in its binary form; the statement says of which type."""

    __slots__ = ()


class PackedDumper(Dumper):
    """Hands packed arrays to the driver as they are; register it for `Packed`."""

    format = Format.BINARY

    def dump(self, obj: Packed) -> Packed:
        """Return what is sent."""
        return obj


def _none(element: int) -> Packed:
    return Packed(pack(">iiI", 0, 0, element))


_NO_BYTES: Final = _none(_BYTEA)
_NO_TEXTS: Final = _none(_TEXT)
_NO_INTEGERS: Final = _none(_INTEGER)
_NO_BIGINTS: Final = _none(_BIGINT)
_NO_TIMES: Final = _none(_TIMESTAMPTZ)


def pack_bytes(items: Sequence[bytes | None]) -> Packed:
    """Pack a `bytea[]`."""
    if not items:
        return _NO_BYTES
    parts: list[bytes] = []
    for item in items:
        if item is None:
            parts.append(_NOTHING)
        else:
            parts += (_LENGTH.pack(len(item)), item)
    return _packed(_BYTEA, len(items), b"".join(parts), holes=None in items)


def pack_texts(items: Sequence[str]) -> Packed:
    """Pack a `text[]`."""
    if not items:
        return _NO_TEXTS
    encoded = [item.encode() for item in items]
    return _packed(_TEXT, len(encoded), pack_bytes(encoded)[_HEAD.size :])


def pack_integers(items: Sequence[int]) -> Packed:
    """Pack an `integer[]`."""
    if not items:
        return _NO_INTEGERS
    return _packed(_INTEGER, len(items), pack(f">{2 * len(items)}i", *_with_lengths(4, items)))


def pack_bigints(items: Sequence[int]) -> Packed:
    """Pack a `bigint[]`."""
    if not items:
        return _NO_BIGINTS
    return _packed(_BIGINT, len(items), pack(f">{'iq' * len(items)}", *_with_lengths(8, items)))


def pack_times(items: Sequence[datetime]) -> Packed:
    """Pack a `timestamptz[]`."""
    if not items:
        return _NO_TIMES
    moments = pack_bigints([(item - _EPOCH) // _MICROSECOND for item in items])
    return _packed(_TIMESTAMPTZ, len(items), moments[_HEAD.size :])


def pack_reals(numbers: NDArray[np.float32]) -> Packed:
    """Pack a `real[]`, of one dimension whatever the array has."""
    return _pack_numbers(_REAL, numbers, ">f4")


def pack_doubles(items: Sequence[float]) -> Packed:
    """Pack a `double precision[]`."""
    return _pack_numbers(_DOUBLE, np.array(items, np.float64), ">f8")


def _pack_numbers(
    element: int, numbers: NDArray[np.float32] | NDArray[np.float64], form: str
) -> Packed:
    if not numbers.size:
        return _none(element)
    made = np.empty(numbers.size, [("length", ">i4"), ("number", form)])
    made["length"] = made.dtype["number"].itemsize
    made["number"] = numbers.reshape(-1)
    return _packed(element, numbers.size, made.tobytes())


def _with_lengths(size: int, items: Iterable[int]) -> Iterable[int]:
    return chain.from_iterable(zip(repeat(size), items, strict=False))


def _packed(element: int, count: int, body: bytes, *, holes: bool = False) -> Packed:
    return Packed(_HEAD.pack(1, holes, element, count, 1) + body)
