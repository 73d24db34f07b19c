"""The topic: made as asked for, and never changed."""

from __future__ import annotations

import logging

import pytest
from kafka_brokers import Tansu
from kafka_helpers import admin_of, open_sink, warnings_of

from sfm_core.errors import ConfigurationError
from sfm_core.testing.samples import coordinate, event
from sfm_eventing_kafka._admin import Admin
from sfm_eventing_kafka._topic import ensure_topic, events_topic
from sfm_eventing_kafka.settings import KafkaSettings

ONE = event("n", coordinate(1.0), 1)


async def partitions(address: str, topic: str) -> int:
    async with admin_of(address) as admin:
        [found] = await admin.describe_topics([topic])
    return len(found["partitions"])


async def test_a_missing_topic_is_made_as_asked_for(
    bootstrap: str, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"kafka://{bootstrap}/{topic}?partitions=3&replication=1&retention_seconds=60"
    with caplog.at_level(logging.WARNING, "sfm_eventing_kafka"):
        for _ in range(2):
            async with open_sink(url) as sink:
                await sink.publish([ONE])
    assert await partitions(bootstrap, topic) == 3
    assert warnings_of(caplog) == []


async def test_a_topic_that_is_there_is_left_as_it_is_with_a_warning(
    bootstrap: str, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_sink(f"kafka://{bootstrap}/{topic}?partitions=3") as sink:
        await sink.publish([ONE])
    other = f"kafka://{bootstrap}/{topic}?partitions=4&retention_seconds=60&max_message_bytes=9000"
    with caplog.at_level(logging.WARNING, "sfm_eventing_kafka"):
        async with open_sink(other) as sink:
            await sink.publish([ONE])
    assert await partitions(bootstrap, topic) == 3
    said = " ".join(warnings_of(caplog))
    assert "partitions is 3 instead of 4" in said
    assert "instead of 60000" in said
    assert "max.message.bytes is 2097152 instead of 9000" in said


async def test_a_difference_is_seen_without_its_configuration(
    tansu: Tansu, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"kafka://{tansu.address}/{topic}?idempotence=off"
    async with open_sink(f"{url}&partitions=2") as sink:
        await sink.ping()
    with caplog.at_level(logging.WARNING, "sfm_eventing_kafka"):
        async with open_sink(f"{url}&partitions=5") as sink:
            await sink.ping()
    assert "partitions is 2 instead of 5" in caplog.text


class Behind(Admin):
    """Asks a broker that hears of a topic later than others do."""

    _deaf = 2

    async def has(self, topic: str) -> bool:
        if self._deaf:
            self._deaf -= 1
            return False
        return await super().has(topic)

    async def shape(self, topic: str) -> tuple[int, int]:
        return (0, 0) if self._deaf else await super().shape(topic)


async def test_a_topic_that_another_made_a_moment_ago_is_looked_at_once_it_is_known(
    tansu: Tansu, topic: str
) -> None:
    async with open_sink(f"kafka://{tansu.address}/{topic}?idempotence=off&partitions=2") as sink:
        await sink.ping()
    asked = KafkaSettings(servers=()).with_url(f"kafka://{tansu.address}/{topic}?partitions=5")
    async with Behind(asked, None) as admin:
        differences = await ensure_topic(admin, events_topic(asked), may_make=True)
    assert differences == {"its partitions is 2 instead of 5"}


async def test_a_topic_that_may_not_be_made_is_missed(tansu: Tansu, topic: str) -> None:
    url = f"kafka://{tansu.address}/{topic}?idempotence=off&create_topic=off"
    async with open_sink(url) as sink:
        with pytest.raises(ConfigurationError) as caught:
            await sink.publish([ONE])
    assert caught.value.setting == "KAFKA_MEMORY_EVENTS_TOPIC"


async def test_more_copies_than_brokers_are_refused(bootstrap: str, topic: str) -> None:
    async with open_sink(f"kafka://{bootstrap}/{topic}?replication=99") as sink:
        with pytest.raises(ConfigurationError, match="replication"):
            await sink.publish([ONE])


async def test_an_event_that_the_topic_has_no_room_for_is_said_and_stops_the_rest(
    bootstrap: str, topic: str
) -> None:
    large = event("n", coordinate(1.0), 2, {"text": "x" * 20_000})
    url = f"kafka://{bootstrap}/{topic}?max_message_bytes=9000&compression=none"
    async with open_sink(url) as sink:
        with pytest.raises(ConfigurationError) as caught:
            await sink.publish([ONE, large, event("n", coordinate(1.0), 3)])
    assert caught.value.setting == "max_message_bytes"
