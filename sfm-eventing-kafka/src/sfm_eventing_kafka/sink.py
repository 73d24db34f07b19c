"""The event sink on Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from sfm_core.clock import SystemClock
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import Event
from sfm_core.porting import ServedPort, check_batch
from sfm_eventing_kafka._brokers import Brokers
from sfm_eventing_kafka._connection import KafkaConnection
from sfm_eventing_kafka._errors import translated
from sfm_eventing_kafka._mailbox import Mailbox
from sfm_eventing_kafka._stream import Stream
from sfm_eventing_kafka._topic import events_topic, remains
from sfm_eventing_kafka._wire import key_at
from sfm_eventing_kafka.settings import SCHEME, KafkaSettings


class KafkaEventSink(ServedPort[KafkaConnection]):
    """Publishes events to a topic.

    Opening it reads the certificates and speaks to nobody: the first publication
    connects, and every one after a failure.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        brokers = Brokers(settings)
        connection = KafkaConnection(brokers, events_topic(settings))
        super().__init__(connection, scheme=SCHEME, shared=True)
        self._settings = settings
        self._stream = Stream(connection)
        self._mailbox = Mailbox(brokers, SystemClock())

    async def _take(self, stack: AsyncExitStack) -> None:
        await super()._take(stack)
        stack.push_async_callback(self._mailbox.close)

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish events, in order; see `EventSink.publish`.

        Where it fails, what was sent before stays on the topic, and nothing that came after
        what failed in the same partition was sent. When the call is repeated, what the
        broker has acknowledged is left out.

        Args:
            events: At most `MAX_BATCH`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` events; none was published.
            ClosedError: The sink is not open.
            BackendUnavailableError: No broker acknowledged in time.
            ConfigurationError: The brokers refuse the login, the topic, idempotence, or an
                event for its size.
            BackendError: They refused for another reason.
        """
        self._check_open()
        check_batch(len(events), "events")
        if not events:
            return
        with translated(self._settings):
            async with asyncio.timeout(self._settings.timeout.total_seconds()):
                await self._stream.publish(events)

    async def scrub(self, places: Mapping[str, Sequence[Coordinate]]) -> str:
        """Let go of the dead letters of memories; see `SupportsScrubbing.scrub`.

        The letters of the links that begin at them go, too. What other programs have set
        aside under another key is not found.

        Raises:
            ClosedError: The sink is not open.
            BackendUnavailableError: The brokers were not reached.
            ConfigurationError: They refuse the login or the topic.
            BackendError: They refused for another reason.
        """
        self._check_open()
        keys = frozenset(
            key_at(namespace, coordinate)
            for namespace, coordinates in places.items()
            for coordinate in coordinates
        )
        with translated(self._settings):
            await self._mailbox.drop_about(keys)
        return remains(self._settings)

    async def ping(self) -> None:
        """Ask the brokers for a sign of life, and see that the topic is there.

        Raises:
            ClosedError: The sink is not open.
            BackendError: They give none.
            ConfigurationError: They refuse the login, the topic or idempotence.
        """
        connection = self._opened
        with translated(self._settings):
            async with asyncio.timeout(self._settings.timeout.total_seconds()):
                await connection.check()
