"""What a consumer finds on the topic."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from kafka_brokers import Tansu
from kafka_helpers import open_sink, open_source, publish, read, receive_all

from sfm_core.model.events import Event, EventType
from sfm_core.model.payload import Payload
from sfm_core.testing.samples import HOSTILE_COORDINATES, HOSTILE_NAMES, coordinate, event
from sfm_eventing_kafka._wire import key_of, record_of

DATA: Payload = {"kind": "memory", "payload": {"text": "caf\u00e9"}}
LINK = Event(
    id="an-id",
    type=EventType.LINK_STORED,
    source="/namespaces/n",
    subject="1>likes>2",
    time=datetime(2026, 2, 3, 4, 5, 6, 789_012, tzinfo=UTC),
    version=3,
    data=None,
)


@pytest.mark.smoke
async def test_a_record_is_a_cloudevent_with_its_attributes_as_headers(
    tansu: Tansu, topic: str
) -> None:
    one = event("a b", coordinate(1.0, 2.5), 7, DATA)
    async with open_sink(f"kafka://{tansu.address}/{topic}?idempotence=off") as sink:
        await sink.publish([one])
    [record] = await read(tansu.address, topic)
    assert msgspec.json.decode(record.value) == {
        "specversion": "1.0",
        "id": one.id,
        "type": "memory.stored",
        "source": "/namespaces/a%20b",
        "subject": one.subject,
        "time": "2026-02-03T04:05:06.789012+00:00",
        "version": 7,
        "datacontenttype": "application/json",
        "dataschema": "urn:sfm:event:memory.stored:1",
        "data": DATA,
    }
    assert dict(record.headers) == {
        "content-type": b"application/cloudevents+json; charset=utf-8",
        "ce_specversion": b"1.0",
        "ce_id": one.id.encode(),
        "ce_type": b"memory.stored",
        "ce_source": b"/namespaces/a%20b",
        "ce_subject": one.subject.encode(),
        "ce_time": b"2026-02-03T04:05:06.789012+00:00",
        "ce_version": b"7",
        "ce_dataschema": b"urn:sfm:event:memory.stored:1",
    }
    assert record.key == f"a b/{one.subject}".encode()


def test_an_event_without_content_says_nothing_about_it() -> None:
    value = record_of(LINK).value or b""
    assert not {"data", "datacontenttype", "dataschema"} & set(msgspec.json.decode(value))


def test_a_link_has_the_key_of_the_memory_that_it_begins_at() -> None:
    assert key_of(LINK) == key_of(event("n", coordinate(1.0), 1))


def test_keys_of_different_memories_differ() -> None:
    events = [event(name, where, 1) for name in HOSTILE_NAMES for where in HOSTILE_COORDINATES]
    assert len({key_of(one) for one in events}) == len(events)


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_every_compression_can_be_read(bootstrap: str, topic: str, compression: str) -> None:
    url = f"kafka://{bootstrap}/{topic}?compression={compression}"
    await publish(url, [event("n", coordinate(1.0), version, DATA) for version in (1, 2)])
    async with open_source(f"{url}&group={topic}") as source:
        found = await receive_all(source, 2)
    assert [one.event.data for one in found if one.event] == [DATA, DATA]


async def test_the_largest_event_is_taken_between_small_ones(bootstrap: str, topic: str) -> None:
    large: Payload = {"kind": "memory", "payload": {"text": "x" * 1_048_000}}
    content = [DATA, large, DATA]
    events = [event("n", coordinate(1.0), n, data) for n, data in enumerate(content, 1)]
    async with open_sink(f"kafka://{bootstrap}/{topic}?compression=none") as sink:
        await sink.publish(events)
    assert [len(record.value) > 1_048_000 for record in await read(bootstrap, topic)] == [
        False,
        True,
        False,
    ]
