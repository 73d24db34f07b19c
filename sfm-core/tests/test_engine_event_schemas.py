"""What is published is what the schemas say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

import jsonschema_rs
import pytest
from engine_house import NS, SETTINGS, House, at, new
from event_paths import PATHS, ChangePath, deletes_many, imports_an_export, links

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.cloudevents import SCHEMA_VERSION, cloudevent, parse_cloudevent
from sfm_core.model.events import EventType
from sfm_core.model.payload import JsonValue
from sfm_core.model.trace import TraceContext
from sfm_core.protocols.observer import UNOBSERVED
from sfm_core.settings import EngineSettings

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
FOLDER = REFERENCE / "events" / f"v{SCHEMA_VERSION}"

Document = Mapping[str, JsonValue]


class Schema(Protocol):
    """A compiled schema."""

    def validate(self, instance: object) -> None: ...
    def is_valid(self, instance: object) -> bool: ...


def text_of(kind: str) -> dict[str, dict[str, dict[str, dict[str, object]]]]:
    text = (FOLDER / f"{kind}.json").read_text(encoding="utf-8")
    return cast(dict[str, dict[str, dict[str, dict[str, object]]]], json.loads(text))


class InATrace:
    """An observer that records a trace in which everything happens."""

    operation = UNOBSERVED.operation
    call = UNOBSERVED.call
    group = UNOBSERVED.group
    count = UNOBSERVED.count

    def here(self) -> TraceContext | None:
        return TraceContext(parent=f"00-{7:032x}-{7:016x}-01", state="vendor=1")


def schema_of(kind: str) -> Schema:
    return jsonschema_rs.Draft202012Validator(text_of(kind), validate_formats=True)


async def published(house: House, settings: EngineSettings, *paths: ChangePath) -> list[Document]:
    """Return the events of changes."""
    async with house.open(settings, events=True, observer=InATrace()) as engine:
        for path in paths:
            await path(house, engine)
            await house.sweep()
    return [cloudevent(event) for event in house.sink.events]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
@pytest.mark.parametrize(
    "settings",
    [SETTINGS, replace(SETTINGS, history_limit=0), replace(SETTINGS, event_payloads=False)],
    ids=["as usual", "without history", "without payloads"],
)
async def test_every_event_is_as_its_schema_says(
    house: House, settings: EngineSettings, path: ChangePath
) -> None:
    documents = await published(house, settings, path)
    assert documents
    for document in documents:
        schema_of(str(document["type"])).validate(document)
        described = text_of(str(document["type"]))["properties"]
        assert set(document) <= set(described)
        data = document.get("data", {})
        assert isinstance(data, Mapping)
        assert set(data) <= set(described["data"]["properties"])


async def purges_and_stores_again(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(at(77), "a"))
    await engine.purge(NS, at(77))
    await house.sweep()
    await engine.store(NS, new(at(77), "b"))


async def test_every_field_that_is_described_is_published(house: House) -> None:
    documents = await published(
        house, SETTINGS, imports_an_export, links, deletes_many, purges_and_stores_again
    )
    for kind in EventType:
        of_kind = [document for document in documents if document["type"] == kind.value]
        described = text_of(kind.value)["properties"]
        assert set(described) == {name for document in of_kind for name in document}
        data = [cast(Document, document["data"]) for document in of_kind if "data" in document]
        assert set(described["data"]["properties"]) == {name for each in data for name in each}


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
