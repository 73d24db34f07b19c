"""The filter language: what each operator means, once, for every vector store.

A filter is a JSON object. Each key is a dotted path into the payload or one of
the operators `$and`, `$or`, `$not`; all keys of an object must hold.

**Paths.** `"a.b"` steps through objects. An array met on the way, or at the
end, stands for each of its elements: the path then has several values. A path
that leads nowhere has no value. A key that holds a dot cannot be addressed.

**Values.** `true` and `false` equal only themselves; numbers are equal by
value (1 is 1.0); text by code points; `null` equals a `null` that is there,
not an absent field. An array or object as operand equals an identical one.

=============  =====================================================================
operator       holds when
=============  =====================================================================
(none), $eq    some value of the path equals the operand
$ne            not $eq: also where the path has no value
$in, $nin      some value equals one of the operands; $nin is its negation
$gt $gte       some value of the operand's kind is in that relation to it. Numbers
$lt $lte       compare with numbers, text with text (by code point, so ISO dates
               work); anything else is in no relation
$exists        true: the path has a value, `null` included; false: it has none
$contains      some value at the path is an array with an element equal to the
               operand, or, for a text operand, is text with the operand inside
$and $or $not  as in logic; $and and $or take a non-empty array, $not an object
=============  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, TypeGuard

from sfm_core.errors import InvalidFilterError
from sfm_core.model.payload import JsonValue, Payload, is_storable_number, is_storable_text

MAX_FILTER_DEPTH = 16
MAX_FILTER_NODES = 256
MAX_OPERANDS = 1024


class Comparison(StrEnum):
    """Order relations."""

    GT = "$gt"
    GTE = "$gte"
    LT = "$lt"
    LTE = "$lte"


@dataclass(frozen=True, slots=True)
class OneOf:
    """Some value of the path equals one of the operands (`$eq`, `$in`)."""

    path: str
    operands: tuple[JsonValue, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """Some value of the path is in an order relation to the operand."""

    path: str
    comparison: Comparison
    operand: int | float | str


@dataclass(frozen=True, slots=True)
class Exists:
    """The path has a value."""

    path: str


@dataclass(frozen=True, slots=True)
class Contains:
    """An array at the path has the operand, or a text there has it inside."""

    path: str
    operand: JsonValue


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds; with no part it always holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Some part holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """The part does not hold."""

    part: Filter


Leaf: TypeAlias = OneOf | Compare | Exists | Contains
Filter: TypeAlias = Leaf | AllOf | AnyOf | Negation


def matches(condition: Filter, payload: Payload) -> bool:
    """Tell whether a payload satisfies a filter; the reference for every backend."""
    match condition:
        case AllOf(parts):
            return all(matches(part, payload) for part in parts)
        case AnyOf(parts):
            return any(matches(part, payload) for part in parts)
        case Negation(part):
            return not matches(part, payload)
        case _:
            return leaf_matches(condition, values_at(payload, condition.path))


def leaf_matches(leaf: Leaf, values: Sequence[JsonValue]) -> bool:
    """Tell whether the values that a path has satisfy a condition on it.

    Args:
        leaf: A condition on one path.
        values: What `values_at` gives for that path.

    Returns:
        Whether some value satisfies it.
    """
    match leaf:
        case OneOf(operands=operands):
            return any(same(value, operand) for value in values for operand in operands)
        case Compare(comparison=comparison, operand=operand):
            return any(_related(value, comparison, operand) for value in values)
        case Contains(operand=operand):
            return any(_contains(value, operand) for value in values)
        case Exists():
            return bool(values)


def values_at(payload: JsonValue, path: str) -> list[JsonValue]:
    """Return every value that a dotted path leads to.

    An array at the end is a value itself and so is each of its elements, so
    that `{"tags": "x"}` finds `{"tags": ["x", "y"]}`.
    """
    found = list(_walk(payload, path.split("."), 0))
    for value in tuple(found):
        if _is_array(value):
            found.extend(value)
    return found


def same(one: JsonValue, other: JsonValue) -> bool:
    """Tell whether two JSON values are equal; unlike in Python, `true` is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if _is_json_object(one) and _is_json_object(other):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if _is_array(one) and _is_array(other):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def parse_filter(source: object, *, field: str = "filters") -> Filter | None:
    """Read the JSON form of a filter.

    Args:
        source: A JSON object, or `None`.
        field: Name to use in error messages.

    Returns:
        The filter; `None` where there is nothing to filter by.

    Raises:
        InvalidFilterError: Not of the form described in this module, too deep, or
            with too many conditions. Unknown operators are errors, never ignored.
    """
    if source is None:
        return None
    budget = [MAX_FILTER_NODES]
    condition = _parse_object(source, field, MAX_FILTER_DEPTH, budget)
    return None if condition == AllOf(()) else condition


