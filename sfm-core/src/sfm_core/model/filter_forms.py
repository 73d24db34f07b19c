"""Filters in their JSON form, and which part of one a payload does not meet."""

from __future__ import annotations

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
    matches,
)
from sfm_core.model.payload import JsonValue, Payload


def failing_part(condition: Filter, payload: Payload) -> Filter | None:
    """Return the first part of a filter that a payload does not meet.

    Args:
        condition: The filter.
        payload: The payload.

    Returns:
        The smallest part that must hold and does not; `None` where all do.
    """
    if isinstance(condition, AllOf):
        parts = (failing_part(part, payload) for part in condition.parts)
        return next((part for part in parts if part is not None), None)
    return None if matches(condition, payload) else condition


def filter_json(condition: Filter) -> dict[str, JsonValue]:
    """Return a filter in a JSON form that `parse_filter` reads as the same filter."""
    match condition:
        case AllOf(parts):
            return {"$and": [filter_json(part) for part in parts]} if parts else {}
        case AnyOf(parts):
            return {"$or": [filter_json(part) for part in parts]}
        case Negation(part):
            return {"$not": filter_json(part)}
        case _:
            return {condition.path: _leaf(condition)}


def _leaf(leaf: Leaf) -> dict[str, JsonValue]:
    match leaf:
        case OneOf(operands=(operand,)):
            return {"$eq": operand}
        case OneOf(operands=operands):
            return {"$in": operands}
        case Compare(comparison=comparison, operand=operand):
            return {comparison.value: operand}
        case Contains(operand=operand):
            return {"$contains": operand}
        case Exists():
            return {"$exists": True}
