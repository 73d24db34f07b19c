"""What can be searched of one namespace, as of one change of the file."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
import numpy as np

from sfm_backend_sqlite.index.dense import DenseIndex, Selection, Slots, Vectors
from sfm_backend_sqlite.index.snapshot import Subject
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import Filter
from sfm_core.model.memory import MemoryType
from sfm_core.model.payload import JsonValue, Payload
from sfm_core.protocols.vector import Hit, SearchResult, VectorQuery
from sfm_core.search.fields import FieldIndex
from sfm_core.search.growing import Growing
from sfm_core.search.keyword import KeywordIndex, best

Row: TypeAlias = tuple[int, bytes, int, str, bytes, bytes, bytes | None]
"""Change, coordinate, version, type, payload, terms and vector (none: deleted) of a point."""

_TYPES = {kind.value: number for number, kind in enumerate(MemoryType)}
_EMPTY = b"{}"
_FEW_GAPS = 4_096
# An index without a point takes about as much memory as so many points.
_EMPTY_WEIGHT = 8
_terms = msgspec.json.Decoder(dict[str, float])
_payload: msgspec.json.Decoder[dict[str, JsonValue]] = msgspec.json.Decoder(dict)


@dataclass(slots=True)
class Columns:
    """The facts about each slot.

    Attributes:
        changes: Change number of the row it was read from.
        versions: Version of the memory.
        types: Number of the memory's type.
        alive: Whether the point still exists.
        keys: Bytes of the coordinate.
        payloads: The payload, encoded.
    """

    changes: Growing[np.int64]
    versions: Growing[np.int64]
    types: Growing[np.uint8]
    alive: Growing[np.bool_]
    keys: list[bytes]
    payloads: list[bytes]

    @classmethod
    def empty(cls) -> Columns:
        """Return columns without a slot."""
        return cls(
            Growing(np.int64), Growing(np.int64), Growing(np.uint8), Growing(np.bool_), [], []
        )


class NamespaceIndex:
    """The points of one namespace in one collection, ready to be searched.

    Attributes:
        lock: To be held while anything here is used, unless said otherwise.
        subject: Which points of which file these are, once they are loaded.
        position: Last change that was followed.
        seen: What the follower knew of the file when it last looked; -1 before it is loaded.
        unsaved: Rows that were followed since the last snapshot.
    """

    def __init__(self, dimension: int, *, approximate_from: int) -> None:
        self.lock = threading.Lock()
        self._dimension = dimension
        self._approximate_from = approximate_from
        self.clear()

    def clear(self) -> None:
        """Forget everything, to be loaded anew."""
        self.subject: Subject | None = None
        self.position = 0
        self.seen = -1
        self.unsaved = 0
        self.dead = 0
        self._noted_weight = 0
        self.dense = DenseIndex(self._dimension, approximate_from=self._approximate_from)
        self.keyword = KeywordIndex()
        self.columns = Columns.empty()
        self._fields = FieldIndex(self._payload_of)
        self._slots: dict[bytes, int] = {}
        self._coordinates: dict[int, Coordinate] = {}

    def emptied(self) -> NamespaceIndex:
        """Return a new index for the same points, not loaded yet."""
        return NamespaceIndex(self._dimension, approximate_from=self._approximate_from)

    def adopt(self, other: NamespaceIndex) -> None:
        """Take over all that another index of the same points holds; it is not used again."""
        with other.lock:
            self.subject, self.position, self.seen = other.subject, other.position, other.seen
            self.unsaved, self.dead = other.unsaved, other.dead
            self.dense, self.keyword, self.columns = other.dense, other.keyword, other.columns
            self._slots, self._coordinates = other._slots, other._coordinates
            self._fields = FieldIndex(self._payload_of)

    @property
    def has_gaps(self) -> bool:
        """Whether so many slots are dead that it should be loaded anew."""
        return self.dead > max(_FEW_GAPS, len(self) // 2)

    @property
    def weight(self) -> int:
        """For how many points it counts against what may be in memory."""
        return len(self) + _EMPTY_WEIGHT

    def has_grown(self) -> bool:
        """Tell whether its weight is a tenth above what it was when this was last true.

        To add up the weights of all indexes at every search would take longer than the search.
        """
        grown = self.weight > self._noted_weight * 1.1
        if grown:
            self._noted_weight = self.weight
        return grown

    def __len__(self) -> int:
        return len(self.columns.keys)

    def restore(self, columns: Columns, vectors: Vectors, keyword: KeywordIndex) -> None:
        """Take over what a snapshot holds; only right after the index was made."""
        self.columns, self.keyword = columns, keyword
        self.dense.extend(vectors)
        alive = np.flatnonzero(columns.alive.view).tolist()
        self._slots = {columns.keys[slot]: slot for slot in alive}
        self.dead = len(self) - len(alive)

    def kill(self, slots: Slots) -> None:
        """Take slots out whose points no longer exist."""
        numbers: list[int] = slots.tolist()
        for slot in numbers:
            self._slots.pop(self.columns.keys[slot], None)
            self._bury(slot)

    def apply(self, rows: Sequence[Row]) -> None:
        """Follow rows of the file.

        Args:
            rows: Rows after `position`, in order; no coordinate twice. The
                caller moves `position` on.
        """
        for row in rows:
            before = self._slots.pop(row[1], None)
            if before is not None:
                self._bury(before)
        self._add([row for row in rows if row[6] is not None])
        self.unsaved += len(rows)

    def search(self, queries: Sequence[VectorQuery]) -> list[SearchResult]:
        """Answer searches.

        Args:
            queries: Searches of this namespace.
        """
        selections: dict[tuple[MemoryType | None, int], Selection] = {}
        groups: dict[tuple[MemoryType | None, int], list[int]] = {}
        for position, query in enumerate(queries):
            # By identity: in Python, a filter for 1 equals one for true.
            group = (query.type, id(query.filter))
            if group not in selections:
                selections[group] = self._select(query.type, query.filter)
            groups.setdefault(group, []).append(position)
        answers = [SearchResult()] * len(queries)
        for group, positions in groups.items():
            chosen = [queries[position] for position in positions]
            dense = self._nearest(chosen, selections[group])
            for position, query, nearest in zip(positions, chosen, dense, strict=True):
                answers[position] = self._answer(query, nearest, selections[group])
        return answers

    def _select(self, kind: MemoryType | None, condition: Filter | None) -> Selection:
        alive = self.columns.alive.view
        if kind is None and condition is None:
            return Selection(alive, len(self) - self.dead)
        mask = alive.copy()
        if kind is not None:
            mask &= self.columns.types.view == _TYPES[kind.value]
        if condition is not None:
            mask &= self._fields.matching(condition, len(self))
        return Selection.of(mask)

    def _nearest(self, queries: Sequence[VectorQuery], allowed: Selection) -> list[Slots]:
        """Return the dense arm of each query; nothing where it is left out."""
        answers = [np.empty(0, np.intp)] * len(queries)
        limits: dict[int, list[tuple[int, Vectors]]] = {}
        for position, query in enumerate(queries):
            if query.vector is not None and allowed.count:
                limits.setdefault(query.limit, []).append((position, query.vector))
        for limit, asked in limits.items():
            found = self.dense.nearest(np.stack([vector for _, vector in asked]), limit, allowed)
            for (position, _), slots in zip(asked, found, strict=True):
                answers[position] = slots
        return answers

    def _answer(self, query: VectorQuery, nearest: Slots, allowed: Selection) -> SearchResult:
        scores = self.keyword.scores(query.terms) if query.terms else None
        slots = nearest
        if scores is not None:
            slots = np.union1d(nearest, best(scores, query.limit, allowed=allowed.mask))
        missing: list[None] = [None] * len(slots)
        dense = missing if query.vector is None else self.dense.scores(query.vector, slots).tolist()
        keyword = missing if scores is None else scores[slots].tolist()
        return SearchResult(hits=self._hits(slots, dense, keyword))

    def _hits(
        self,
        slots: Slots,
        dense: Sequence[float | None],
        keyword: Sequence[float | None],
    ) -> tuple[Hit, ...]:
        versions = self.columns.versions.view[slots].tolist()
        numbers: list[int] = slots.tolist()
        known = self._coordinates
        # Decoding one takes longer than all else about a hit, and the same ones come again.
        for slot in numbers:
            if slot not in known:
                known[slot] = Coordinate.from_key(self.columns.keys[slot])
        return tuple(
            Hit(coordinate=known[slot], version=version, dense=near, keyword=shared)
            for slot, version, near, shared in zip(numbers, versions, dense, keyword, strict=True)
        )

    def _payload_of(self, slot: int) -> Payload:
        return _payload.decode(self.columns.payloads[slot])

    def _add(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        columns, count = self.columns, len(rows)
        first = len(self)
        changes, keys, versions, kinds, payloads, terms, vectors = zip(*rows, strict=True)
        columns.changes.extend(np.array(changes, np.int64))
        columns.versions.extend(np.array(versions, np.int64))
        columns.types.extend(np.array([_TYPES[kind] for kind in kinds], np.uint8))
        columns.alive.extend(np.ones(count, np.bool_))
        columns.keys.extend(keys)
        columns.payloads.extend(payloads)
        self.dense.extend(np.frombuffer(b"".join(vectors), "<f4").reshape(count, self._dimension))
        self.keyword.add_many([_decode_terms(each) for each in terms])
        self._slots.update(zip(keys, range(first, first + count), strict=True))

    def _bury(self, slot: int) -> None:
        self.columns.alive.view[slot] = False
        self.columns.payloads[slot] = _EMPTY
        self._coordinates.pop(slot, None)
        self.keyword.remove(slot)
        self.dead += 1


def encode_terms(terms: Mapping[str, float]) -> bytes:
    """Return index terms as the file holds them."""
    return msgspec.json.encode(terms)


def _decode_terms(stored: bytes) -> dict[str, float]:
    return _terms.decode(stored)
