"""The field index against the reference semantics of filters."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfm_core.errors import InvalidFilterError
from sfm_core.model.filters import matches, parse_filter
from sfm_core.model.payload import JsonValue
from sfm_core.search.fields import MAX_PATHS, FieldIndex

SCALARS = (
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, 1.0, "", "a", "ab"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=6,
)
PAYLOADS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), max_size=12)
PATHS = st.sampled_from(["a", "b", "c", "a.b", "b.a", "a.a.b"])
CONDITIONS = st.one_of(
    VALUES,
    st.fixed_dictionaries({"$in": st.lists(VALUES, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"$ne": VALUES}),
    st.fixed_dictionaries({"$contains": VALUES}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
    *(
        st.fixed_dictionaries({operator: st.integers(-2, 2) | st.sampled_from([0.5, "a", "aa"])})
        for operator in ("$gt", "$gte", "$lt", "$lte")
    ),
)
FILTERS = st.recursive(
    st.dictionaries(PATHS, CONDITIONS, min_size=1, max_size=2),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"$and": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"$not": inner}),
    ),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(payloads=PAYLOADS, sources=st.lists(FILTERS, min_size=1, max_size=4))
def test_the_answer_equals_that_of_matches(
    payloads: list[dict[str, JsonValue]], sources: list[dict[str, object]]
) -> None:
    index = FieldIndex(payloads.__getitem__)
    for position, source in enumerate(sources):
        try:
            condition = parse_filter(source)
        except InvalidFilterError:
            continue
        assert condition is not None
        # The slots grow from one filter to the next, so known paths must follow.
        count = len(payloads) * (position + 1) // len(sources)
        answer = index.matching(condition, count).tolist()
        assert answer == [matches(condition, payload) for payload in payloads[:count]]


@pytest.mark.parametrize("operator", ["$contains", "$in"])
def test_a_remembered_condition_on_one_is_not_taken_for_one_on_true(operator: str) -> None:
    payloads: list[Mapping[str, JsonValue]] = [{"a": [[1], 1]}, {"a": [[True], True]}]
    index = FieldIndex(payloads.__getitem__)
    for operand, expected in ((1, [True, False]), (True, [False, True])):
        source = {"a": {operator: operand if operator == "$contains" else [[operand]]}}
        condition = parse_filter(source)
        assert condition is not None
        assert index.matching(condition, 2).tolist() == expected


def test_paths_beyond_the_most_that_are_kept_still_answer() -> None:
    payloads: list[Mapping[str, JsonValue]] = [{f"f{n}": n} for n in range(MAX_PATHS + 5)]
    index = FieldIndex(payloads.__getitem__)
    for number in [*range(MAX_PATHS + 5), 0]:
        condition = parse_filter({f"f{number}": number})
        assert condition is not None
        assert index.matching(condition, len(payloads)).nonzero()[0].tolist() == [number]
