"""What the tests of this sink share."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol, cast

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from sfm_core.model.cloudevents import parse_cloudevent
from sfm_core.model.events import Event
from sfm_core.protocols.source import Delivery
from sfm_core.registry import BackendContext
from sfm_eventing_kafka._driver import Batch, append
from sfm_eventing_kafka._record import Record
from sfm_eventing_kafka.plugin import create_events, create_source
from sfm_eventing_kafka.sink import KafkaEventSink
from sfm_eventing_kafka.source import KafkaEventSource

_SAYS_HOW_LONG = re.compile(r"[?&]timeout_seconds=")


class Received(Protocol):
    """What the tests use of a record that was read."""

    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


class _Consumer(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def topics(self) -> set[str]: ...
    def assign(self, partitions: Sequence[object]) -> None: ...
    async def seek_to_beginning(self, *partitions: object) -> bool: ...
    async def end_offsets(self, partitions: Sequence[object]) -> Mapping[object, int]: ...
    async def position(self, partition: object) -> int: ...
    async def getmany(self, *, timeout_ms: int) -> Mapping[object, Sequence[Received]]: ...


class _Producer(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def send_and_wait(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        *,
        headers: Sequence[tuple[str, bytes | None]],
    ) -> object: ...
    def create_batch(self) -> Batch: ...
    async def send_batch(
        self, batch: Batch, topic: str, *, partition: int
    ) -> Awaitable[object]: ...


class _Admin(Protocol):
    async def start(self) -> None: ...
    async def close(self) -> None: ...
    def describe_topics(
        self, topics: Sequence[str]
    ) -> Awaitable[Sequence[Mapping[str, Sequence[Mapping[str, int]]]]]: ...
    async def list_consumer_groups(self) -> Sequence[tuple[str, str]]: ...
    async def create_topics(self, topics: Sequence[object]) -> object: ...
    async def list_topics(self) -> Sequence[str]: ...
    async def delete_records(self, records: Mapping[object, object]) -> object: ...


def patient(url: str) -> str:
    """Return a URL with which brokers may be busy with other tests, unless it says otherwise."""
    if _SAYS_HOW_LONG.search(url):
        return url
    return f"{url}{'&' if '?' in url else '?'}timeout_seconds=60"


def open_sink(url: str, **options: str) -> KafkaEventSink:
    """Make a sink."""
    return create_events(patient(url), BackendContext(data_folder=Path("unused"), options=options))


def open_source(url: str, **options: str) -> KafkaEventSource:
    """Make a source."""
    return create_source(patient(url), BackendContext(data_folder=Path("unused"), options=options))


async def publish(url: str, events: Sequence[Event]) -> None:
    """Publish events through a sink of their own."""
    async with open_sink(url) as sink:
        await sink.publish(events)


@asynccontextmanager
async def admin_of(address: str) -> AsyncGenerator[_Admin]:
    """Open the driver's own client for topics."""
    make = cast(Callable[..., _Admin], AIOKafkaAdminClient)
    admin = make(bootstrap_servers=address)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def produce(address: str, topic: str, *records: Record) -> None:
    """Write records past our own code."""
    make = cast(Callable[..., _Producer], AIOKafkaProducer)
    producer = make(bootstrap_servers=address, max_request_size=64 * 1_048_576)
    await producer.start()
    try:
        for record in records:
            if record.key is not None:
                await producer.send_and_wait(
                    topic, record.value, record.key, headers=record.headers
                )
                continue
            # The driver takes no record without key and value, other clients write some.
            batch = producer.create_batch()
            append(batch, record)
            await (await producer.send_batch(batch, topic, partition=0))
    finally:
        await producer.stop()


async def create_topic(address: str, topic: str, partitions: int, **configs: str) -> None:
    """Make a topic past our own code, and wait until the broker has heard of it."""
    make = cast(Callable[..., object], NewTopic)
    named = {name.replace("_", "."): value for name, value in configs.items()}
    async with admin_of(address) as admin:
        await admin.create_topics([make(topic, partitions, -1, {}, named)])
        # The controller makes it, and a broker hears of that a moment later.
        while topic not in await admin.list_topics():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)


async def forget(address: str, topic: str, before: int) -> None:
    """Have a topic of one partition forget its oldest records, as its retention does."""
    make = cast(Callable[[int], object], RecordsToDelete)
    async with admin_of(address) as admin:
        await admin.delete_records({TopicPartition(topic, 0): make(before)})


async def receive_all(source: KafkaEventSource, count: int) -> list[Delivery]:
    """Receive until there are as many deliveries as expected, and no more come at once."""
    found: list[Delivery] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            found += await source.receive(limit=1000, wait=timedelta(seconds=1))
    return found + await source.receive(limit=1000, wait=timedelta(milliseconds=200))


async def read(address: str, topic: str) -> list[Received]:
    """Read all of a topic past our own code: each partition in its order."""
    make = cast(Callable[..., _Consumer], AIOKafkaConsumer)
    consumer = make(bootstrap_servers=address, enable_auto_commit=False)
    await consumer.start()
    try:
        if topic not in await consumer.topics():
            return []
        async with admin_of(address) as admin:
            [found] = await admin.describe_topics([topic])
        partitions = [TopicPartition(topic, each["partition"]) for each in found["partitions"]]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        records: list[Received] = []
        while [each for each in partitions if await consumer.position(each) < ends[each]]:
            for part in (await consumer.getmany(timeout_ms=200)).values():
                records += part
        return sorted(records, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()


async def read_events(address: str, topic: str) -> list[Event]:
    """Read all events of a topic."""
    return [
        parse_cloudevent(msgspec.json.decode(record.value)) for record in await read(address, topic)
    ]


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what our own code has warned of; the driver has its own worries."""
    return [one.message for one in caplog.records if one.name.startswith("sfm_eventing_kafka")]
