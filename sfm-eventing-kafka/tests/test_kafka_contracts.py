"""Event sink and event source keep the promises of their ports."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from kafka_brokers import Tansu
from kafka_helpers import open_sink, open_source, publish, read_events

from sfm_core.model.events import Event
from sfm_core.protocols.events import EventSink
from sfm_core.testing.contracts.events import EventSinkContract
from sfm_core.testing.contracts.sources import EventSourceContract
from sfm_eventing_kafka.sink import KafkaEventSink
from sfm_eventing_kafka.source import KafkaEventSource


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


class TestKafkaEventSource(EventSourceContract):
    """On Apache Kafka, or on the brokers that were named."""

    @pytest.fixture(autouse=True)
    def place(self, bootstrap: str, topic: str) -> None:
        self.url = f"kafka://{bootstrap}/{topic}?partitions=3&group={topic}"

    @pytest.fixture
    def make(self) -> Callable[[], KafkaEventSource]:
        return lambda: open_source(self.url)

    async def publish(self, events: Sequence[Event]) -> None:
        await publish(self.url, events)


class TestKafkaEventSourceOnTansu(EventSourceContract):
    """On a broker that does not know idempotent producers."""

    @pytest.fixture(autouse=True)
    def place(self, tansu: Tansu, topic: str) -> None:
        options = f"partitions=3&idempotence=off&group={topic}&session_timeout_seconds=1"
        self.url = f"kafka://{tansu.address}/{topic}?{options}"

    @pytest.fixture
    def make(self) -> Callable[[], KafkaEventSource]:
        return lambda: open_source(self.url)

    async def publish(self, events: Sequence[Event]) -> None:
        await publish(self.url, events)
