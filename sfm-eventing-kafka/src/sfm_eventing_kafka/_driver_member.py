"""The little of the driver's consumer that has to do with groups."""

# ruff: noqa: SLF001
# pyright: reportPrivateUsage=false
# Committing once, leaving a group at once and seeing that it works take parts of the driver that
# are private.

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from ssl import SSLContext
from typing import NamedTuple, cast

from aiokafka import ConsumerRebalanceListener, OffsetAndMetadata
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaConnectionError, KafkaError, UnknownTopicOrPartitionError
from aiokafka.protocol.group import LeaveGroupRequest

from sfm_eventing_kafka._driver import cancelled
from sfm_eventing_kafka._driver_reader import Reader, fetching, place_of, within
from sfm_eventing_kafka._driver_types import _Coordinator, _Fetcher, _Place
from sfm_eventing_kafka._record import Received
from sfm_eventing_kafka.settings import KafkaSettings

# The longest that the driver takes; see `_joining`.
_FOREVER_MILLISECONDS = 2**31 - 1
_HEARTBEATS_PER_SESSION = 5
_REBALANCE_SESSIONS = 3
# Brokers that are busy are worth more patience here than at the other steps of an end: without
# its word, the others wait for the end of its session.
_LEAVING_SECONDS = 4.0


class MemberReader(Reader):
    """Reads as a member of the group."""

    async def end(self) -> None:
        """Leave the group, so that others take over at once, and stop as any reader."""
        coordinator = self._consumer._coordinator
        if coordinator is not None:
            # It may be waiting for an answer that takes as long as the group does.
            await cancelled(coordinator._coordination_task)
            await within(self._leave(coordinator), _LEAVING_SECONDS)
            coordinator.reset_generation()
        await super().end()

    def join(
        self,
        *,
        revoked: Callable[[], Awaitable[None]],
        assigned: Callable[[frozenset[int]], None],
    ) -> None:
        """Join the group, in the background.

        Args:
            revoked: Is waited for before partitions are handed over, all of them at once.
            assigned: Is told which ones this member has from now on.
        """
        self._consumer.subscribe([self._topic], listener=_Listener(revoked, assigned))

    async def take(self, limit: int, wait: timedelta) -> dict[int, Sequence[Received]]:
        """Return the next records of each partition; see `Reader.take`."""
        # Where it was ended, the driver would raise the cancellation of a task of its own.
        self.complain()
        return await super().take(limit, wait)

    @property
    def works(self) -> bool:
        """Whether it still does anything: an error that the driver did not expect ends it."""
        coordinator = cast(_Coordinator, self._consumer._coordinator)
        fetcher = cast(_Fetcher, self._consumer._fetcher)
        return not (coordinator._coordination_task.done() or fetcher._fetch_task.done())

    def complain(self) -> None:
        """Raise what went wrong in the background since the last time.

        Raises:
            KafkaError: What the driver found. It goes on afterwards, where it can.
        """
        if self.works:
            cast(_Coordinator, self._consumer._coordinator).check_errors()
        else:
            raise KafkaConnectionError("the consumer has ended; the next one goes on")

    @property
    def member(self) -> bool:
        """Whether the group counts it in, as far as it knows."""
        coordinator = self._consumer._coordinator
        return coordinator is not None and coordinator.generation >= 0

    async def check(self) -> None:
        """Make sure that a broker answers, and that the topic is there.

        Raises:
            KafkaError: None answers, it is gone, or this does not work any more.
        """
        self.complain()
        if not await self._consumer._client.force_metadata_update():
            raise KafkaConnectionError("no broker answers")
        if not self._consumer.partitions_for_topic(self._topic):
            raise UnknownTopicOrPartitionError(self._topic)

    async def committed(self, partitions: Collection[int]) -> dict[int, int]:
        """Return up to where the group is done, by partition; without those it never was in."""
        coordinator = cast(_Coordinator, self._consumer._coordinator)
        places = [place_of(self._topic, partition) for partition in partitions]
        found = await coordinator.fetch_committed_offsets(places)
        return {place.partition: noted.offset for place, noted in found.items()}

    async def commit(self, done: Mapping[int, int]) -> None:
        """Note up to where the group is done, in one attempt.

        The driver's own way repeats by itself, also after the group has given the partitions to
        others, whom it would then set back.

        Args:
            done: The offset after the last record that is done, by partition; of partitions that
                this member has.

        Raises:
            KafkaError: Nothing was noted, or it is not known.
        """
        coordinator = cast(_Coordinator, self._consumer._coordinator)
        make = cast(Callable[[int, str], object], OffsetAndMetadata)
        offsets = {place_of(self._topic, each): make(offset, "") for each, offset in done.items()}
        await coordinator._do_commit_offsets(None, offsets)

    async def _leave(self, coordinator: _Coordinator) -> None:
        if coordinator.coordinator_id is not None and coordinator.member_id:
            make = cast(Callable[[str, str], object], LeaveGroupRequest)
            request = make(coordinator.group_id, coordinator.member_id)
            # The connections that are there answer later, where a broker was asked to wait.
            client = self._consumer._client
            await client.send(coordinator.coordinator_id, request, group="leaving")


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes on what the group decides."""

    def __init__(
        self,
        revoked: Callable[[], Awaitable[None]],
        assigned: Callable[[frozenset[int]], None],
    ) -> None:
        self._revoked = revoked
        self._assigned = assigned

    # The driver waits for what is returned, which its annotations do not say.
    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        revoked: object,  # noqa: ARG002 - always all
    ) -> None:
        await self._revoked()

    def on_partitions_assigned(self, assigned: Collection[_Place]) -> None:
        self._assigned(frozenset(place.partition for place in assigned))


class OutOfRange(NamedTuple):
    """A partition that has nothing at an offset."""

    partition: int
    offset: int


def out_of_range(error: KafkaError) -> list[OutOfRange]:
    """Take apart the error that says so."""
    given = cast(Mapping[_Place, int], error.args[0])
    return [OutOfRange(place.partition, offset) for place, offset in given.items()]


def make_member(settings: KafkaSettings, tls: SSLContext | None) -> MemberReader:
    """Make a reader of the events, for a member of the group.

    Args:
        settings: Whom to speak to, and how.
        tls: How to encrypt, where that is wanted.

    Returns:
        The reader; it connects when it is started.
    """
    return MemberReader(settings.topic, fetching(settings, tls) | _joining(settings))


def _joining(settings: KafkaSettings) -> dict[str, object]:
    session = int(settings.session.total_seconds() * 1000)
    rebalance = _REBALANCE_SESSIONS * session
    return {
        "group_id": settings.group,
        "session_timeout_ms": session,
        "heartbeat_interval_ms": max(session // _HEARTBEATS_PER_SESSION, 1),
        # A member hears of it with a heartbeat, and then has a session to finish what it has in
        # hand. One that takes longer is taken for dead, and what it has is handed out again.
        "rebalance_timeout_ms": rebalance,
        # Whoever joins is answered when all others have joined again.
        "request_timeout_ms": rebalance + int(settings.timeout.total_seconds() * 1000),
        # Whether a member lives is told by its heartbeat. One that waits for an outage of what
        # it writes to asks for nothing meanwhile, for hours, and must not be thrown out.
        "max_poll_interval_ms": _FOREVER_MILLISECONDS,
        "partition_assignment_strategy": [RangePartitionAssignor],
    }
