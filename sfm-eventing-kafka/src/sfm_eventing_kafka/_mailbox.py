"""Keeping dead letters, and letting them go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence

from aiokafka.errors import KafkaError

from sfm_core.clock import Clock
from sfm_core.errors import CorruptDataError
from sfm_core.protocols.source import DeadLetter, Delivery, Rejection
from sfm_eventing_kafka._brokers import Brokers
from sfm_eventing_kafka._connection import KafkaConnection
from sfm_eventing_kafka._letter import farewell, letter, read_letter, read_original
from sfm_eventing_kafka._letters import letters_of
from sfm_eventing_kafka._publishing import publish
from sfm_eventing_kafka._record import Addressed, Record
from sfm_eventing_kafka._topic import letters_topic
from sfm_eventing_kafka._wire import record_in

log = logging.getLogger(__name__)

# Letters that are retried are published together up to this size.
_TOGETHER_BYTES = 1_048_576


class Mailbox:
    """The dead letters of a stream."""

    def __init__(self, brokers: Brokers, clock: Clock) -> None:
        self._brokers = brokers
        self._settings = brokers.settings
        self._clock = clock
        self._connection = KafkaConnection(brokers, letters_topic(brokers.settings))

    async def close(self) -> None:
        """Close the connections that letters were written through."""
        await self._connection.close()

    async def keep(self, delivery: Delivery, rejection: Rejection) -> None:
        """Write a letter.

        Args:
            delivery: What it is about.
            rejection: Why.

        Raises:
            ConfigurationError: The brokers refuse the login, the topic, or the letter for its
                size.
            KafkaError: What else the driver raises.
            TimeoutError: The brokers did not acknowledge; it may be kept.
        """
        at = self._clock.now()
        await self._publish(
            [self._here(letter(delivery.place, rejection, at, record_in(delivery)))]
        )

    async def oldest(self, limit: int) -> list[DeadLetter]:
        """List the oldest letters.

        Args:
            limit: Most letters.

        Returns:
            The letters, oldest first.

        Raises:
            KafkaError: What the driver raises.
            TimeoutError: The brokers did not answer.
        """
        found: list[DeadLetter] = []
        async with letters_of(self._brokers) as letters:
            async for record in letters.oldest(limit):
                try:
                    found.append(read_letter(record))
                except CorruptDataError as error:
                    log.warning("%s It is left out.", error.message)
        # The topic tells their age to the millisecond.
        return sorted(found, key=lambda one: one.at)

    async def retry(self, places: Sequence[str]) -> int:
        """Publish letters to where they lay, and let them go.

        Args:
            places: Which ones.

        Returns:
            How many there were.

        Raises:
            CorruptDataError: What lies under one of the places is no letter.
            ConfigurationError: The brokers refuse the login or a topic.
            KafkaError: What else the driver raises.
            TimeoutError: The brokers did not answer.
        """
        count, size = 0, 0
        together: dict[str, Addressed] = {}
        async with letters_of(self._brokers) as letters:
            async for record in letters.named(places):
                place = read_letter(record).place
                together[place] = read_original(record)
                count, size = count + 1, size + len(record.value or b"")
                if size > _TOGETHER_BYTES:
                    await self._send_back(together)
                    together, size = {}, 0
        await self._send_back(together)
        return count

    async def drop(self, places: Sequence[str]) -> int:
        """Let letters go.

        Args:
            places: Which ones.

        Returns:
            How many there were.

        Raises:
            ConfigurationError: The brokers refuse the login or the topic.
            KafkaError: What else the driver raises.
            TimeoutError: The brokers did not answer.
        """
        async with letters_of(self._brokers) as letters:
            found = await letters.present(places)
        await self._publish([self._here(farewell(place)) for place in found])
        return len(found)

    async def drop_about(self, keys: Collection[bytes]) -> int:
        """Let go of the letters that hold events of some memories.

        Args:
            keys: Keys of their events.

        Returns:
            How many there were.

        Raises:
            ConfigurationError: The brokers refuse the login or the topic.
            KafkaError: What else the driver raises.
            TimeoutError: The brokers did not answer.
        """
        places: list[str] = []
        async with letters_of(self._brokers) as letters:
            async for record in letters.all():
                try:
                    about = read_original(record).record.key in keys
                    places += [read_letter(record).place] if about else []
                except CorruptDataError as error:
                    log.warning("%s It is left as it is.", error.message)
        await self._publish([self._here(farewell(place)) for place in places])
        return len(places)

    async def _send_back(self, originals: dict[str, Addressed]) -> None:
        # What is published may be published again; what is let go is gone.
        await self._publish([*originals.values()])
        await self._publish([self._here(farewell(place)) for place in originals])

    async def _publish(self, records: Sequence[Addressed]) -> None:
        if not records:
            return
        producer = None
        try:
            async with asyncio.timeout(self._settings.timeout.total_seconds()):
                producer = await self._connection.producer()
                await publish(producer, records)
        except (KafkaError, TimeoutError):
            if producer is not None:
                # What is under way must not arrive after what comes next.
                self._connection.give_up(producer)
            raise

    def _here(self, record: Record) -> Addressed:
        return Addressed(self._settings.letters, 0, record)
