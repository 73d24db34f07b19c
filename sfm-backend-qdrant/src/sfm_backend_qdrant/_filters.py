"""The filter language in Qdrant's conditions.

What Qdrant cannot tell exactly is enclosed: `certain` holds only where the
filter does, `possible` wherever it may. A negation turns the two around. The
candidates that only `possible` finds are checked against their payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qdrant_client import models

from sfm_backend_qdrant._encoding import (
    EQUALS,
    HAS_TEXT,
    HAS_VALUE,
    HOLDS,
    NAMESPACE,
    NUMBERS,
    PATH,
    TEXT_KEYS,
    TEXT_PREFIX_BYTES,
    TEXTS,
    TOKENS,
    TYPE,
    VALUE,
    path_token,
    text_numbers,
    token,
)
from sfm_core.model.coordinate import EXACT_WHOLE
from sfm_core.model.filters import (
    AllOf,
    AnyOf,
    Compare,
    Comparison,
    Contains,
    Exists,
    Filter,
    Leaf,
    Negation,
    OneOf,
)
from sfm_core.model.memory import MemoryType
from sfm_core.model.payload import JsonValue

_NEVER: Final = models.Filter(
    must=[models.FieldCondition(key=TYPE, match=models.MatchValue(value=""))]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosed:
    """A filter between two conditions.

    Attributes:
        certain: Holds only where the filter does.
        possible: Holds wherever the filter does.
        exact: Whether both are the filter itself.
    """

    certain: models.Condition
    possible: models.Condition
    exact: bool


def scope(
    namespace: str, *, type: MemoryType | None = None, possible: models.Condition | None = None
) -> models.Filter:
    """Return the condition on the points of a namespace.

    Args:
        namespace: Whose points.
        type: Only points of this type.
        possible: What else must hold.
    """
    must: list[models.Condition] = [
        models.FieldCondition(key=NAMESPACE, match=models.MatchValue(value=namespace))
    ]
    if type is not None:
        must.append(models.FieldCondition(key=TYPE, match=models.MatchValue(value=type.value)))
    if possible is not None:
        must.append(possible)
    return models.Filter(must=must)


def enclose(condition: Filter) -> Enclosed:
    """Translate a filter.

    Args:
        condition: A parsed filter.

    Returns:
        The conditions between which it lies.
    """
    match condition:
        case AllOf(parts):
            return _all(parts)
        case AnyOf(parts):
            return _any(parts)
        case Negation(part):
            inner = enclose(part)
            return Enclosed(
                certain=models.Filter(must_not=[inner.possible]),
                possible=models.Filter(must_not=[inner.certain]),
                exact=inner.exact,
            )
        case _:
            return _leaf(condition)


def _leaf(leaf: Leaf) -> Enclosed:
    match leaf:
        case OneOf(path, operands):
            return _exactly(_said([token(EQUALS, path, operand) for operand in operands]))
        case Exists(path):
            return _exactly(_said([token(HAS_VALUE, path)]))
        case Contains(path, operand):
            return _contains(path, operand)
        case Compare(path, comparison, operand):
            if isinstance(operand, str):
                return _compare_texts(path, comparison, operand)
            return _compare_numbers(path, comparison, operand)


def _exactly(condition: models.Condition) -> Enclosed:
    return Enclosed(certain=condition, possible=condition, exact=True)


def _said(tokens: list[int]) -> models.FieldCondition:
    return models.FieldCondition(key=TOKENS, match=models.MatchAny(any=tokens))


def _all(parts: Sequence[Filter]) -> Enclosed:
    if not parts:
        return _exactly(models.Filter(must_not=[_NEVER]))
    inner = [enclose(part) for part in parts]
    return Enclosed(
        certain=models.Filter(must=[each.certain for each in inner]),
        possible=models.Filter(must=[each.possible for each in inner]),
        exact=all(each.exact for each in inner),
    )


def _any(parts: Sequence[Filter]) -> Enclosed:
    if not parts:
        return _exactly(_NEVER)
    inner = [enclose(part) for part in parts]
    return Enclosed(
        certain=models.Filter(should=[each.certain for each in inner]),
        possible=models.Filter(should=[each.possible for each in inner]),
        exact=all(each.exact for each in inner),
    )


def _contains(path: str, operand: JsonValue) -> Enclosed:
    held = token(HOLDS, path, operand)
    if not isinstance(operand, str):
        return _exactly(_said([held]))
    # Qdrant compares texts by words; where in a text another one lies, only the text can tell.
    return Enclosed(
        certain=_said([held]), possible=_said([held, token(HAS_TEXT, path)]), exact=False
    )


def _compare_numbers(path: str, comparison: Comparison, operand: float) -> Enclosed:
    if abs(operand) < EXACT_WHOLE:
        return _exactly(_number(path, comparison, float(operand)))
    # Qdrant compares as 64-bit floats, which do not tell such integers apart.
    below = comparison in {Comparison.LT, Comparison.LTE}
    return Enclosed(
        certain=_number(path, Comparison.LT if below else Comparison.GT, float(operand)),
        possible=_number(path, Comparison.LTE if below else Comparison.GTE, float(operand)),
        exact=False,
    )


def _number(path: str, comparison: Comparison, operand: float) -> models.NestedCondition:
    return _nested(NUMBERS, path, [_range(VALUE, comparison, operand)])


def _compare_texts(path: str, comparison: Comparison, operand: str) -> Enclosed:
    numbers = text_numbers(operand)
    below = comparison in {Comparison.LT, Comparison.LTE}
    strict = Comparison.LT if below else Comparison.GT
    equal = comparison in {Comparison.LTE, Comparison.GTE}
    if numbers[-1] <= TEXT_PREFIX_BYTES:
        return _exactly(_nested(TEXTS, path, [_sorted(strict, numbers, equal=equal)]))
    head = numbers[:-1]
    return Enclosed(
        certain=_nested(TEXTS, path, [_sorted(strict, head, equal=False)]),
        possible=_nested(TEXTS, path, [_sorted(strict, head, equal=True)]),
        exact=False,
    )


def _sorted(strict: Comparison, numbers: Sequence[int], *, equal: bool) -> models.Filter:
    """Return the condition that the numbers of a text come before, or after, those given."""
    keyed = list(zip(TEXT_KEYS, numbers, strict=False))
    same = [models.FieldCondition(key=key, range=models.Range(gte=n, lte=n)) for key, n in keyed]
    ways = [
        models.Filter(must=[*same[:place], _range(key, strict, number)])
        for place, (key, number) in enumerate(keyed)
    ]
    if equal:
        ways.append(models.Filter(must=[*same]))
    return models.Filter(should=[*ways])


def _range(key: str, comparison: Comparison, operand: float) -> models.FieldCondition:
    bounds = {comparison.value.removeprefix("$"): operand}
    return models.FieldCondition(key=key, range=models.Range(**bounds))


def _nested(key: str, path: str, conditions: Sequence[models.Condition]) -> models.NestedCondition:
    at = models.FieldCondition(key=PATH, match=models.MatchValue(value=path_token(path)))
    inner = models.Filter(must=[at, *conditions])
    return models.NestedCondition(nested=models.Nested(key=key, filter=inner))
