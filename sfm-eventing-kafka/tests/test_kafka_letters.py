"""Dead letters: what lay in the stream comes back as it was, whatever it was."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from kafka_helpers import (
    admin_of,
    create_topic,
    open_source,
    produce,
    publish,
    read,
    receive_all,
    warnings_of,
)

from sfm_core.protocols.source import Delivery, Rejection
from sfm_core.registry import BackendContext
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.samples import coordinate, event
from sfm_eventing_kafka import _letters
from sfm_eventing_kafka._record import Record
from sfm_eventing_kafka._wire import record_of
from sfm_eventing_kafka.plugin import create_source
from sfm_eventing_kafka.source import KafkaEventSource

WHY = Rejection(handler="webhook", code="corrupt-data", reason="caf\u00e9 \U0001f9e0")
VALID = record_of(event("n", coordinate(1.0), 1))
POISON = {
    "no value": Record(b"k", None, []),
    "nothing at all": Record(None, None, []),
    "an empty value": Record(b"k", b"", []),
    "broken JSON": Record(b"k", b"{", [("a", b"b")]),
    "no object": Record(b"", b"7", []),
    "another type": Record(b"k", b'{"type": "memory.eaten"}', []),
    "no UTF-8": Record(b"\xff", b"\xff\xfe", [("sfm_dlq_key", b"mine"), ("x", None)]),
    "endless nesting": Record(b"k", b"[" * 200_000, []),
    "too large": Record(b"k", b'"' + b"x" * 3_000_000 + b'"', []),
    "no time zone": Record(VALID.key, (VALID.value or b"").replace(b"+00:00", b""), VALID.headers),
}


@pytest.fixture
def url(bootstrap: str, topic: str) -> str:
    options = f"partitions=3&group={topic}&max_message_bytes=4000000"
    return f"kafka://{bootstrap}/{topic}?{options}"


@pytest_asyncio.fixture
async def source(url: str) -> AsyncIterator[KafkaEventSource]:
    async with open_source(url) as source:
        # Makes the topic.
        await source.ping()
        yield source


async def set_aside(source: KafkaEventSource, deliveries: list[Delivery]) -> list[str]:
    for delivery in deliveries:
        await source.set_aside(delivery, WHY)
    await source.acknowledge(deliveries)
    return [delivery.place for delivery in deliveries]


async def test_what_is_no_event_comes_with_a_problem_between_those_that_are(
    bootstrap: str, topic: str
) -> None:
    url = f"kafka://{bootstrap}/{topic}?partitions=1&group={topic}&max_message_bytes=4000000"
    async with open_source(url) as source:
        await source.ping()
        await produce(bootstrap, topic, *(one for each in POISON.values() for one in (VALID, each)))
        found = await receive_all(source, 2 * len(POISON))
    told = [(one.event is None, bool(one.problem)) for one in found]
    assert dict(zip(POISON, zip(told[::2], told[1::2], strict=True), strict=True)) == dict.fromkeys(
        POISON, ((False, False), (True, True))
    )


async def test_a_letter_that_is_retried_is_what_it_was_to_the_byte(
    bootstrap: str, topic: str, source: KafkaEventSource
) -> None:
    await produce(bootstrap, topic, *POISON.values())
    places = await set_aside(source, await receive_all(source, len(POISON)))
    assert {letter.place for letter in await source.dead_letters(limit=100)} == set(places)
    before = await contents(bootstrap, topic)
    assert await source.retry(places) == len(POISON)
    assert await source.dead_letters(limit=100) == []
    assert await contents(bootstrap, topic) == before + before


async def contents(address: str, topic: str) -> Counter[str]:
    """Count what lies on a topic: partition, key, value and headers."""
    return Counter(
        str((one.partition, one.key, one.value, [*one.headers]))
        for one in await read(address, topic)
    )


async def test_a_letter_says_where_why_and_when_in_its_headers(
    bootstrap: str, topic: str, source: KafkaEventSource
) -> None:
    await produce(bootstrap, topic, VALID)
    [place] = await set_aside(source, await receive_all(source, 1))
    [record] = await read(bootstrap, f"{topic}.dlq")
    assert (record.key, record.value) == (place.encode(), VALID.value)
    told = dict(record.headers)
    at = told.pop("sfm_dlq_at")
    assert at is not None
    assert told == dict(VALID.headers) | {
        "sfm_dlq_handler": b"webhook",
        "sfm_dlq_code": b"corrupt-data",
        "sfm_dlq_reason": WHY.reason.encode(),
        "sfm_dlq_place": place.encode(),
        "sfm_dlq_key": VALID.key,
        "sfm_dlq_null": b"",
    }


async def test_a_delivery_that_did_not_come_from_this_source_is_kept_as_its_sink_sends_it(
    bootstrap: str, topic: str, source: KafkaEventSource
) -> None:
    one = event("n", coordinate(1.0), 1)
    await source.set_aside(Delivery(place="elsewhere/0@0", event=one), WHY)
    [record] = await read(bootstrap, f"{topic}.dlq")
    assert (record.value, dict(record.headers)["sfm_dlq_key"]) == (VALID.value, VALID.key)


async def test_letters_are_looked_after_without_joining_the_group(
    bootstrap: str, topic: str, url: str
) -> None:
    one = Delivery(place=f"{topic}/0@0", event=event("n", coordinate(1.0), 1))
    async with open_source(url) as source:
        await source.ping()
        await source.set_aside(one, WHY)
        assert len(await source.dead_letters(limit=10)) == 1
        assert await source.retry([one.place]) == 1
        assert await source.drop([one.place]) == 0
    async with admin_of(bootstrap) as admin:
        groups = {name for name, _ in await admin.list_consumer_groups()}
    assert topic not in groups


async def test_there_are_no_letters_before_there_is_a_topic_for_them(
    bootstrap: str, topic: str, source: KafkaEventSource
) -> None:
    assert await source.dead_letters(limit=10) == []
    assert await source.retry(["nowhere"]) == await source.drop(["nowhere"]) == 0
    assert await read(bootstrap, f"{topic}.dlq") == []


async def test_more_letters_than_are_noted_at_once_are_listed_all_the_same(
    source: KafkaEventSource, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_letters, "_NOTED", 4)
    await publish(url, [event("n", coordinate(1.0), version) for version in range(1, 21)])
    places = await set_aside(source, await receive_all(source, 20))
    dropped = [places[at] for at in (0, 1, 2, 3, 5, 7, 9, 11, 12, 13, 19)]
    assert await source.drop(dropped) == len(dropped)
    left = [place for place in places if place not in dropped]
    for limit in (1, 3, 4, 5, 1000):
        listed = await source.dead_letters(limit=limit)
        assert [letter.place for letter in listed] == left[:limit]
    assert await source.retry(places) == len(left)


async def test_a_letter_that_is_set_aside_again_after_it_was_dropped_is_there(
    source: KafkaEventSource, url: str
) -> None:
    await publish(url, [event("n", coordinate(1.0), 1)])
    [delivery] = await receive_all(source, 1)
    for _ in range(3):
        await source.set_aside(delivery, WHY)
        assert await source.drop([delivery.place]) == 1
    await source.set_aside(delivery, WHY)
    assert [one.place for one in await source.dead_letters(limit=10)] == [delivery.place]


async def test_letters_of_a_topic_with_several_partitions_are_listed_by_age(
    bootstrap: str, topic: str, source: KafkaEventSource, url: str
) -> None:
    await create_topic(bootstrap, f"{topic}.dlq", 3, cleanup_policy="compact")
    await publish(url, [event("n", coordinate(float(n)), 1) for n in range(8)])
    places = await set_aside(source, await receive_all(source, 8))
    assert len({one.partition for one in await read(bootstrap, f"{topic}.dlq")}) > 1
    listed = await source.dead_letters(limit=10)
    assert [one.place for one in listed] == places
    assert await source.retry(places[:3]) == 3


async def test_letters_are_as_old_as_they_say_whenever_the_broker_took_them(
    source: KafkaEventSource, url: str
) -> None:
    now = datetime.now(UTC)
    ages = [timedelta(seconds=age) for age in (1, 3, 2)]
    await publish(url, [event("n", coordinate(float(n)), 1) for n in range(len(ages))])
    for age, delivery in zip(ages, await receive_all(source, len(ages)), strict=True):
        context = BackendContext(data_folder=Path("unused"), clock=ManualClock(now - age))
        async with create_source(url, context) as writer:
            await writer.set_aside(delivery, WHY)
    listed = [now - one.at for one in await source.dead_letters(limit=10)]
    assert listed == sorted(ages, reverse=True)
    assert [now - one.at for one in await source.dead_letters(limit=1)] == [max(ages)]


async def test_what_is_no_letter_is_left_out_of_the_list(
    bootstrap: str, topic: str, source: KafkaEventSource, caplog: pytest.LogCaptureFixture
) -> None:
    await create_topic(bootstrap, f"{topic}.dlq", 1, cleanup_policy="compact")
    await produce(bootstrap, f"{topic}.dlq", Record(b"k", b"v", [("a", b"b")]))
    with caplog.at_level(logging.WARNING, "sfm_eventing_kafka"):
        assert await source.dead_letters(limit=10) == []
    assert "no dead letter" in caplog.text


async def test_the_topic_of_the_letters_is_made_to_keep_them(
    bootstrap: str, topic: str, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = Delivery(place=f"{topic}/0@0", event=event("n", coordinate(1.0), 1))
    name = f"{topic}-kept"
    with caplog.at_level(logging.WARNING, "sfm_eventing_kafka"):
        for _ in range(2):
            async with open_source(f"{url}&dead_letter_topic={name}") as source:
                await source.set_aside(one, WHY)
    assert [record.key for record in await read(bootstrap, name)] == [one.place.encode()] * 2
    # One that is not compacted would have been warned of.
    assert warnings_of(caplog) == []


async def test_a_topic_that_does_not_keep_letters_is_left_as_it_is_with_a_warning(
    bootstrap: str, topic: str, source: KafkaEventSource, caplog: pytest.LogCaptureFixture
) -> None:
    await create_topic(bootstrap, f"{topic}.dlq", 1, cleanup_policy="delete")
    one = Delivery(place=f"{topic}/0@0", event=event("n", coordinate(1.0), 1))
    with caplog.at_level(logging.WARNING, "sfm_eventing_kafka"):
        await source.set_aside(one, WHY)
    assert "cleanup.policy is delete" in caplog.text
    assert len(await source.dead_letters(limit=10)) == 1


async def test_a_long_reason_is_cut_and_does_not_keep_a_letter_from_being_kept(
    source: KafkaEventSource,
) -> None:
    one = Delivery(place="t/0@0", event=event("n", coordinate(1.0), 1))
    why = Rejection(handler="h", code="c", reason="\ud800" + "x" * 5_000_000)
    await source.set_aside(one, why)
    [letter] = await source.dead_letters(limit=1)
    assert 1000 < len(letter.rejection.reason) < 10_000


async def test_nothing_is_waited_for_where_nothing_is_set_aside(source: KafkaEventSource) -> None:
    assert await source.receive(limit=1, wait=timedelta()) == []
