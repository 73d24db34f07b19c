"""The event sink keeps the promises of its port."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kafka_brokers import Tansu
from kafka_helpers import open_sink, read_events

from sfm_core.model.events import Event
from sfm_core.protocols.events import EventSink
from sfm_core.testing.contracts.events import EventSinkContract
from sfm_eventing_kafka.sink import KafkaEventSink


class TestKafkaEventSink(EventSinkContract):
    """On Apache Kafka, or on the brokers that were named."""

    @pytest.fixture(autouse=True)
    def place(self, bootstrap: str, topic: str) -> None:
        self.address, self.topic = bootstrap, topic

    @pytest.fixture
    def make(self) -> Callable[[], KafkaEventSink]:
        return lambda: open_sink(f"kafka://{self.address}/{self.topic}?partitions=3")

    async def published(self, sink: EventSink, count: int) -> list[Event]:  # noqa: ARG002 - what is acknowledged can be read
        return await read_events(self.address, self.topic)


class TestKafkaEventSinkOnTansu(EventSinkContract):
    """On a broker that does not know idempotent producers."""

    @pytest.fixture(autouse=True)
    def place(self, tansu: Tansu, topic: str) -> None:
        self.address, self.topic = tansu.address, topic

    @pytest.fixture
    def make(self) -> Callable[[], KafkaEventSink]:
        url = f"kafka://{self.address}/{self.topic}?partitions=3&idempotence=off"
        return lambda: open_sink(url)

    async def published(self, sink: EventSink, count: int) -> list[Event]:  # noqa: ARG002 - as above
        return await read_events(self.address, self.topic)
