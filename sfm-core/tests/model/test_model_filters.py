from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given

from sfm_core.errors import InvalidFilterError
from sfm_core.model.filters import (
    MAX_FILTER_DEPTH,
    MAX_FILTER_NODES,
    MAX_OPERANDS,
    matches,
    parse_filter,
    same,
)
from sfm_core.model.payload import JsonValue, Payload
from sfm_core.testing.filter_cases import FILTER_CASES, FilterCase
from sfm_core.testing.strategies import filters, json_values, payloads


def holds(source: Mapping[str, JsonValue], payload: Payload) -> bool:
    condition = parse_filter(source)
    return condition is None or matches(condition, payload)


@pytest.mark.parametrize("case", FILTER_CASES, ids=lambda case: str(case.source))
def test_the_language_by_example(case: FilterCase) -> None:
    assert [holds(case.source, payload) for payload in case.hits] == [True] * len(case.hits)
    assert [holds(case.source, payload) for payload in case.misses] == [False] * len(case.misses)


@given(filters(), payloads())
def test_negation_is_the_opposite(source: Mapping[str, JsonValue], payload: Payload) -> None:
    assert holds({"$not": source}, payload) is not holds(source, payload)


@given(filters(), filters(), payloads())
def test_and_and_or_are_what_logic_says(
    one: Mapping[str, JsonValue], other: Mapping[str, JsonValue], payload: Payload
) -> None:
    both = (holds(one, payload), holds(other, payload))
    assert holds({"$and": [one, other]}, payload) is all(both)
    assert holds({"$or": [one, other]}, payload) is any(both)


@given(json_values())
def test_a_value_equals_itself(value: JsonValue) -> None:
    assert holds({"a": {"$eq": value}}, {"a": value})


@given(json_values(), json_values())
def test_equality_goes_both_ways(one: JsonValue, other: JsonValue) -> None:
    assert same(one, other) is same(other, one)


@pytest.mark.parametrize("source", [None, {}])
def test_nothing_to_filter_by_is_no_filter(source: object) -> None:
    assert parse_filter(source) is None


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ([], "filters"),
        ("topic", "filters"),
        ({"": 1}, "filters"),
        ({"a": {"$regex": "x"}}, "filters.a.$regex"),
        ({"a": {"$EQ": 1}}, "filters.a.$EQ"),
        ({"a": {"$eq": 1, "b": 2}}, "filters.a.b"),
        ({"$nor": []}, "filters.$nor"),
        ({"$eq": 1}, "filters.$eq"),
        ({"$and": []}, "filters.$and"),
        ({"$or": {"a": 1}}, "filters.$or"),
        ({"$or": [1]}, "filters.$or[0]"),
        ({"$not": [1]}, "filters.$not"),
        ({"a": {"$in": []}}, "filters.a.$in"),
        ({"a": {"$in": "abc"}}, "filters.a.$in"),
        ({"a": {"$in": list(range(MAX_OPERANDS + 1))}}, "filters.a.$in"),
        ({"a": {"$gt": True}}, "filters.a.$gt"),
        ({"a": {"$gt": None}}, "filters.a.$gt"),
        ({"a": {"$lt": [1]}}, "filters.a.$lt"),
        ({"a": {"$exists": 1}}, "filters.a.$exists"),
        ({"a": {"$not": 1}}, "filters.a.$not"),
        ({"a": {"$not": {"$foo": 1}}}, "filters.a.$not.$foo"),
        ({"a": float("nan")}, "filters.a"),
        ({"a": {"$gt": float("inf")}}, "filters.a.$gt"),
        ({"a": {"$in": ["\ud800"]}}, "filters.a.$in"),
        ({"a": {"$lt": 10**400}}, "filters.a.$lt"),
        ({"\ud800": 1}, "filters"),
        ({"a": object()}, "filters.a"),
        ({"$and": [{"a": {"$bad": 1}}]}, "filters.$and[0].a.$bad"),
    ],
)
def test_what_is_no_filter_is_refused_with_its_place(source: object, field: str) -> None:
    with pytest.raises(InvalidFilterError) as caught:
        parse_filter(source)
    assert caught.value.field == field
    assert caught.value.remedy


@pytest.mark.parametrize(
    "operand", [float("inf"), float("-inf"), [float("nan")], {"x": float("inf")}]
)
def test_numbers_that_json_cannot_hold_are_refused(operand: object) -> None:
    with pytest.raises(InvalidFilterError):
        parse_filter({"a": {"$eq": operand}})


@pytest.mark.parametrize("operator", ["$not", "$and", "$or"])
def test_a_filter_that_is_too_deep_is_refused(operator: str) -> None:
    source: dict[str, object] = {"a": 1}
    for _ in range(MAX_FILTER_DEPTH - 1):
        source = {operator: source if operator == "$not" else [source]}
    assert parse_filter(source) is not None
    with pytest.raises(InvalidFilterError, match="deep"):
        parse_filter({operator: source if operator == "$not" else [source]})


def test_a_filter_that_is_far_too_deep_is_refused() -> None:
    operand: object = 1
    negations: object = {"$gt": 1}
    for _ in range(5000):
        operand = [operand]
        negations = {"$not": negations}
    for source in ({"a": operand}, {"a": negations}):
        with pytest.raises(InvalidFilterError):
            parse_filter(source)


def test_a_filter_with_too_many_conditions_is_refused() -> None:
    assert parse_filter({f"k{n}": n for n in range(MAX_FILTER_NODES)}) is not None
    with pytest.raises(InvalidFilterError, match=str(MAX_FILTER_NODES)):
        parse_filter({f"k{n}": n for n in range(MAX_FILTER_NODES + 1)})
    with pytest.raises(InvalidFilterError):
        parse_filter({f"k{n}": {"$gt": 1, "$lt": 5} for n in range(MAX_FILTER_NODES - 1)})
