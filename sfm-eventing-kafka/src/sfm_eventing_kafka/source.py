"""The event source on Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

from sfm_core.clock import Clock
from sfm_core.porting import Port, check_batch, check_limit
from sfm_core.protocols.source import DeadLetter, Delivery, Rejection
from sfm_eventing_kafka._brokers import Brokers
from sfm_eventing_kafka._errors import translated
from sfm_eventing_kafka._group import Group
from sfm_eventing_kafka._mailbox import Mailbox
from sfm_eventing_kafka._wire import KafkaDelivery, delivery_of
from sfm_eventing_kafka.settings import SCHEME, KafkaSettings


class KafkaEventSource(Port):
    """Reads the events of a topic as one member of a group.

    Opening it reads the certificates and speaks to nobody. The first `receive` joins the group.
    Only that, `acknowledge` and `lag` have to do with the group: dead letters are listed and let
    go without it.
    """

    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        super().__init__(scheme=SCHEME, shared=True)
        self._settings = settings
        self._brokers = Brokers(settings)
        self._group = Group(self._brokers)
        self._mailbox = Mailbox(self._brokers, clock)

    async def receive(self, *, limit: int, wait: timedelta) -> list[Delivery]:
        """Take the next events; see `EventSource.receive`.

        Events that the topic has forgotten before they were acknowledged are reported as lost in
        the log, with their number, and what follows them is returned.

        Raises:
            LimitExceededError: A limit out of bounds.
            ClosedError: The source is not open.
            BackendUnavailableError: The brokers were not reached; a later call goes on.
            ConfigurationError: They refuse the login, the topic or the group.
            BackendError: They refused for another reason, or what they have cannot be read.
        """
        self._check_open()
        check_limit(limit)
        with translated(self._settings):
            return [delivery_of(record) for record in await self._group.receive(limit, wait)]

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Note that the group is done; see `EventSource.acknowledge`.

        Where the group is sharing out its partitions anew, it waits for the outcome, and notes
        what this member got back.

        Raises:
            ClosedError: The source is not open.
            BackendUnavailableError: The brokers, or the group, were not reached.
            ConfigurationError: They refuse the login or the group.
            BackendError: They refused for another reason.
        """
        self._check_open()
        done: dict[int, int] = {}
        for delivery in deliveries:
            if isinstance(delivery, KafkaDelivery):
                record = delivery.record
                done[record.partition] = max(done.get(record.partition, 0), record.offset + 1)
        with translated(self._settings):
            await self._group.acknowledge(done)

    async def set_aside(self, delivery: Delivery, rejection: Rejection) -> None:
        """Keep a dead letter; see `EventSource.set_aside`.

        Raises:
            ClosedError: The source is not open.
            BackendUnavailableError: The brokers were not reached; it may be kept.
            ConfigurationError: They refuse the login, the topic, or the letter for its size.
            BackendError: They refused for another reason.
        """
        self._check_open()
        with translated(self._settings):
            await self._mailbox.keep(delivery, rejection)

    async def lag(self) -> int:
        """Tell how many events wait; see `EventSource.lag`.

        Raises:
            ClosedError: The source is not open.
            BackendUnavailableError: The brokers, or the group, were not reached.
            ConfigurationError: They refuse the login or the group.
            BackendError: They refused for another reason.
        """
        self._check_open()
        with translated(self._settings):
            return await self._group.lag()

    async def dead_letters(self, *, limit: int) -> list[DeadLetter]:
        """List what was set aside; see `EventSource.dead_letters`.

        The topic of the letters is read from its beginning.

        Raises:
            LimitExceededError: A limit out of bounds.
            ClosedError: The source is not open.
            BackendUnavailableError: The brokers were not reached.
            ConfigurationError: They refuse the login or the topic.
            BackendError: They refused for another reason.
        """
        self._check_open()
        check_limit(limit)
        with translated(self._settings):
            return await self._mailbox.oldest(limit)

    async def retry(self, places: Sequence[str]) -> int:
        """Publish dead letters again; see `EventSource.retry`.

        Raises:
            LimitExceededError: Too many places.
            ClosedError: The source is not open.
            BackendUnavailableError: The brokers were not reached.
            ConfigurationError: They refuse the login or a topic.
            CorruptDataError: What lies under one of the places is no letter.
            BackendError: They refused for another reason.
        """
        self._check_open()
        check_batch(len(places), "places")
        with translated(self._settings):
            return await self._mailbox.retry(places)

    async def drop(self, places: Sequence[str]) -> int:
        """Let dead letters go; see `EventSource.drop`.

        Raises:
            LimitExceededError: Too many places.
            ClosedError: The source is not open.
            BackendUnavailableError: The brokers were not reached.
            ConfigurationError: They refuse the login or the topic.
            BackendError: They refused for another reason.
        """
        self._check_open()
        check_batch(len(places), "places")
        with translated(self._settings):
            return await self._mailbox.drop(places)

    async def ping(self) -> None:
        """Ask the brokers for a sign of life, and see that the topic is there.

        Raises:
            ClosedError: The source is not open.
            BackendError: They give none.
            ConfigurationError: They refuse the login or the topic.
        """
        self._check_open()
        with translated(self._settings):
            await self._group.check()

    async def _take(self, stack: AsyncExitStack) -> None:
        await super()._take(stack)
        await self._brokers.open()
        stack.push_async_callback(self._mailbox.close)
        stack.push_async_callback(self._group.close)
