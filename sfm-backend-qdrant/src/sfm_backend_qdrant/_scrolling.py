"""Lists points in the order of their coordinates.

Qdrant orders by numbers only. The first 24 bytes of each key are kept as four
numbers: points are read in the order of the first, those that share it in the
order of the second, and so on. Those that share all four, which begin with
the same two components and nearly all of a third, are read together and
sorted here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from qdrant_client import models

from sfm_backend_qdrant._asking import Listed, Offset, Order
from sfm_backend_qdrant._encoding import COORDINATE, ORDER, VERSION, order_words
from sfm_backend_qdrant._filters import scope
from sfm_backend_qdrant._qdrant import Qdrant
from sfm_core.errors import CorruptDataError
from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.vector import PointId, PointState

State: TypeAlias = tuple[bytes, int]
FIELDS: Final = [COORDINATE, VERSION]
_PAGE: Final = 1000
_LAST: Final = 2**48 - 1


class Scrolling:
    """Reads the points of one namespace in order."""

    def __init__(self, qdrant: Qdrant, name: str, namespace: str) -> None:
        """Keep where to read.

        Args:
            qdrant: Where the points are.
            name: Name of their collection there.
            namespace: Whose points.
        """
        self._qdrant = qdrant
        self._name = name
        self._namespace = namespace

    async def after(self, coordinate: Coordinate | None, limit: int) -> list[PointState]:
        """Return the next points.

        Args:
            coordinate: The last one that was read; `None` begins.
            limit: Most points to return.

        Raises:
            CorruptDataError: A point has no coordinate or version.
        """
        states = await self._next((), coordinate, limit)
        return [
            PointState(
                id=PointId(namespace=self._namespace, coordinate=Coordinate.from_key(key)),
                version=version,
            )
            for key, version in states
        ]

    async def _next(
        self, shared: tuple[int, ...], after: Coordinate | None, limit: int
    ) -> list[State]:
        """Return the next of the points whose first numbers are those given."""
        if len(shared) == len(ORDER):
            states = await self._all(shared)
            past = after.key if after else b""
            return [state for state in states if state[0] > past][:limit]
        start: int | None = None
        found: list[State] = []
        if after is not None:
            first = order_words(after)[len(shared)]
            found = await self._next((*shared, first), after, limit)
            if first == _LAST:
                return found
            start = first + 1
        while len(found) < limit:
            more, start = await self._run_of(shared, start, limit - len(found))
            found += more
            if start is None:
                break
        return found[:limit]

    async def _run_of(
        self, shared: tuple[int, ...], start: int | None, limit: int
    ) -> tuple[list[State], int | None]:
        """Return points from a number on, and where to go on; `None` at the end."""
        order = Order(key=ORDER[len(shared)], start=start)
        page = await self._qdrant.scroll(
            self._name, self._sharing(shared), FIELDS, size=limit + 1, order=order
        )
        states = sorted(map(self._state, page.points))
        if len(states) <= limit:
            return states, None
        # There may be more points with the last number than fit on this page.
        last = _word(states[-1], len(shared))
        complete = [state for state in states if _word(state, len(shared)) < last]
        rest = limit - len(complete)
        complete += await self._next((*shared, last), None, rest)
        return complete, (None if last == _LAST else last + 1)

    async def _all(self, shared: tuple[int, ...]) -> list[State]:
        states: list[State] = []
        offset: Offset | None = None
        while True:
            page = await self._qdrant.scroll(
                self._name, self._sharing(shared), FIELDS, size=_PAGE, offset=offset
            )
            states += map(self._state, page.points)
            offset = page.offset
            if offset is None:
                return sorted(states)

    def _sharing(self, shared: Sequence[int]) -> models.Filter:
        condition = models.Filter(
            must=[
                models.FieldCondition(key=key, match=models.MatchValue(value=number))
                for key, number in zip(ORDER, shared, strict=False)
            ]
        )
        return scope(self._namespace, possible=condition if shared else None)

    def _state(self, listed: Listed) -> State:
        return said_by(listed.fields, listed.id, self._qdrant.settings.scheme)


def said_by(fields: Mapping[str, object], id: str, scheme: str) -> State:  # noqa: A002 - Qdrant's name
    """Return which coordinate and version a point says it is.

    Args:
        fields: Its payload.
        id: Its id.
        scheme: Who to blame for a point that cannot be read.

    Returns:
        The coordinate's key, and the version.

    Raises:
        CorruptDataError: It does not say.
    """
    key, version = fields.get(COORDINATE), fields.get(VERSION)
    if isinstance(key, str) and isinstance(version, int):
        with suppress(ValueError):
            return bytes.fromhex(key), version
    raise _unreadable(id, scheme)


def _unreadable(id: str, scheme: str) -> CorruptDataError:  # noqa: A002 - Qdrant's name
    """Return the error for a point that does not say which memory it is."""
    return CorruptDataError(
        f"The point {id} was not written by this package.",
        backend=scheme,
        remedy="Remove it from the collection, or rebuild the collection.",
    )


def _word(state: State, level: int) -> int:
    return order_words(Coordinate.from_key(state[0]))[level]
