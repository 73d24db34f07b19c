"""All of a vector store but the vectors, for backends whose library only compares those.

`PointIndex` knows namespaces, types, filters, words, versions and the order of
pages. A backend keeps points wherever it likes, puts them into the index when
it opens and whenever it writes, and for each search lets its library find the
nearest of what the index allows::

    look = index.look(query)
    cosines = None if query.vector is None else nearest(query.vector, look.allowed, query.limit)
    return look.result(cosines)

The index lives in memory: payloads and terms of all points, and no vector.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypedDict, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import point_id
from sfm_core.model.memory import MemoryType
from sfm_core.model.payload import Payload
from sfm_core.protocols.vector import Hit, Point, PointId, PointState, SearchResult, VectorQuery
from sfm_core.search.fields import FieldIndex
from sfm_core.search.growing import Growing
from sfm_core.search.keyword import KeywordIndex, Scores, best

_DEAD_BEFORE_TIDYING: Final = 1000
_TYPES: Final = {type: number for number, type in enumerate(MemoryType)}


class PointIndex:
    """The points of one collection. It is not for several threads at once."""

    def __init__(self) -> None:
        """Start empty."""
        self._namespaces: dict[str, _Namespace] = {}

    def put(self, points: Iterable[Point]) -> None:
        """Add points, each in place of the one of the same memory. Vectors are not looked at."""
        latest: dict[str, dict[Coordinate, Point]] = {}
        for point in points:
            latest.setdefault(point.id.namespace, {})[point.id.coordinate] = point
        for name, found in latest.items():
            namespace = self._namespaces.setdefault(name, _Namespace())
            namespace.put(list(found.values()))
            if namespace.untidy:
                self._namespaces[name] = namespace.tidied()

    def remove(self, ids: Iterable[PointId]) -> None:
        """Take points out; unknown ones are ignored."""
        for one in ids:
            if one.namespace in self._namespaces:
                self._namespaces[one.namespace].remove(one.coordinate)

    def page(self, namespace: str, after: Coordinate | None, limit: int) -> list[PointState]:
        """List points as `VectorStore.scroll` does.

        Args:
            namespace: Whose points.
            after: The coordinate of the last point of the page before.
            limit: Most points to return.

        Returns:
            The next points, in the byte order of their coordinates' keys.
        """
        found = self._namespaces.get(namespace)
        return found.page(after, limit) if found else []

    def look(self, query: VectorQuery) -> Look:
        """Find which points may answer, and which of them share words with the query."""
        return Look(self._namespaces.get(query.namespace) or _Namespace(), query)


class Look:
    """What a search is about, but for its vector.

    Attributes:
        everything: Whether all points of the namespace may answer.
        spoken: The best of those that may and share a word with the query, best first.
    """

    def __init__(self, namespace: _Namespace, query: VectorQuery) -> None:
        self._namespace = namespace
        self._mask = namespace.allowed(query)
        self._scores = namespace.words.scores(query.terms) if query.terms else None
        self.everything = query.type is None and query.filter is None
        self.spoken: list[PointId] = []
        if self._scores is not None:
            ranked = best(self._scores, query.limit, allowed=self._mask)
            self.spoken = [namespace.points[int(slot)].id for slot in ranked]

    @property
    def allowed(self) -> list[PointId]:
        """The memories whose points satisfy namespace, type and filter."""
        return [self._namespace.points[slot].id for slot in np.flatnonzero(self._mask)]

    def result(self, cosines: Mapping[PointId, float] | None) -> SearchResult:
        """Put both arms together.

        Args:
            cosines: The similarity of the nearest of those `allowed`, and best
                also of those `spoken`; `None` where the query has no vector.

        Returns:
            Every hit, with its score in both arms as far as `cosines` says.
            What was removed since is left out.
        """
        known = cosines or {}
        hits = (self._hit(one, known.get(one)) for one in dict.fromkeys([*known, *self.spoken]))
        return SearchResult(hits=tuple(hit for hit in hits if hit is not None))

    def _hit(self, one: PointId, cosine: float | None) -> Hit | None:
        slot = self._namespace.slots.get(one.coordinate.key)
        if slot is None:
            return None
        point = self._namespace.points[slot]
        return Hit(
            coordinate=one.coordinate,
            version=point.version,
            dense=cosine,
            keyword=_at(self._scores, slot),
        )


class _Namespace:
    """Points in slots; a slot is never used again, so that the indexes only grow."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.slots: dict[bytes, int] = {}
        self.words = KeywordIndex()
        self._fields = FieldIndex(lambda slot: self.points[slot].payload)
        self._alive = Growing(np.bool_)
        self._types = Growing(np.int8)
        self._order: list[bytes] = []

    @property
    def untidy(self) -> bool:
        dead = len(self.points) - len(self.slots)
        return dead > max(_DEAD_BEFORE_TIDYING, len(self.slots))

    def tidied(self) -> _Namespace:
        """Return the same points without the gaps; who still looks at this one is not disturbed."""
        fresh = _Namespace()
        fresh.put([self.points[slot] for slot in self.slots.values()])
        return fresh

    def put(self, points: Sequence[Point]) -> None:
        for point in points:
            self.remove(point.id.coordinate)
        self.words.add_many([point.terms for point in points])
        self._alive.extend(np.ones(len(points), np.bool_))
        self._types.extend(np.array([_TYPES[point.type] for point in points], np.int8))
        for point in points:
            key = point.id.coordinate.key
            self.slots[key] = len(self.points)
            self.points.append(point)
            insort(self._order, key)

    def remove(self, where: Coordinate) -> None:
        slot = self.slots.pop(where.key, None)
        if slot is not None:
            del self._order[bisect_left(self._order, where.key)]
            self._alive.view[slot] = False
            self.words.remove(slot)

    def page(self, after: Coordinate | None, limit: int) -> list[PointState]:
        start = 0 if after is None else bisect_right(self._order, after.key)
        page = (self.points[self.slots[key]] for key in self._order[start : start + limit])
        return [PointState(id=point.id, version=point.version) for point in page]

    def allowed(self, query: VectorQuery) -> NDArray[np.bool_]:
        mask = self._alive.view.copy()
        if query.type is not None:
            mask &= self._types.view == _TYPES[query.type]
        if query.filter is not None:
            mask &= self._fields.matching(query.filter, len(self.points))
        return mask


