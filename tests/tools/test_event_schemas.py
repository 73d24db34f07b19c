"""An event type keeps what it has promised; nobody breaks it unnoticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeAlias

import pytest

from tools import event_schemas

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Edit: TypeAlias = Callable[["dict[str, Json]"], None]

NAME = "v1/memory.stored"


def test_the_schemas_are_as_they_were_promised() -> None:
    found = event_schemas.compare(event_schemas.read_promises(), event_schemas.read_schemas())
    assert list(map(str, found)) == [], event_schemas.REMEDY


def edited(edit: Edit) -> list[event_schemas.Difference]:
    """Return what is found after one schema was edited."""
    schemas = event_schemas.read_schemas()
    schema = json.loads(json.dumps(schemas[NAME]))
    edit(schema)
    changed = event_schemas.compare(event_schemas.read_promises(), {**schemas, NAME: schema})
    return list(changed)


def data_of(schema: dict[str, Json]) -> dict[str, Json]:
    return inner(inner(schema, "properties"), "data")


def inner(document: dict[str, Json], name: str) -> dict[str, Json]:
    value = document[name]
    assert isinstance(value, dict)
    return value


def names(document: dict[str, Json], key: str) -> list[Json]:
    value = document[key]
    assert isinstance(value, list)
    return value


BREAKS: dict[str, Edit] = {
    "a property goes": lambda s: inner(data_of(s), "properties").__delitem__("importance"),
    "an optional property goes": lambda s: inner(data_of(s), "properties").__delitem__("episode"),
    "a type changes": lambda s: inner(data_of(s), "properties").update(version={"type": "string"}),
    "a type is widened": lambda s: inner(data_of(s), "properties").update(
        importance={"type": ["number", "null"]}
    ),
    "a value is added to a choice": lambda s: names(
        inner(inner(data_of(s), "properties"), "type"), "enum"
    ).append("procedural"),
    "a bound goes": lambda s: inner(inner(s, "properties"), "version").__delitem__("minimum"),
    "a format goes": lambda s: inner(inner(s, "properties"), "time").__delitem__("format"),
    "items change": lambda s: inner(inner(data_of(s), "properties"), "coord").update(
        items={"type": "string"}
    ),
    "a field need not be there any more": lambda s: names(data_of(s), "required").remove("born"),
    "an attribute need not be there any more": lambda s: names(s, "required").remove("id"),
    "another field has to be there": lambda s: names(data_of(s), "required").append("episode"),
    "nothing else is allowed any more": lambda s: s.update(additionalProperties=False),
    "data need not name their schema": lambda s: s.__delitem__("dependentRequired"),
}


@pytest.mark.parametrize("edit", BREAKS.values(), ids=BREAKS)
def test_what_a_consumer_may_notice_is_a_break(edit: Edit) -> None:
    assert any(one.breaks for one in edited(edit))


ADDITIONS: dict[str, Edit] = {
    "a field": lambda s: inner(data_of(s), "properties").update(mood={"type": "string"}),
    "an attribute": lambda s: inner(s, "properties").update(mood={"type": "string"}),
    "a field of a field": lambda s: inner(
        inner(inner(data_of(s), "properties"), "episode"), "properties"
    ).update(length={"type": "integer"}),
}


@pytest.mark.parametrize("edit", ADDITIONS.values(), ids=ADDITIONS)
def test_what_is_added_has_to_be_recorded_and_breaks_nothing(edit: Edit) -> None:
    [found] = edited(edit)
    assert not found.breaks


def test_a_description_promises_nothing() -> None:
    assert edited(lambda s: s.update(title="An event")) == []
    assert edited(lambda s: inner(inner(s, "properties"), "time").update(description="Then.")) == []


def test_a_schema_that_goes_is_a_break_and_a_new_one_is_not() -> None:
    schemas = event_schemas.read_schemas()
    fewer = {name: schema for name, schema in schemas.items() if name != NAME}
    assert [one.breaks for one in event_schemas.compare(event_schemas.read_promises(), fewer)] == [
        True
    ]
    more = {**schemas, "v2/memory.stored": schemas[NAME]}
    assert [one.breaks for one in event_schemas.compare(event_schemas.read_promises(), more)] == [
        False
    ]
