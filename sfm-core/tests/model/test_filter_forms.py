"""Filters in JSON form, and the parts of them that a payload does not meet."""

from __future__ import annotations

import pytest

from sfm_core.model.filter_forms import failing_part, filter_json
from sfm_core.model.filters import matches, parse_filter
from sfm_core.model.payload import Payload
from sfm_core.testing.filter_cases import FILTER_CASES

PAYLOADS: list[Payload] = [{}, {"a": 1}, *(hit for case in FILTER_CASES for hit in case.hits)]


@pytest.mark.parametrize("source", [case.source for case in FILTER_CASES])
def test_the_json_form_reads_as_the_same_filter(source: object) -> None:
    parsed = parse_filter(source)
    assert parsed is not None
    assert parse_filter(filter_json(parsed)) == parsed


@pytest.mark.parametrize("source", [case.source for case in FILTER_CASES])
def test_a_part_fails_if_and_only_if_the_filter_does(source: object) -> None:
    parsed = parse_filter(source)
    assert parsed is not None
    for payload in PAYLOADS:
        part = failing_part(parsed, payload)
        assert (part is None) is matches(parsed, payload)
        assert part is None or not matches(part, payload)
