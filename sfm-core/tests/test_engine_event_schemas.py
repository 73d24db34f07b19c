"""What is published is what the schemas say."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol, cast

import jsonschema_rs
import pytest
from engine_house import NS, SETTINGS, House, at, new, open_house

from sfm_core.model.cloudevents import SCHEMA_VERSION, cloudevent, parse_cloudevent
from sfm_core.model.events import EventType
from sfm_core.model.memory import Episode
from sfm_core.model.payload import JsonValue

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
FOLDER = REFERENCE / "events" / f"v{SCHEMA_VERSION}"
A, B, C = at(1), at(2.5), at(3)

Document = Mapping[str, JsonValue]


class Schema(Protocol):
    """A compiled schema."""

    def validate(self, instance: object) -> None: ...
    def is_valid(self, instance: object) -> bool: ...


def text_of(kind: str) -> dict[str, dict[str, dict[str, dict[str, object]]]]:
    text = (FOLDER / f"{kind}.json").read_text(encoding="utf-8")
    return cast(dict[str, dict[str, dict[str, dict[str, object]]]], json.loads(text))


def schema_of(kind: str) -> Schema:
    return jsonschema_rs.Draft202012Validator(text_of(kind), validate_formats=True)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as made:
        yield made


async def published(house: House) -> list[Document]:
    """Return events of every type, with everything that they can have and without."""
    async with house.open(replace(SETTINGS, history_limit=1), events=True) as engine:
        for text in ("forgotten", "kept", "latest"):
            await engine.store(NS, new(A, text))
        full = replace(
            new(B, "full"), ttl=timedelta(days=1), episode=Episode(name="tea", order=1.5)
        )
        await engine.store(NS, full)
        await engine.link(NS, A, B, type="likes", weight=0.25)
        await engine.unlink(NS, A, B, type="likes")
        await engine.store(NS, new(C))
        await engine.link(NS, B, C, weight=0.5)
        await engine.delete(NS, A)
        await house.sweep()
    return [cloudevent(event) for event in house.sink.events]


async def test_every_event_is_as_its_schema_says(house: House) -> None:
    documents = await published(house)
    assert {str(document["type"]) for document in documents} == {kind.value for kind in EventType}
    for document in documents:
        schema_of(str(document["type"])).validate(document)


async def test_every_attribute_is_described(house: House) -> None:
    for document in await published(house):
        described = text_of(str(document["type"]))["properties"]
        assert set(document) <= set(described)
        data = document.get("data")
        if isinstance(data, Mapping):
            assert set(data) <= set(described["data"]["properties"])


async def test_every_field_that_is_described_is_published(house: House) -> None:
    documents = await published(house)
    for kind in EventType:
        of_kind = [document for document in documents if document["type"] == kind.value]
        described = text_of(kind.value)["properties"]
        missing = set(described) - {name for document in of_kind for name in document}
        assert missing <= {"data"}
        data = [document["data"] for document in of_kind if "data" in document]
        if data:
            names = {name for each in data for name in cast(Document, each)}
            assert set(described["data"]["properties"]) == names


def test_there_is_a_schema_of_every_type_and_no_other() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == {kind.value for kind in EventType}


def test_the_event_on_the_page_can_be_read() -> None:
    page = (REFERENCE / "events.md").read_text(encoding="utf-8")
    [text] = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    document = json.loads(text)
    schema_of("memory.stored").validate(document)
    assert cloudevent(parse_cloudevent(document)) == document


@pytest.mark.parametrize("name", ["id", "time", "version", "subject", "source", "dataschema"])
def test_a_schema_notices_what_is_missing(name: str) -> None:
    page = (REFERENCE / "events.md").read_text(encoding="utf-8")
    [text] = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    document = json.loads(text)
    del document[name]
    assert not schema_of("memory.stored").is_valid(document)