def _walk(value: JsonValue, steps: Sequence[str], depth: int) -> Iterator[JsonValue]:
    if depth == len(steps):
        yield value
    elif isinstance(value, Mapping):
        if steps[depth] in value:
            yield from _walk(value[steps[depth]], steps, depth + 1)
    elif _is_array(value):
        for item in value:
            if isinstance(item, Mapping):
                yield from _walk(item, steps, depth)


def _is_array(value: object) -> TypeGuard[Sequence[JsonValue]]:
    return isinstance(value, list | tuple)


def _is_json_object(value: JsonValue) -> TypeGuard[Mapping[str, JsonValue]]:
    return isinstance(value, Mapping)


def _is_object(value: object) -> TypeGuard[Mapping[object, object]]:
    return isinstance(value, Mapping)


def _related(value: JsonValue, comparison: Comparison, operand: float | str) -> bool:
    if isinstance(value, str) and isinstance(operand, str):
        return _holds(comparison, below=value < operand, equal=value == operand)
    if isinstance(value, bool) or not isinstance(value, int | float) or isinstance(operand, str):
        return False
    return _holds(comparison, below=value < operand, equal=value == operand)


def _holds(comparison: Comparison, *, below: bool, equal: bool) -> bool:
    match comparison:
        case Comparison.LT:
            return below
        case Comparison.LTE:
            return below or equal
        case Comparison.GT:
            return not below and not equal
        case Comparison.GTE:
            return not below


def _contains(value: JsonValue, operand: JsonValue) -> bool:
    if isinstance(value, str):
        return isinstance(operand, str) and operand in value
    return _is_array(value) and any(same(item, operand) for item in value)


def _parse_object(source: object, field: str, depth: int, budget: list[int]) -> Filter:
    if not _is_object(source):
        raise InvalidFilterError(
            f"{field} is not an object.", field=field, remedy='Write it as {"path": value}.'
        )
    if depth == 0:
        raise InvalidFilterError(
            f"{field} is nested deeper than {MAX_FILTER_DEPTH} levels.",
            field=field,
            remedy="Flatten the filter.",
        )
    parts = [
        part
        for key, value in source.items()
        for part in _parse_member(key, value, field, depth, budget)
    ]
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _parse_member(
    key: object, value: object, field: str, depth: int, budget: list[int]
) -> list[Filter]:
    if not isinstance(key, str) or not key:
        raise InvalidFilterError(
            f"{field} has the key {key!r}.", field=field, remedy="Name a path in the payload."
        )
    where = f"{field}.{key}"
    _spend(budget, field)
    if not is_storable_text(key):
        raise InvalidFilterError(
            f"{field} names a path with half of a surrogate pair.",
            field=field,
            remedy="Send whole Unicode characters.",
        )
    if key in {"$and", "$or"}:
        parts = tuple(
            _parse_object(item, f"{where}[{position}]", depth - 1, budget)
            for position, item in enumerate(_array(value, where))
        )
        return [AllOf(parts) if key == "$and" else AnyOf(parts)]
    if key == "$not":
        return [Negation(_parse_object(value, where, depth - 1, budget))]
    if key.startswith("$"):
        raise InvalidFilterError(
            f"{where}: there is no operator {key!r} at this place.",
            field=where,
            remedy="Use $and, $or or $not, or a path in the payload.",
        )
    if _is_object(value) and any(str(name).startswith("$") for name in value):
        return [_parse_condition(key, name, item, where, budget) for name, item in value.items()]
    return [OneOf(key, (_json(value, where),))]


