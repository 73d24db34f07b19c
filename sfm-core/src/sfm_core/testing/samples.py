"""Values that are easy to get wrong, and builders that name only what matters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import Event, EventNote, EventType, event_id
from sfm_core.model.memory import MemoryType
from sfm_core.model.payload import Payload
from sfm_core.protocols.kv import MAX_KEY_BYTES
from sfm_core.protocols.vector import Point, PointId

MOMENT: Final = datetime(2026, 2, 3, 4, 5, 6, 789_012, tzinfo=UTC)
"""A time with microseconds, so that one that is cut shows."""

HOSTILE_NAMES: Final = (
    "plain",
    "Plain",
    "plain ",
    "caf\u00e9",
    "cafe\u0301",
    "\u65e5\u672c",
    "\U0001f9e0",
    "*",
    "pl?in",
    "%",
    "_____",
    "a:b",
    "a/b",
    "{a}",
    "a'b",
    'a"b',
    "a\\b",
    "\u00df",
    "ss",
)
"""Names that differ, though something between here and the disk may think otherwise."""

MADE_UP_POSITIONS: Final = (
    str(2**63),
    "9" * 23,
    "9" * 5_000,
    "-1",
    "1_0",
    "+1",
    " 1",
    "1\n",
    "1e3",
    "\u0661",
    "\x00",
    f"{'9' * 20}-{'9' * 20}",
    f"{2**64 - 1}-{2**64 - 1}",
    f"1-{'9' * 5_000}",
    "-1--1",
)
"""What no event log has for a position, though it may look like one."""

HOSTILE_KEYS: Final = (
    b"\x00",
    b"\x00\x00",
    b"\x01",
    b"A",
    b"a",
    b"a\x00",
    b"a\x00b",
    b"a\n",
    b"a ",
    b"ab",
    b"a\xff",
    "e\u0301".encode(),
    b"\xc3\x28",
    "\u00e9".encode(),
    b"\xed\xa0\x80",
    b"\xfe",
    b"\xff",
    b"\xff\x00",
    b"\xff\xff",
    b"\xff" * MAX_KEY_BYTES,
)
"""Keys in byte order: no text, not UTF-8, prefixes of one another, and the longest one."""

HOSTILE_VALUES: Final = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"null",
    b"\r\n",
    "\u00e9\U0001f9e0".encode(),
    bytes(range(256)) * 4096,
)
"""Values that must come back byte for byte; the last is one megabyte."""

HOSTILE_COORDINATES: Final = (
    Coordinate.of([0.0]),
    Coordinate.of([0.0, 0.0]),
    Coordinate.of([1.0]),
    Coordinate.of([-1.0]),
    Coordinate.of([1.0, -1.0]),
    Coordinate.of([0.1 + 0.2]),
    Coordinate.of([0.3]),
    Coordinate.of([5e-324]),
    Coordinate.of([-5e-324]),
    Coordinate.of([1.7976931348623157e308]),
    Coordinate.of([-1.7976931348623157e308]),
    Coordinate.of([2.0**53 + 2]),
    Coordinate.of([2.0**53]),
    Coordinate.of([1e-7]),
    Coordinate.of([float(number) for number in range(64)]),
)
"""Coordinates that a rounded or shortened form would mix up."""

HOSTILE_TERMS: Final = (
    "or",
    "OR",
    "not",
    "near",
    'quo"te',
    "apo'strophe",
    "st*r",
    "min-us",
    "co:lon",
    "par(en",
    "caf\u00e9",
    "cafe\u0301",
    "\u6771\u4eac",
    "\U0001f9e0",
    "two words",
    "50%",
    "under_score",
    "back\\slash",
)
"""Index terms that a query language would take for something else."""


def coordinate(*components: float) -> Coordinate:
    """Return a coordinate."""
    return Coordinate.of(components)


def unit_vectors(count: int, dimension: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Return random directions, the same ones for the same seed.

    Args:
        count: How many.
        dimension: Length of each.
        seed: Which ones.

    Returns:
        float32, shape (count, dimension), every row of norm 1.
    """
    drawn = np.random.default_rng(seed).standard_normal((count, dimension))
    rows = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.asarray(rows, dtype=np.float32)


def axis(place: int, dimension: int) -> NDArray[np.float32]:
    """Return the unit vector along one axis."""
    vector = np.zeros(dimension, dtype=np.float32)
    vector[place] = 1.0
    return vector


def point(
    namespace: str,
    where: Coordinate,
    vector: NDArray[np.float32],
    *,
    version: int = 1,
    type: MemoryType = MemoryType.EPISODIC,
    payload: Payload | None = None,
    terms: Mapping[str, float] | None = None,
) -> Point:
    """Return a point, with defaults for what a test is not about."""
    return Point(
        id=PointId(namespace=namespace, coordinate=where),
        version=version,
        type=type,
        payload=payload or {},
        vector=vector,
        terms=terms or {},
    )


def event_note(key: bytes, version: int = 1) -> EventNote:
    """Return an entry for the event log."""
    return EventNote(type=EventType.MEMORY_STORED, key=key, version=version, at=MOMENT)


def event(namespace: str, where: Coordinate, version: int, data: Payload | None = None) -> Event:
    """Return an event as a sink is given it."""
    return Event(
        id=event_id(namespace, where.key, version),
        type=EventType.MEMORY_STORED,
        source=f"/namespaces/{namespace}",
        subject=str(where),
        time=MOMENT,
        version=version,
        data=data,
    )
