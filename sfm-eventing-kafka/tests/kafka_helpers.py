"""What the tests of this sink share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, cast

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from sfm_core.model.cloudevents import parse_cloudevent
from sfm_core.model.events import Event
from sfm_core.registry import BackendContext
from sfm_eventing_kafka.plugin import create_events
from sfm_eventing_kafka.sink import KafkaEventSink


class Received(Protocol):
    """What the tests use of a record that was read."""

    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...
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


class _Admin(Protocol):
    async def start(self) -> None: ...
    async def close(self) -> None: ...
    def describe_topics(
        self, topics: Sequence[str]
    ) -> Awaitable[Sequence[Mapping[str, Sequence[Mapping[str, int]]]]]: ...


def open_sink(url: str, **options: str) -> KafkaEventSink:
    """Make a sink."""
    return create_events(url, BackendContext(data_folder=Path("unused"), options=options))


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
