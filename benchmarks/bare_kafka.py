"""Kafka through its driver alone, doing what the sink and the source of events do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, cast
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from sfm_core.model.cloudevents import parse_cloudevent
from sfm_core.model.events import Event
from sfm_eventing_kafka._record import Record
from sfm_eventing_kafka._wire import record_of


class _Producer(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def send(
        self, topic: str, value: bytes | None, key: bytes | None, *, headers: object
    ) -> Awaitable[object]: ...


class _Read(Protocol):
    @property
    def value(self) -> bytes: ...


class _Consumer(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def commit(self) -> None: ...
    async def getmany(
        self, *, timeout_ms: int, max_records: int
    ) -> Mapping[object, Sequence[_Read]]: ...


class BareProducer:
    """Publishes with the settings of the sink."""

    def __init__(self, producer: _Producer, topic: str) -> None:
        """Use a producer that is started."""
        self._producer = producer
        self._topic = topic

    async def publish(self, events: Sequence[Event]) -> None:
        """Encode events as the sink does, and publish them."""
        await self.send([record_of(event) for event in events])

    async def send(self, records: Sequence[Record]) -> None:
        """Publish records; return when brokers have acknowledged all of them."""
        sent = [
            await self._producer.send(self._topic, record.value, record.key, headers=record.headers)
            for record in records
        ]
        await asyncio.gather(*sent)


@asynccontextmanager
async def bare_producer(address: str, topic: str) -> AsyncGenerator[BareProducer]:
    """Open a producer.

    Args:
        address: A broker.
        topic: Where to publish; it is there already.

    Yields:
        The producer.
    """
    make = cast(Callable[..., _Producer], AIOKafkaProducer)
    producer = make(
        bootstrap_servers=address,
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        max_batch_size=262_144,
    )
    await producer.start()
    try:
        yield BareProducer(producer, topic)
    finally:
        await producer.stop()


async def bare_consume(address: str, topic: str, count: int, *, at_once: int) -> float:
    """Consume a topic from its beginning, as a new group: decode each page, then commit it.

    Args:
        address: A broker.
        topic: What to read.
        count: How many events there are.
        at_once: Most in a page.

    Returns:
        Seconds from the first page to the last commit.
    """
    make = cast(Callable[..., _Consumer], AIOKafkaConsumer)
    decode = msgspec.json.Decoder().decode
    consumer = make(
        topic,
        bootstrap_servers=address,
        group_id=f"bench-{uuid4().hex}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    loop = asyncio.get_running_loop()
    await consumer.start()
    try:
        begin, read = 0.0, 0
        while read < count:
            pages = await consumer.getmany(timeout_ms=1000, max_records=at_once)
            # Joining the group and the first fetch are nobody's speed.
            begin = begin or loop.time()
            for page in pages.values():
                read += len([parse_cloudevent(decode(one.value)) for one in page])
            await consumer.commit()
        return loop.time() - begin
    finally:
        await consumer.stop()
