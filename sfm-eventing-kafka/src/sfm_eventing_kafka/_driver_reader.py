"""The little of the driver's consumer that is used, with the types that it does not have."""

# ruff: noqa: SLF001
# pyright: reportPrivateUsage=false
# Stopping a consumer takes parts of it that are private.

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import timedelta
from ssl import SSLContext
from typing import cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    CorruptRecordException,
    KafkaConnectionError,
    KafkaError,
)

from sfm_eventing_kafka._driver import cancelled, connecting
from sfm_eventing_kafka._driver_types import _Consumer, _Place
from sfm_eventing_kafka._record import Received
from sfm_eventing_kafka.settings import KafkaSettings

# How much is fetched ahead: of all partitions together, and of one.
_FETCHED_BYTES = 8 * 1_048_576
_FETCHED_PARTITION_BYTES = 1_048_576
# The longest that the driver takes.
_FOREVER_MILLISECONDS = 2**31 - 1
# Who reads to an end and no further has nothing to wait for; and a broker that is asked to wait
# answers nothing else meanwhile.
_LITTLE_MILLISECONDS = 20
# What ends a consumer waits no longer than this for brokers that may be away.
_PARTING_SECONDS = 1.0


class Reader:
    """Reads one topic; belongs to no group unless it joins one."""

    def __init__(self, topic: str, options: Mapping[str, object]) -> None:
        make = cast(Callable[..., _Consumer], AIOKafkaConsumer)
        self._topic = topic
        self._consumer = make(**options, enable_auto_commit=False, auto_offset_reset="none")

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaError: None of the brokers can be used.
        """
        await self._consumer.start()

    async def end(self) -> None:
        """Stop without waiting for a broker that may not come back."""
        consumer = self._consumer
        await within(consumer.stop())
        # Where stopping failed half-way, these are left over.
        if consumer._fetcher is not None:
            await within(consumer._fetcher.close())
        await within(consumer._client.close())

    def assign(self, partition: int, offset: int) -> None:
        """Read one partition from an offset on, and no other.

        Args:
            partition: Which.
            offset: Where to begin.
        """
        self._consumer.assign([place_of(self._topic, partition)])
        self.seek(partition, offset)

    def seek(self, partition: int, offset: int) -> None:
        """Go on somewhere else; what was read ahead is forgotten."""
        self._consumer.seek(place_of(self._topic, partition), offset)

    async def position(self, partition: int) -> int:
        """Return the offset of what is read next."""
        return await self._consumer.position(place_of(self._topic, partition))

    async def take(self, limit: int, wait: timedelta) -> dict[int, Sequence[Received]]:
        """Return the next records of each partition.

        Args:
            limit: Most records.
            wait: How long to wait for the first one.

        Returns:
            Those that came, by partition; empty where none did.

        Raises:
            KafkaError: What the driver raises. Where it is not about an offset, records may have
                got lost on the way: read again from where you were.
        """
        try:
            # The driver's own limit does not hold while the group shares out its partitions.
            async with asyncio.timeout(wait.total_seconds()):
                batches = await self._consumer.getmany(
                    timeout_ms=_FOREVER_MILLISECONDS, max_records=limit
                )
        except TimeoutError:
            return {}
        except ConsumerStoppedError as error:
            raise KafkaConnectionError("the consumer was given up meanwhile") from error
        except KafkaError as error:
            if type(error) is KafkaError:
                # The driver did not expect it, and does nothing any more. Another one may.
                raise KafkaConnectionError(str(error)) from error
            raise
        except Exception as error:
            # The libraries that decompress a batch have errors of their own.
            raise CorruptRecordException(repr(error)) from error
        return {place.partition: records for place, records in batches.items()}

    async def firsts(self, partitions: Collection[int]) -> dict[int, int]:
        """Return the offset of the oldest record of each partition."""
        places = [place_of(self._topic, partition) for partition in partitions]
        return _by_partition(await self._consumer.beginning_offsets(places))

    async def ends(self, partitions: Collection[int]) -> dict[int, int]:
        """Return the offset after the newest record of each partition."""
        places = [place_of(self._topic, partition) for partition in partitions]
        return _by_partition(await self._consumer.end_offsets(places))


def make_reader(settings: KafkaSettings, tls: SSLContext | None, topic: str) -> Reader:
    """Make a reader that belongs to no group.

    Args:
        settings: Whom to speak to, and how.
        tls: How to encrypt, where that is wanted.
        topic: What to read.

    Returns:
        The reader; it connects when it is started.
    """
    return Reader(topic, fetching(settings, tls) | {"fetch_max_wait_ms": _LITTLE_MILLISECONDS})


def fetching(settings: KafkaSettings, tls: SSLContext | None) -> dict[str, object]:
    """Return what every reader tells the driver."""
    return {
        **connecting(settings, tls),
        "fetch_max_bytes": _FETCHED_BYTES,
        "max_partition_fetch_bytes": _FETCHED_PARTITION_BYTES,
    }


def place_of(topic: str, partition: int) -> _Place:
    """Return what the driver calls a partition."""
    return cast(Callable[[str, int], _Place], TopicPartition)(topic, partition)


def _by_partition(offsets: Mapping[_Place, int]) -> dict[int, int]:
    return {place.partition: offset for place, offset in offsets.items()}


async def within(
    parting: Coroutine[object, object, object], seconds: float = _PARTING_SECONDS
) -> None:
    """Do one step of an end, for a short time; what fails cannot be mended any more."""
    task = asyncio.create_task(parting)
    await asyncio.wait([task], timeout=seconds)
    # The driver lets its own cancellations through, which is why it has a task of its own.
    await cancelled(task)
