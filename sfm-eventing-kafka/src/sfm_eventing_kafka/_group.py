"""The member that a source is in its group: made when it is first needed, anew after it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from aiokafka.errors import KafkaError

from sfm_eventing_kafka._brokers import Brokers
from sfm_eventing_kafka._driver_member import make_member
from sfm_eventing_kafka._kept import Kept
from sfm_eventing_kafka._member import Member
from sfm_eventing_kafka._record import Received
from sfm_eventing_kafka._topic import events_topic


class Group:
    """One member at a time."""

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
        self._settings = brokers.settings
        self._topic = events_topic(brokers.settings)
        self._kept = Kept(self._join, Member.end)
        self._received = False

    async def close(self) -> None:
        """Leave the group, so that others take over at once."""
        await self._kept.close()

    async def receive(self, limit: int, wait: timedelta) -> list[Received]:
        """Take the next records; see `Member.receive`.

        Args:
            limit: Most records.
            wait: How long to wait for the first one, when it is known where to begin.

        Returns:
            The records.

        Raises:
            ConfigurationError: The brokers refuse the login or the topic.
            KafkaError: What else the driver raises.
            TimeoutError: The brokers did not answer.
        """
        member = await self._kept.get()
        with self._watched(member):
            found = await member.receive(limit, wait)
            if not found:
                # An empty stream and one that is cut off look alike.
                async with self._deadline():
                    await member.check()
        member.works()
        self._received = self._received or bool(found)
        return found

    async def acknowledge(self, done: Mapping[int, int]) -> None:
        """Note up to where the group is done; see `Member.acknowledge`.

        Args:
            done: The offset after the last record that is done, by partition.

        Raises:
            ConfigurationError: The brokers refuse the login or the topic.
            KafkaError: What else the driver raises.
            TimeoutError: The brokers, or the group, did not answer.
        """
        if not (done and self._received):
            return
        member = await self._kept.get()
        with self._watched(member):
            async with self._deadline():
                await member.acknowledge(done)
        member.works()

    async def lag(self) -> int:
        """Count what is not acknowledged; see `Member.lag`.

        Raises:
            ConfigurationError: The brokers refuse the login or the topic.
            KafkaError: What else the driver raises.
            TimeoutError: The brokers, or the group, did not answer.
        """
        if not (self._received or (self._kept.now and self._kept.now.has_share)):
            return 0
        member = await self._kept.get()
        with self._watched(member):
            async with self._deadline():
                lag = await member.lag()
        member.works()
        return lag

    async def check(self) -> None:
        """Make sure that a broker answers; join nothing.

        Raises:
            ConfigurationError: The brokers refuse the login or the topic.
            KafkaError: What else the driver raises.
            TimeoutError: The brokers did not answer.
        """
        member = self._kept.now
        if member is None:
            async with self._deadline():
                await self._brokers.prepare(self._topic)
            return
        with self._watched(member):
            async with self._deadline():
                await member.check()
        member.works()

    async def _join(self) -> Member:
        async with self._deadline():
            return await self._joined()

    async def _joined(self) -> Member:
        await self._brokers.prepare(self._topic)
        reader = make_member(self._settings, self._brokers.tls)
        member = Member(reader, self._settings)
        try:
            await reader.start()
        except BaseException:
            await reader.end()
            raise
        member.join()
        return member

    @contextmanager
    def _watched(self, member: Member) -> Generator[None]:
        try:
            yield
        except (KafkaError, TimeoutError) as error:
            if member.fails(error):
                self._kept.give_up(member)
            raise

    def _deadline(self) -> asyncio.Timeout:
        return asyncio.timeout(self._settings.timeout.total_seconds())
