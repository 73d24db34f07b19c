"""Filters over payloads, answered for all slots at once.

For each path that a filter names, slots are grouped by the values they have
there (`values_at`), and a condition is decided once per group, by
`leaf_matches`: so the answer equals that of `matches` by construction. Two
conditions that are frequent on paths with many different values, equality and
order, find their groups by hash and by bisection instead.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sfm_core.model.filters import (
    AllOf,
    AnyOf,
    Compare,
    Comparison,
    Exists,
    Filter,
    Leaf,
    Negation,
    OneOf,
    leaf_matches,
    values_at,
)
from sfm_core.model.payload import JsonValue, Payload
from sfm_core.search.growing import Growing

MAX_PATHS = 64
MAX_REMEMBERED = 64

Mask: TypeAlias = NDArray[np.bool_]


class FieldIndex:
    """Tells which slots satisfy a filter.

    A path is indexed when a filter first names it, and from then on as slots
    are added; the paths that were unused for longest are forgotten.
    """

    def __init__(self, payload_of: Callable[[int], Payload]) -> None:
        """Start without a path.

        Args:
            payload_of: Returns the payload of a slot.
        """
        self._payload_of = payload_of
        self._paths: dict[str, _PathIndex] = {}

    def matching(self, condition: Filter, count: int) -> Mask:
        """Return which of the slots 0 to `count - 1` satisfy a filter."""
        match condition:
            case AllOf(parts):
                return self._combine(np.logical_and, parts, np.ones(count, np.bool_))
            case AnyOf(parts):
                return self._combine(np.logical_or, parts, np.zeros(count, np.bool_))
            case Negation(part):
                return ~self.matching(part, count)
            case _:
                return self._path(condition.path, count).matching(condition)[:count]

    def _combine(self, operation: np.ufunc, parts: Sequence[Filter], start: Mask) -> Mask:
        for part in parts:
            operation(start, self.matching(part, len(start)), out=start)
        return start

    def _path(self, path: str, count: int) -> _PathIndex:
        index = self._paths.pop(path, None)
        if index is None:
            index = _PathIndex(path)
        self._paths[path] = index
        if len(self._paths) > MAX_PATHS:
            del self._paths[next(iter(self._paths))]
        index.add_many([self._payload_of(slot) for slot in range(len(index), count)])
        return index


class _PathIndex:
    def __init__(self, path: str) -> None:
        self._path = path
        self._group_of_slot = Growing(np.int32)
        self._groups: list[list[JsonValue]] = []
        self._numbers: dict[Hashable, int] = {}
        self._equal: dict[Hashable, list[int]] = {}
        self._ordered = {"number": _Ordered(), "text": _Ordered()}
        self._remembered: dict[str, Growing[np.bool_]] = {}

    def __len__(self) -> int:
        return len(self._group_of_slot)

    def add_many(self, payloads: Sequence[Payload]) -> None:
        if payloads:
            groups = [self._group(values_at(payload, self._path)) for payload in payloads]
            self._group_of_slot.extend(np.array(groups, np.int32))

    def matching(self, leaf: Leaf) -> Mask:
        return self._decide(leaf)[self._group_of_slot.view]

    def _group(self, values: list[JsonValue]) -> int:
        alone = _scalar_key(values[0]) if len(values) == 1 else None
        identity = repr(values) if alone is None else alone
        number = self._numbers.setdefault(identity, len(self._groups))
        if number == len(self._groups):
            self._groups.append(values)
            self._register(number, values)
        return number

    def _register(self, number: int, values: list[JsonValue]) -> None:
        for value in values:
            key = _scalar_key(value)
            if key is not None:
                self._equal.setdefault(key, []).append(number)
            if isinstance(value, str):
                self._ordered["text"].add(value, number)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                self._ordered["number"].add(value, number)

    def _decide(self, leaf: Leaf) -> Mask:
        match leaf:
            case OneOf(operands=operands):
                keys = [_scalar_key(operand) for operand in operands]
                if None not in keys:
                    return self._table([g for key in keys for g in self._equal.get(key, ())])
            case Compare(comparison=comparison, operand=operand):
                kind = "text" if isinstance(operand, str) else "number"
                return self._table(self._ordered[kind].related(comparison, operand))
            case Exists():
                nothing = self._numbers.get(repr([]))
                return ~self._table([] if nothing is None else [nothing])
            case _:
                pass
        return self._tried(leaf)

    def _table(self, groups: Sequence[int]) -> Mask:
        table = np.zeros(len(self._groups), np.bool_)
        table[np.array(groups, np.intp)] = True
        return table

    def _tried(self, leaf: Leaf) -> Mask:
        """Try a condition on each group; answers are remembered, as filters come again."""
        # By text, because in Python a condition on 1 equals, and hashes like, one on true.
        key = repr(leaf)
        table = self._remembered.pop(key, None)
        if table is None:
            table = Growing(np.bool_)
        table.extend(self._try(leaf, len(table)))
        self._remembered[key] = table
        if len(self._remembered) > MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        return table.view

    def _try(self, leaf: Leaf, start: int) -> Mask:
        return np.array([leaf_matches(leaf, values) for values in self._groups[start:]], np.bool_)


class _Ordered:
    """Groups by the values they have, in order; sorted when asked."""

    def __init__(self) -> None:
        self._values: list[float | str] = []
        self._groups: list[int] = []
        self._sorted = True

    def add(self, value: float | str, group: int) -> None:
        self._values.append(value)
        self._groups.append(group)
        self._sorted = False

    def related(self, comparison: Comparison, operand: float | str) -> list[int]:
        self._sort()
        match comparison:
            case Comparison.LT:
                return self._groups[: bisect_left(self._values, operand)]
            case Comparison.LTE:
                return self._groups[: bisect_right(self._values, operand)]
            case Comparison.GT:
                return self._groups[bisect_right(self._values, operand) :]
            case Comparison.GTE:
                return self._groups[bisect_left(self._values, operand) :]

    def _sort(self) -> None:
        if self._sorted:
            return
        # Nearly sorted after a few additions, which this sort takes advantage of.
        order = sorted(range(len(self._values)), key=self._values.__getitem__)
        self._values = [self._values[at] for at in order]
        self._groups = [self._groups[at] for at in order]
        self._sorted = True


def _scalar_key(value: JsonValue) -> Hashable | None:
    """Return what is equal for equal scalars; `None` for an array or object.

    Python holds 1 and true to be equal; the filter language does not.
    """
    if value is None or isinstance(value, bool):
        return ("constant", value)
    if isinstance(value, int | float | str):
        return (isinstance(value, str), value)
    return None
