"""One member of a group: what it shares in, and how far that is.

The driver lets the group take all partitions away at once and then say which
ones a member has. Between the two it has none; what it was handed before may
still be acknowledged afterwards, where it got the partition back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from aiokafka import errors

from sfm_eventing_kafka._driver_member import MemberReader, out_of_range
from sfm_eventing_kafka._loss import report_loss
from sfm_eventing_kafka._record import Received
from sfm_eventing_kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.1
# After as many sessions without a share, something is wrong with the group.
_SESSIONS_TO_JOIN = 6
_LOST = (
    errors.IllegalGenerationError,
    errors.RebalanceInProgressError,
    errors.UnknownMemberIdError,
)


@dataclass(slots=True)
class Share:
    """A partition that this member has.

    Attributes:
        done: Up to where the group is done: the offset after the last acknowledged record.
        handed: Up to where this member was handed records.
    """

    done: int
    handed: int


class Member:
    """A member of the group, from joining to leaving."""

    def __init__(self, reader: MemberReader, settings: KafkaSettings) -> None:
        self._reader = reader
        self._settings = settings
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._assigned: frozenset[int] | None = None
        self._shares: dict[int, Share] = {}
        self._epoch = 0
        self._sharing_out_since = time.monotonic()
        self._failing_since: float | None = None
        self._committing: asyncio.Task[None] | None = None
        self._broken = False

    def join(self) -> None:
        """Join the group, in the background."""
        self._reader.join(revoked=self._hand_over, assigned=self._take_over)

    async def end(self) -> None:
        """Leave the group."""
        await self._reader.end()
        await self._committed()

    @property
    def has_share(self) -> bool:
        """Whether the group has said which partitions it has."""
        return self._assigned is not None

    def works(self) -> None:
        """Note that brokers have answered."""
        self._failing_since = None

    def fails(self, error: Exception) -> bool:
        """Note that a call failed; tell whether another member is to take the place of this one.

        It is because this one is broken; because brokers have been away for so long that the
        group has let it go; or because what it committed may arrive late, and set back what it
        commits next: nobody takes that from it once it has left the group.

        Args:
            error: What the call failed with.

        Returns:
            Whether it is of no use any more.
        """
        now = time.monotonic()
        since = self._failing_since = self._failing_since or now
        passing = isinstance(error, TimeoutError) or getattr(error, "retriable", False)
        late = self._committing is not None and not self._committing.done()
        silent = now - since > self._settings.session.total_seconds()
        return self._broken or late or silent or not (passing and self._reader.works)

    async def receive(self, limit: int, wait: timedelta) -> list[Received]:
        """Take the next records.

        Args:
            limit: Most records.
            wait: How long to wait for the first one.

        Returns:
            The records; those of a partition in order.

        Raises:
            KafkaError: What the driver raises.
            TimeoutError: The brokers did not say in time where to begin.
        """
        end = time.monotonic() + wait.total_seconds()
        while await self._joined(timedelta(seconds=max(end - time.monotonic(), 0))):
            async with asyncio.timeout(self._settings.timeout.total_seconds()), self._turn:
                await self._settle()
            left = max(end - time.monotonic(), 0)
            found = await self._take(limit, timedelta(seconds=left))
            if found or not left:
                return found
        return []

    async def acknowledge(self, done: Mapping[int, int]) -> None:
        """Note up to where the group is done; wait for the group where it is sharing out.

        Args:
            done: The offset after the last record that is done, by partition. What this member
                does not have, and what is done already, is left out.

        Raises:
            KafkaError: What the driver raises.
        """
        async with self._turn:
            while owed := await self._owed(done):
                await self._commit(owed)

    async def lag(self) -> int:
        """Count what is not acknowledged of what this member has.

        Raises:
            KafkaError: What the driver raises.
        """
        async with self._turn:
            await self._wait_until_settled()
            shares = self._shares
            ends = await self._reader.ends(shares)
            return sum(max(ends[each], one.handed) - one.done for each, one in shares.items())

    async def check(self) -> None:
        """Make sure that a broker answers, and the group too.

        Raises:
            KafkaError: One does not.
        """
        await self._reader.check()
        joining = time.monotonic() - self._sharing_out_since
        if (
            self._assigned is None
            and joining > _SESSIONS_TO_JOIN * self._settings.session.total_seconds()
        ):
            raise errors.KafkaTimeoutError(f"the group gave it no share for {joining:.0f} s")

    async def _take(self, limit: int, wait: timedelta) -> list[Received]:
        try:
            batches = await self._reader.take(limit, wait)
        except errors.NoOffsetForPartitionError:
            # It was noticed before this member had settled where to begin.
            return []
        except errors.OffsetOutOfRangeError as error:
            async with asyncio.timeout(self._settings.timeout.total_seconds()), self._turn:
                await self._start_over(error)
            return []
        except errors.KafkaError:
            # The driver may have gone on behind what it has not returned.
            self._broken = True
            raise
        found: list[Received] = []
        for partition, records in batches.items():
            share = self._shares.get(partition)
            if share is None:
                # It is read again from where this member is about to begin.
                continue
            share.handed = records[-1].offset + 1
            found.extend(records)
        return found

    async def _joined(self, wait: timedelta) -> bool:
        """Wait until the group has said what this member has; tell whether it did."""
        try:
            async with asyncio.timeout(wait.total_seconds()):
                await self._share_out()
        except TimeoutError:
            return False
        return True

    async def _share_out(self) -> None:
        """Wait until the group has said what this member has.

        Raises:
            KafkaError: It is refused.
        """
        while self._assigned is None:
            self._reader.complain()
            with suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE_SECONDS):
                    await self._change()

    async def _wait_until_settled(self) -> None:
        while True:
            await self._share_out()
            await self._settle()
            if self._assigned is not None:
                return

    async def _settle(self) -> None:
        """Find out where to begin with what was assigned."""
        while self._assigned is not None and (new := self._assigned - self._shares.keys()):
            epoch = self._epoch
            done = await self._reader.committed(new)
            first = await self._reader.firsts(new)
            if self._epoch != epoch:
                continue
            for partition in new:
                begin = done.get(partition, first[partition])
                if begin < first[partition]:
                    report_loss(self._settings, partition, begin, first[partition])
                    begin = first[partition]
                self._begin(partition, begin)

    async def _start_over(self, error: errors.OffsetOutOfRangeError) -> None:
        """Go on with the oldest that there is, where there is nothing at an offset."""
        missing = out_of_range(error)
        first = await self._reader.firsts([each.partition for each in missing])
        for partition, offset in missing:
            if partition in self._shares:
                report_loss(self._settings, partition, offset, first[partition])
                self._begin(partition, first[partition])

    def _begin(self, partition: int, offset: int) -> None:
        self._shares[partition] = Share(done=offset, handed=offset)
        self._reader.seek(partition, offset)

    async def _owed(self, done: Mapping[int, int]) -> dict[int, int]:
        """Return what is to be committed, and is this member's."""
        await self._wait_until_settled()
        # A call that was given up may have sent one.
        await self._committed()
        return {
            partition: offset
            for partition, offset in done.items()
            if (share := self._shares.get(partition)) is not None and offset > share.done
        }

    async def _commit(self, owed: Mapping[int, int]) -> None:
        """Try to commit; where it has to be tried again, wait a little."""
        epoch = self._epoch
        if not self._reader.member:
            # The group has let it go, and the driver is about to say so. Brokers would take a
            # commit all the same where no other member is left, also one that goes back.
            self._let_go()
            return
        self._committing = asyncio.create_task(self._commit_once(owed))
        failure = await self._committed()
        if isinstance(failure, _LOST):
            if self._epoch == epoch:
                # It is asked to join again, and until then has nothing.
                self._let_go()
        elif getattr(failure, "retriable", False):
            await asyncio.sleep(_PAUSE_SECONDS)
        elif failure is not None:
            raise failure

    async def _committed(self) -> BaseException | None:
        """Wait for the commit that is under way; return how it failed."""
        committing = self._committing
        if committing is None:
            return None
        await asyncio.wait([committing])
        self._committing = None
        return committing.exception()

    async def _commit_once(self, owed: Mapping[int, int]) -> None:
        epoch = self._epoch
        await self._reader.commit(owed)
        if self._epoch == epoch:
            for partition, offset in owed.items():
                share = self._shares[partition]
                share.done = offset
                if offset > share.handed:
                    # It was handed out before the group shared out anew.
                    share.handed = offset
                    self._reader.seek(partition, offset)
            self._tell()

    async def _hand_over(self) -> None:
        """Let the caller finish what it has in hand, for a while; then have nothing."""
        try:
            async with asyncio.timeout(self._settings.session.total_seconds()):
                while self._reader.member and self._in_hand():
                    await self._change()
        except TimeoutError:
            log.info(
                "the group %s shares out while %d events are in hand; whoever gets them next "
                "is handed them again",
                self._settings.group,
                self._in_hand(),
            )
        self._let_go()

    def _in_hand(self) -> int:
        return sum(share.handed - share.done for share in self._shares.values())

    def _let_go(self) -> None:
        self._epoch += 1
        self._assigned = None
        self._shares = {}
        self._sharing_out_since = time.monotonic()
        self._tell()

    def _take_over(self, assigned: frozenset[int]) -> None:
        self._epoch += 1
        self._assigned = assigned
        self._shares = {}
        self._tell()

    def _tell(self) -> None:
        """Wake everybody who waits for a change."""
        self._changed.set()
        self._changed.clear()

    async def _change(self) -> None:
        await self._changed.wait()
