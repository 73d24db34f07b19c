"""Events as documents."""

from __future__ import annotations

import msgspec
import pytest

from sfm_core.errors import CorruptDataError
from sfm_core.model.cloudevents import cloudevent, parse_cloudevent
from sfm_core.model.payload import JsonValue
from sfm_core.testing.samples import HOSTILE_NAMES, coordinate, event

ONE = event("n", coordinate(1.0), 3, {"kind": "memory", "payload": {"a": [1, 0.1, None]}})


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_an_event_survives_its_document(name: str) -> None:
    for data in (None, {"text": "caf\u00e9 \U0001f9e0"}):
        one = event(name, coordinate(0.1, -5e-324), 2**40, data)
        assert parse_cloudevent(msgspec.json.decode(msgspec.json.encode(cloudevent(one)))) == one


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_the_source_is_a_uri(name: str) -> None:
    source = cloudevent(event(name, coordinate(1.0), 1))["source"]
    assert isinstance(source, str)
    assert source.isascii()
    assert not set(source) & set(' "<>\\^`{|}')


def test_attributes_of_a_later_version_are_ignored() -> None:
    assert parse_cloudevent({**cloudevent(ONE), "traceparent": "00-0"}) == ONE


@pytest.mark.parametrize(
    "change",
    [
        {"id": 1},
        {"type": "memory.moved"},
        {"source": None},
        {"source": "/namespaces/%ff"},
        {"subject": None},
        {"time": "yesterday"},
        {"time": "2026-02-03T04:05:06"},
        {"version": "1"},
        {"version": True},
        {"data": []},
    ],
)
def test_a_document_of_something_else_is_reported(change: dict[str, JsonValue]) -> None:
    with pytest.raises(CorruptDataError):
        parse_cloudevent({**cloudevent(ONE), **change})


@pytest.mark.parametrize("document", [None, [], "text", {}, 1])
def test_what_is_no_document_is_reported(document: object) -> None:
    with pytest.raises(CorruptDataError):
        parse_cloudevent(document)