def _parse_condition(
    path: str, name: object, operand: object, where: str, budget: list[int]
) -> Filter:
    _spend(budget, where)
    where = f"{where}.{name}"
    if name == "$not":
        return _not(path, operand, where, budget)
    if isinstance(name, str) and name in _OPERATORS:
        return _OPERATORS[name](path, operand, where)
    raise InvalidFilterError(
        f"{where}: there is no operator {name!r}.",
        field=where,
        remedy="Use $eq $ne $gt $gte $lt $lte $in $nin $exists $contains or $not.",
    )


def _equal(path: str, operand: object, where: str) -> Filter:
    return OneOf(path, (_json(operand, where),))


def _one_of(path: str, operand: object, where: str) -> Filter:
    return OneOf(path, tuple(_json(item, where) for item in _array(operand, where)))


def _compare(comparison: Comparison) -> Callable[[str, object, str], Filter]:
    return lambda path, operand, where: Compare(path, comparison, _orderable(operand, where))


def _exists(path: str, operand: object, where: str) -> Filter:
    if not isinstance(operand, bool):
        raise InvalidFilterError(
            f"{where} is neither true nor false.", field=where, remedy="Use a boolean."
        )
    return Exists(path) if operand else Negation(Exists(path))


_OPERATORS: dict[str, Callable[[str, object, str], Filter]] = {
    "$eq": _equal,
    "$ne": lambda path, operand, where: Negation(_equal(path, operand, where)),
    "$in": _one_of,
    "$nin": lambda path, operand, where: Negation(_one_of(path, operand, where)),
    "$exists": _exists,
    "$contains": lambda path, operand, where: Contains(path, _json(operand, where)),
    **{comparison.value: _compare(comparison) for comparison in Comparison},
}


def _not(path: str, operand: object, where: str, budget: list[int]) -> Filter:
    if not _is_object(operand):
        raise InvalidFilterError(
            f"{where} is not an object of operators.",
            field=where,
            remedy='Write it as {"$not": {"$gt": 1}}.',
        )
    parts = [_parse_condition(path, key, item, where, budget) for key, item in operand.items()]
    return Negation(AllOf(tuple(parts)))


def _array(value: object, where: str) -> Sequence[object]:
    if not _is_array(value) or not 1 <= len(value) <= MAX_OPERANDS:
        raise InvalidFilterError(
            f"{where} is not an array of 1 to {MAX_OPERANDS} elements.",
            field=where,
            remedy="Give the alternatives as an array.",
        )
    return value


def _orderable(value: object, where: str) -> int | float | str:
    plain = _json(value, where)
    if isinstance(plain, bool) or not isinstance(plain, int | float | str):
        raise InvalidFilterError(
            f"{where} is neither a number nor text.",
            field=where,
            remedy="Only numbers and text have an order.",
        )
    return plain


def _spend(budget: list[int], where: str) -> None:
    budget[0] -= 1
    if budget[0] < 0:
        raise InvalidFilterError(
            f"{where} comes after more than {MAX_FILTER_NODES} conditions.",
            field=where,
            remedy="Use $in for many values of one path.",
        )


def _json(value: object, where: str, depth: int = MAX_FILTER_DEPTH) -> JsonValue:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and is_storable_text(value):
        return value
    if isinstance(value, int | float) and is_storable_number(value):
        return value
    if depth and _is_array(value):
        return tuple(_json(item, where, depth - 1) for item in value)
    if depth and _is_object(value):
        return {str(key): _json(item, where, depth - 1) for key, item in value.items()}
    raise InvalidFilterError(
        f"{where} is not a value that a payload can hold, or is nested too deeply.",
        field=where,
        remedy="Use null, text, finite numbers of at most 64 bits, arrays or objects.",
    )
