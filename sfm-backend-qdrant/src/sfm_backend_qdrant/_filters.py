"""The filter language in Qdrant's conditions.

What Qdrant cannot tell exactly is enclosed: `certain` holds only where the
filter does, `possible` wherever it may. A negation turns the two around. The
candidates that only `possible` finds are checked against their payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qdrant_client import models

from sfm_backend_qdrant._comparing import Enclosed, compare_numbers, compare_texts, exactly
from sfm_backend_qdrant._encoding import NAMESPACE, TYPE
from sfm_backend_qdrant._statements import (
    EQUALS,
    HAS_TEXT,
    HAS_VALUE,
    HOLDS,
    TOKENS,
    token,
)
from sfm_core.model.filters import (
    AllOf,
    AnyOf,
    Compare,
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
            return exactly(_said([token(EQUALS, path, operand) for operand in operands]))
        case Exists(path):
            return exactly(_said([token(HAS_VALUE, path)]))
        case Contains(path, operand):
            return _contains(path, operand)
        case Compare(path, comparison, operand):
            if isinstance(operand, str):
                return compare_texts(path, comparison, operand)
            return compare_numbers(path, comparison, operand)


def _said(tokens: list[int]) -> models.FieldCondition:
    return models.FieldCondition(key=TOKENS, match=models.MatchAny(any=tokens))


def _all(parts: Sequence[Filter]) -> Enclosed:
    if not parts:
        return exactly(models.Filter(must_not=[_NEVER]))
    inner = [enclose(part) for part in parts]
    return Enclosed(
        certain=models.Filter(must=[each.certain for each in inner]),
        possible=models.Filter(must=[each.possible for each in inner]),
        exact=all(each.exact for each in inner),
    )


def _any(parts: Sequence[Filter]) -> Enclosed:
    if not parts:
        return exactly(_NEVER)
    inner = [enclose(part) for part in parts]
    return Enclosed(
        certain=models.Filter(should=[each.certain for each in inner]),
        possible=models.Filter(should=[each.possible for each in inner]),
        exact=all(each.exact for each in inner),
    )


def _contains(path: str, operand: JsonValue) -> Enclosed:
    held = token(HOLDS, path, operand)
    if not isinstance(operand, str):
        return exactly(_said([held]))
    # Qdrant compares texts by words; where in a text another one lies, only the text can tell.
    return Enclosed(
        certain=_said([held]), possible=_said([held, token(HAS_TEXT, path)]), exact=False
    )
