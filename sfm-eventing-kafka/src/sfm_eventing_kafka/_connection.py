"""The producer: made when it is first needed, and anew after it failed."""

from __future__ import annotations

import asyncio

from aiokafka import errors

from sfm_core.errors import ConfigurationError
from sfm_eventing_kafka._brokers import Brokers
from sfm_eventing_kafka._driver import Producer, end_producer, make_producer
from sfm_eventing_kafka._kept import Kept
from sfm_eventing_kafka._topic import Topic

_UNKNOWN = (errors.UnknownError, errors.UnsupportedVersionError, errors.IncompatibleBrokerVersion)


class KafkaConnection:
    """One producer at a time, for a topic that is made where it is missing."""

    def __init__(self, brokers: Brokers, topic: Topic) -> None:
        self.settings = brokers.settings
        self._brokers = brokers
        self._topic = topic
        self._kept = Kept(self._connect, end_producer)

    async def open(self) -> None:
        """Read the certificates; speak to nobody.

        Raises:
            ConfigurationError: They cannot be read.
        """
        await self._brokers.open()

    async def close(self) -> None:
        """Close every connection; what is not acknowledged by now may or may not arrive."""
        await self._kept.close()

    async def producer(self) -> Producer:
        """Return the producer, connected.

        Raises:
            ConfigurationError: The brokers refuse the login, the topic or idempotence.
            KafkaError: What else the driver raises.
        """
        return await self._kept.get()

    async def check(self) -> None:
        """Make sure that a broker answers.

        Raises:
            ConfigurationError: As for `producer`.
            KafkaError: None does.
        """
        producer = await self.producer()
        if not await producer.client.force_metadata_update():
            raise errors.KafkaConnectionError("no broker answers")

    def give_up(self, producer: Producer) -> None:
        """Have a producer replaced, because it failed; nothing happens where it already is.

        Args:
            producer: The one that failed.
        """
        self._kept.give_up(producer)

    async def _connect(self) -> Producer:
        async with asyncio.timeout(self.settings.timeout.total_seconds()):
            return await self._started()

    async def _started(self) -> Producer:
        await self._brokers.prepare(self._topic)
        producer = make_producer(self.settings, self._brokers.tls)
        try:
            await producer.start()
        except _UNKNOWN as error:
            await producer.stop()
            if not self.settings.idempotence:
                raise
            raise ConfigurationError(
                f"{self.settings.place} does not know idempotent producers.",
                setting="idempotence",
                remedy="Use ?idempotence=off; an event may then come twice after a failure.",
            ) from error
        except BaseException:
            await producer.stop()
            raise
        return producer
