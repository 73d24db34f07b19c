"""Publishing in order.

Each partition takes one batch at a time: the next one leaves when the one
before is acknowledged. So nothing overtakes what has failed, and what was
acknowledged of a call that failed is not sent again when it is repeated.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from sfm_core.model.events import Event
from sfm_core.protocols import MAX_BATCH
from sfm_eventing_kafka._connection import KafkaConnection
from sfm_eventing_kafka._driver import Batch, Producer, append, partition_of
from sfm_eventing_kafka._wire import key_of, record_of

# For how long a batch may be under way. Meanwhile it is tried again by a producer whose
# repetitions the broker recognises; after it, a new one may find brokers that have moved.
PATIENCE = timedelta(seconds=60)


class _Acknowledged:
    """Events that the broker has, though the call that published them failed."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def __contains__(self, event: Event) -> bool:
        return event.id in self._ids

    def add(self, ids: Sequence[str]) -> None:
        """Remember some; the oldest are forgotten when there are too many, and may come twice."""
        self._ids.update(dict.fromkeys(ids))
        while len(self._ids) > 2 * MAX_BATCH:
            del self._ids[next(iter(self._ids))]

    def forget(self, events: Sequence[Event]) -> None:
        """Forget those of a call that succeeded."""
        for event in events:
            self._ids.pop(event.id, None)


class _Underway(NamedTuple):
    """A batch that is sent and not acknowledged."""

    producer: Producer
    done: asyncio.Future[object]
    ids: list[str]
    since: float


class _Lane:
    """One partition."""

    def __init__(self, topic: str, partition: int, acknowledged: _Acknowledged) -> None:
        self._topic = topic
        self._partition = partition
        self._acknowledged = acknowledged
        self._turn = asyncio.Lock()
        self._underway: _Underway | None = None

    def overdue(self, producer: Producer) -> bool:
        """Tell whether a batch of a producer has been under way for too long."""
        underway = self._underway
        if underway is None or underway.producer is not producer or underway.done.done():
            return False
        return time.monotonic() - underway.since > PATIENCE.total_seconds()

    async def send(self, producer: Producer, events: Sequence[Event]) -> None:
        """Send events, one batch after the other.

        Args:
            producer: Sends them.
            events: All are of this partition.

        Raises:
            KafkaError: A batch failed; nothing after it was sent.
        """
        async with self._turn:
            await self._settle(producer)
            waiting = deque(event for event in events if event not in self._acknowledged)
            while waiting:
                batch = producer.create_batch()
                ids = _fill(batch, waiting)
                done = await producer.send_batch(batch, self._topic, partition=self._partition)
                # Where nobody waits for it any more, its failure is found by the next call.
                done.add_done_callback(_seen)
                self._underway = _Underway(producer, done, ids, time.monotonic())
                await self._settle(producer)

    async def _settle(self, producer: Producer) -> None:
        """Wait for the batch that is under way, also if a call that was given up sent it."""
        underway = self._underway
        if underway is None:
            return
        await asyncio.wait([underway.done])
        self._underway = None
        failure = underway.done.exception()
        if failure is None:
            self._acknowledged.add(underway.ids)
        elif underway.producer is producer:
            raise failure


class Stream:
    """Publishes to one topic."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._topic = connection.settings.topic
        self._acknowledged = _Acknowledged()
        self._lanes: dict[int, _Lane] = {}

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish events; those of one key in order.

        Args:
            events: What to publish.

        Raises:
            ConfigurationError: The brokers refuse the login, the topic or idempotence.
            KafkaError: What else the driver raises.
        """
        producer = await self._connection.producer()
        if any(lane.overdue(producer) for lane in self._lanes.values()):
            self._connection.give_up(producer)
            producer = await self._connection.producer()
        assigned = await self._assign(producer, events)
        try:
            await _send(producer, assigned)
        except Exception:
            # The broker expects of it what will not come, since nothing is left out.
            self._connection.give_up(producer)
            raise
        self._acknowledged.forget(events)

    async def _assign(
        self, producer: Producer, events: Sequence[Event]
    ) -> dict[_Lane, list[Event]]:
        partitions = sorted(await producer.partitions_for(self._topic))
        assigned: dict[_Lane, list[Event]] = defaultdict(list)
        for event in events:
            assigned[self._lane(partition_of(key_of(event), partitions))].append(event)
        return assigned

    def _lane(self, partition: int) -> _Lane:
        if partition not in self._lanes:
            self._lanes[partition] = _Lane(self._topic, partition, self._acknowledged)
        return self._lanes[partition]


async def _send(producer: Producer, assigned: Mapping[_Lane, Sequence[Event]]) -> None:
    sends = [lane.send(producer, part) for lane, part in assigned.items()]
    if len(sends) == 1:
        # A task would cost as much as sending one event does.
        await sends[0]
        return
    for failure in await asyncio.gather(*sends, return_exceptions=True):
        if failure is not None:
            raise failure


def _fill(batch: Batch, waiting: deque[Event]) -> list[str]:
    ids: list[str] = []
    while waiting and append(batch, record_of(waiting[0])):
        ids.append(waiting.popleft().id)
    return ids


def _seen(done: asyncio.Future[object]) -> None:
    if not done.cancelled():
        done.exception()
