"""A network that fails between us and Apache Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import timedelta

import pytest
import pytest_asyncio
from kafka_brokers import ApacheKafka
from kafka_helpers import open_sink, open_source, publish, read_events

from sfm_core.errors import BackendUnavailableError
from sfm_core.model.events import Event
from sfm_core.protocols.events import EventSink
from sfm_core.protocols.source import Delivery, EventSource
from sfm_core.testing.contracts._base import BackendT
from sfm_core.testing.contracts._outage_base import OutageTests
from sfm_core.testing.contracts.outages import EventSinkOutageContract, EventSourceOutageContract
from sfm_core.testing.contracts.sources import received
from sfm_core.testing.proxy import TcpProxy
from sfm_core.testing.samples import coordinate, event
from sfm_eventing_kafka.sink import KafkaEventSink
from sfm_eventing_kafka.source import KafkaEventSource


class BehindProxy(OutageTests[BackendT]):
    """Brokers tell their clients where to go on, which has to be the proxy as well."""

    deadline = timedelta(seconds=40)

    @pytest.fixture(autouse=True)
    def place(self, apache_kafka: ApacheKafka, topic: str) -> None:
        self.broker, self.topic = apache_kafka, topic
        options = f"partitions=1&timeout_seconds=5&group={topic}&session_timeout_seconds=2"
        self.url = f"kafka://{apache_kafka.address}/{topic}?{options}"
        # For what is no part of the outage.
        self.patient_url = self.url.replace("&timeout_seconds=5&", "&")

    @pytest.fixture
    def server_url(self) -> str:
        return self.url

    @pytest_asyncio.fixture
    async def proxy(self, server_url: str) -> AsyncIterator[TcpProxy]:
        broker = self.broker
        async with TcpProxy(
            "127.0.0.1", broker.proxied_port, url=server_url, own_port=broker.proxy_port
        ) as proxy:
            yield proxy


class TestKafkaEventSource(BehindProxy[EventSource], EventSourceOutageContract):
    @pytest.fixture
    def connect(self) -> Callable[[str], KafkaEventSource]:
        return open_source

    async def publish(self, events: Sequence[Event]) -> None:
        await publish(self.patient_url, events)

    @pytest.mark.parametrize("outage", ["refused", "silent", "reset", "answers cut"])
    async def test_the_stream_goes_on_after(
        self, backend: EventSource, proxy: TcpProxy, outage: str
    ) -> None:
        """Where it was: nothing is left out, and what was acknowledged does not come again."""
        await backend.acknowledge(self._in_hand)
        if outage == "refused":
            await proxy.refuse()
        elif outage == "silent":
            proxy.black_hole()
        elif outage == "answers cut":
            proxy.cut_answers(after=1000, times=None)
        else:
            await proxy.reset_all()
        here = coordinate(2.0)
        await self.publish([event("kit", here, version) for version in range(1, 101)])
        # Longer than a session, so that the group lets it go where it cannot be heard.
        end = time.monotonic() + 3
        handed: list[Delivery] = []
        while time.monotonic() < end:
            with suppress(BackendUnavailableError):
                handed += await backend.receive(limit=10, wait=timedelta(seconds=0.2))
        await proxy.pass_through()
        async with asyncio.timeout(60):
            while not handed or handed[-1].event != event("kit", here, 100):
                with suppress(BackendUnavailableError):
                    handed += await backend.receive(limit=10, wait=timedelta(seconds=1))
        events = [one.event for one in handed if one.event]
        assert {one.subject for one in events} == {str(here)}
        assert [*dict.fromkeys(one.version for one in events)] == [*range(1, 101)]

    async def test_who_leaves_while_brokers_are_slow_to_answer_is_followed_at_once(
        self, proxy: TcpProxy
    ) -> None:
        """It tells them before it goes, or the group would wait for the end of its session."""
        url = self.url.replace("session_timeout_seconds=2", "session_timeout_seconds=60")
        await self.publish([event("kit", coordinate(2.0), 1)])
        async with open_source(proxy.rewritten(url)) as first:
            await received(first, 1)
            proxy.delay(answer=timedelta(seconds=1.2))
        async with open_source(url) as second:
            await received(second, 1)

    async def test_an_acknowledgement_that_arrives_late_does_not_set_the_group_back(
        self, backend: EventSource, beside: EventSource, proxy: TcpProxy
    ) -> None:
        """Its sender was told that it may not have been noted, and noted more since."""
        proxy.black_hole()
        with pytest.raises(BackendUnavailableError):
            await backend.acknowledge(self._in_hand[:3])
        await proxy.pass_through()
        await self.insist(lambda: backend.acknowledge(self._in_hand))
        await backend.__aexit__(None, None, None)
        await self.publish([event("kit", coordinate(2.0), 1)])
        [found] = await received(beside, 1)
        assert found.event == event("kit", coordinate(2.0), 1)


class TestKafkaEventSink(BehindProxy[EventSink], EventSinkOutageContract):
    @pytest.fixture
    def connect(self) -> Callable[[str], KafkaEventSink]:
        return open_sink

    async def prepare(self, backend: EventSink) -> None:  # noqa: ARG002 - a topic is anybody's
        async with open_sink(self.patient_url) as sink:
            await sink.ping()

    async def published(self, sink: EventSink, count: int) -> list[Event]:  # noqa: ARG002 - what is acknowledged can be read
        return await read_events(self.broker.address, self.topic)
