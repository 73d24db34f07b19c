"""Hypothesis strategies for the values of the domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hypothesis import strategies as st

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.payload import JsonValue

_SAFE_INTEGER = 2**53
# No half surrogates, which no payload holds, and no NUL, which some databases refuse.
_CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
_NAMES: tuple[str, ...] = ("a", "b", "tags", "A", "\u00e9", "with space", "$odd", "")
_PATHS: tuple[str, ...] = (
    "a",
    "b",
    "tags",
    "a.b",
    "a.a",
    "tags.b",
    "a.tags.b",
    "A",
    "\u00e9",
    "with space",
    "none",
)
_TEXTS: tuple[JsonValue, ...] = (
    "",
    "x",
    "X",
    "xy",
    "y",
    "1",
    "true",
    "\u00e9",
    "e\u0301",
    "2026-01-02",
    "%",
    "_",
    "\u2603",
)
_NUMBERS: tuple[JsonValue, ...] = (0, 1, -1, 1.0, 0.5, -0.0, 2, 10, 1e300, _SAFE_INTEGER)


def coordinates(max_components: int = 4) -> st.SearchStrategy[Coordinate]:
    """Coordinates of any finite numbers.

    Args:
        max_components: How long at most.

    Returns:
        The strategy.
    """
    numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-3, 3).map(float)
    return st.lists(numbers, min_size=1, max_size=max_components).map(Coordinate.of)


def scalars() -> st.SearchStrategy[JsonValue]:
    """JSON values without parts, few enough that two of them are often equal.

    `true`, 1, 1.0 and "1" are among them, and integers only as large as every
    JSON implementation keeps exactly.
    """
    values: tuple[JsonValue, ...] = (None, True, False, *_NUMBERS, *_TEXTS)
    return (
        st.sampled_from(values)
        | st.integers(-_SAFE_INTEGER, _SAFE_INTEGER)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(_CHARACTERS, max_size=4)
    )


def json_values() -> st.SearchStrategy[JsonValue]:
    """JSON values with arrays and objects in one another."""

    def nested(inner: st.SearchStrategy[JsonValue]) -> st.SearchStrategy[JsonValue]:
        arrays: st.SearchStrategy[JsonValue] = st.lists(inner, max_size=3)
        objects: st.SearchStrategy[JsonValue] = st.dictionaries(
            st.sampled_from(_NAMES), inner, max_size=3
        )
        return arrays | objects

    return st.recursive(scalars(), nested, max_leaves=6)


def payloads() -> st.SearchStrategy[Mapping[str, JsonValue]]:
    """Payloads with few names, so that filters often meet them."""
    return st.dictionaries(st.sampled_from(_NAMES), json_values(), max_size=4)


def filters() -> st.SearchStrategy[Mapping[str, JsonValue]]:
    """Filters in their JSON form, with every operator."""
    return st.recursive(_conditions(), _combined, max_leaves=5)


def _conditions() -> st.SearchStrategy[Mapping[str, JsonValue]]:
    any_value = scalars() | json_values()
    several = st.lists(any_value, min_size=1, max_size=3)
    orderable = st.sampled_from((*_NUMBERS, *_TEXTS))
    operations: Mapping[str, st.SearchStrategy[JsonValue]] = {
        "$eq": any_value,
        "$ne": any_value,
        "$in": several,
        "$nin": several,
        "$gt": orderable,
        "$gte": orderable,
        "$lt": orderable,
        "$lte": orderable,
        "$exists": st.booleans(),
        "$contains": any_value,
    }
    one_operation = st.one_of(
        [values.map(_wrapped(operator)) for operator, values in operations.items()]
    )
    condition = scalars() | one_operation | one_operation.map(_wrapped("$not"))
    return st.dictionaries(st.sampled_from(_PATHS), condition, min_size=1, max_size=2)


def _combined(
    inner: st.SearchStrategy[Mapping[str, JsonValue]],
) -> st.SearchStrategy[Mapping[str, JsonValue]]:
    several = st.lists(inner, min_size=1, max_size=3)
    return (
        several.map(_wrapped("$and")) | several.map(_wrapped("$or")) | inner.map(_wrapped("$not"))
    )


def _wrapped(operator: str) -> Callable[[JsonValue], Mapping[str, JsonValue]]:
    def wrap(value: JsonValue) -> Mapping[str, JsonValue]:
        return {operator: value}

    return wrap
