"""The little of the driver that is used, with the types that it does not have."""

# ruff: noqa: SLF001
# pyright: reportPrivateUsage=false
# Stopping a producer takes parts of it that are private.

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ssl import SSLContext
from typing import Protocol, cast

from aiokafka import AIOKafkaProducer
from aiokafka.conn import create_conn  # pyright: ignore[reportUnknownVariableType]
from aiokafka.errors import KafkaError, ProducerClosed
from aiokafka.partitioner import DefaultPartitioner

from sfm_eventing_kafka._log import quieten
from sfm_eventing_kafka._record import Header, Record
from sfm_eventing_kafka.options import Compression
from sfm_eventing_kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

# A broker that is away is asked again this often, and each time the driver writes to the log.
_BACKOFF_MILLISECONDS = 500
_NOTICED_SECONDS = 0.2


class Batch(Protocol):
    """A batch that is being filled."""

    def append(
        self,
        *,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[Header],
    ) -> object | None:
        """Add a record; `None` where it is full."""
        ...


class _Client(Protocol):
    def force_metadata_update(self) -> Awaitable[bool]: ...


class _Sender(Protocol):
    @property
    def sender_task(self) -> asyncio.Task[object] | None: ...


class _Queued(Protocol):
    @property
    def _drain_waiter(self) -> asyncio.Future[None]: ...


class _Accumulator(Protocol):
    @property
    def _batches(self) -> Mapping[object, Sequence[_Queued]]: ...

    def fail_all(self, exception: Exception) -> None: ...


class Producer(Protocol):
    """A producer of the driver."""

    @property
    def client(self) -> _Client:
        """What speaks to the brokers."""
        ...

    @property
    def _sender(self) -> _Sender: ...

    @property
    def _message_accumulator(self) -> _Accumulator: ...

    async def start(self) -> None:
        """Connect, and be given an identity where it is idempotent."""
        ...

    async def stop(self) -> None:
        """Wait for what is under way, and disconnect."""
        ...

    async def partitions_for(self, topic: str) -> set[int]:
        """Return the partitions of a topic."""
        ...

    def create_batch(self) -> Batch:
        """Return an empty batch."""
        ...

    async def send_batch(
        self, batch: Batch, topic: str, *, partition: int
    ) -> asyncio.Future[object]:
        """Queue a batch; the future tells when the brokers have it."""
        ...


def make_producer(settings: KafkaSettings, tls: SSLContext | None) -> Producer:
    """Make a producer; it connects when it is started.

    Args:
        settings: Whom to speak to, and how.
        tls: How to encrypt, where that is wanted.

    Returns:
        The producer.
    """
    make = cast(Callable[..., Producer], AIOKafkaProducer)
    compression = settings.compression
    return make(
        **connecting(settings, tls),
        acks="all",
        enable_idempotence=settings.idempotence,
        compression_type=None if compression is Compression.NONE else compression.value,
        max_batch_size=settings.batch_bytes,
    )


async def end_producer(producer: Producer) -> None:
    """Stop a producer without waiting for a broker that may not come back.

    What it has not got through fails with `ProducerClosed`. The driver itself would go on
    trying for ever.

    Args:
        producer: It is of no use afterwards.
    """
    # The driver has no other way.
    sender = producer._sender.sender_task
    if sender is not None:
        await cancelled(sender)
        accumulator = producer._message_accumulator
        accumulator.fail_all(ProducerClosed())
        for batch in (batch for queue in accumulator._batches.values() for batch in queue):
            # Nobody else takes notice of this failure, which asyncio would complain about.
            batch._drain_waiter.exception()
    await producer.stop()


async def cancelled(task: asyncio.Task[object]) -> None:
    """Cancel one of the driver's tasks, and wait for its end, however it ends.

    Args:
        task: While it waits for the end of another one, as where a member joins its group again,
            the driver misses that it is cancelled; so it is cancelled again.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_NOTICED_SECONDS)
    if not task.cancelled() and (failure := task.exception()):
        log.debug("a task of the driver did not end as it should: %r", failure)


async def refusal(settings: KafkaSettings, tls: SSLContext | None) -> Exception | None:
    """Find out why none of the brokers could be used, which the driver only writes to its log.

    Args:
        settings: Whom to speak to, and how.
        tls: How to encrypt, where that is wanted.

    Returns:
        What the first of them says; `None` where it can be used by now.
    """
    host, _, port = settings.servers[0].rpartition(":")
    connect = cast(Callable[..., Awaitable["_Connection"]], create_conn)
    options = connecting(settings, tls)
    for unknown in ("bootstrap_servers", "retry_backoff_ms"):
        del options[unknown]
    try:
        connection = await connect(host.strip("[]"), int(port), **options)
    except (KafkaError, OSError) as error:
        return error
    connection.close()
    return None


class _Connection(Protocol):
    def close(self) -> object: ...


_choose_partition = cast(
    Callable[[bytes, list[int], list[int]], int], cast(Callable[[], object], DefaultPartitioner)()
)


def partition_of(key: bytes, partitions: list[int]) -> int:
    """Choose the partition of a key as Kafka's own clients do.

    Args:
        key: The key.
        partitions: All of the topic, ascending.

    Returns:
        One of them.
    """
    return _choose_partition(key, partitions, partitions)


def append(batch: Batch, record: Record) -> bool:
    """Put a record into a batch; tell whether there was room. The first always has."""
    added = batch.append(
        timestamp=record.timestamp, key=record.key, value=record.value, headers=record.headers
    )
    return added is not None


def connecting(settings: KafkaSettings, tls: SSLContext | None) -> dict[str, object]:
    """Return what every client of the driver is told about the brokers."""
    quieten()
    options: dict[str, object] = {
        "bootstrap_servers": list(settings.servers),
        "client_id": "somafractalmemory",
        "request_timeout_ms": int(settings.timeout.total_seconds() * 1000),
        "retry_backoff_ms": _BACKOFF_MILLISECONDS,
        "security_protocol": settings.security.value,
        "ssl_context": tls,
    }
    if settings.security.login:
        options["sasl_mechanism"] = settings.mechanism.value
        options["sasl_plain_username"] = settings.username
        options["sasl_plain_password"] = settings.password
    return options