def _at(scores: Scores | None, slot: int) -> float | None:
    """Return a score; that of a point which is newer than the search is not known."""
    return None if scores is None or slot >= len(scores) else float(scores[slot])


class Columns(TypedDict):
    """Points as the columns of a table, one row for each memory.

    Attributes:
        id: What names the row: the same for the same memory.
        namespace: Whose it is.
        point: All of it but the vector, as `encode_point` writes it.
        vector: Its vector.
    """

    id: list[str]
    namespace: list[str]
    point: list[str]
    vector: list[NDArray[np.float32]]


def columns(points: Iterable[Point]) -> Columns:
    """Return points as columns, for a library that keeps rows; of several for one memory the last.

    Args:
        points: What is to be written.

    Returns:
        Lists of the same length.
    """
    latest = {row_id(point.id): point for point in points}
    return {
        "id": list(latest),
        "namespace": [point.id.namespace for point in latest.values()],
        "point": list(map(encode_point, latest.values())),
        "vector": [point.vector for point in latest.values()],
    }


def row_id(one: PointId) -> str:
    """Return the name of a memory's row: a UUID, so letters, digits and hyphens."""
    return str(point_id(one.namespace, one.coordinate))


def encode_point(point: Point) -> str:
    """Return all of a point but its vector as one line of JSON, for a library that keeps rows."""
    where = point.id
    row = _Row(
        where.namespace,
        str(where.coordinate),
        point.version,
        point.type,
        dict(point.payload),
        dict(point.terms),
    )
    return msgspec.json.encode(row).decode()


def decode_point(text: str) -> Point:
    """Return the point that `encode_point` wrote, without its vector.

    Args:
        text: One line of JSON.

    Returns:
        The point; its vector has no components.

    Raises:
        ValueError: It is something else.
    """
    row = msgspec.json.decode(text, type=_Row)
    return Point(
        id=PointId(namespace=row.namespace, coordinate=Coordinate.parse(row.coordinate)),
        version=row.version,
        type=row.type,
        payload=cast(Payload, row.payload),
        vector=np.empty(0, np.float32),
        terms=row.terms,
    )


class _Row(msgspec.Struct, array_like=True):
    namespace: str
    coordinate: str
    version: int
    type: MemoryType
    # What stands in JSON is a payload; its own type cannot be read at run time.
    payload: dict[str, object]
    terms: dict[str, float]
