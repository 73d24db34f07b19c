"""Order relations in Qdrant's conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qdrant_client import models

from sfm_backend_qdrant._statements import (
    NUMBERS,
    PATH,
    TEXT_KEYS,
    TEXT_PREFIX_BYTES,
    TEXTS,
    VALUE,
    path_token,
    text_numbers,
)
from sfm_core.model.coordinate import EXACT_WHOLE
from sfm_core.model.filters import Comparison


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


def exactly(condition: models.Condition) -> Enclosed:
    """Return a condition that is the filter itself."""
    return Enclosed(certain=condition, possible=condition, exact=True)


def compare_numbers(path: str, comparison: Comparison, operand: float) -> Enclosed:
    """Return the condition that some number at a path is in a relation to the operand."""
    if abs(operand) < EXACT_WHOLE:
        return exactly(_number(path, comparison, float(operand)))
    # Qdrant compares as 64-bit floats, which do not tell such integers apart.
    below = comparison in {Comparison.LT, Comparison.LTE}
    return Enclosed(
        certain=_number(path, Comparison.LT if below else Comparison.GT, float(operand)),
        possible=_number(path, Comparison.LTE if below else Comparison.GTE, float(operand)),
        exact=False,
    )


def _number(path: str, comparison: Comparison, operand: float) -> models.NestedCondition:
    return _nested(NUMBERS, path, [_range(VALUE, comparison, operand)])


def compare_texts(path: str, comparison: Comparison, operand: str) -> Enclosed:
    """Return the condition that some text at a path is in a relation to the operand."""
    numbers = text_numbers(operand)
    below = comparison in {Comparison.LT, Comparison.LTE}
    strict = Comparison.LT if below else Comparison.GT
    equal = comparison in {Comparison.LTE, Comparison.GTE}
    if numbers[-1] <= TEXT_PREFIX_BYTES:
        return exactly(_nested(TEXTS, path, [_sorted(strict, numbers, equal=equal)]))
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
