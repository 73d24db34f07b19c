"""Who writes to a truth, and how one truth makes room for another.

Each engine keeps an entry in its truth that it renews while it is open. Who
takes over marks the truth as superseded and then waits until every engine has
*yielded* (it takes no more writes, and none is under way), has left, or has not
renewed its entry for the length of a lease. An engine that could not renew its
entry in time takes no writes either, until it can, and acknowledges none that
took so long that nobody waited for it. Each side measures on its own clock, so
the clocks of different machines need not agree.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec

from sfm_core.clock import Clock
from sfm_core.engine.manifest import Manifest, Successor, peek_manifest
from sfm_core.engine.stillness import Moment, Stillness
from sfm_core.engine.walking import entries_of
from sfm_core.errors import DeadlineExceededError, SfmError, SupersededError
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, Committed, Entry, KeyValueStore, Write

log = logging.getLogger(__name__)

RIGHT = 2 / 3
"""Part of its lease in which an engine may write; the rest is for writes under way."""

POLL = timedelta(seconds=0.25)
_PREFIX = b"engine/"


class _Attendance(msgspec.Struct, frozen=True):
    """What an engine's entry says."""

    lease_seconds: float
    yielded: bool = False


_decoder = msgspec.json.Decoder(_Attendance)
_UNREADABLE = _Attendance(lease_seconds=60)


class Presence:
    """The entry of one engine, and its right to write."""

    def __init__(
        self,
        kv: KeyValueStore,
        clock: Clock,
        owner: str,
        *,
        lease: timedelta,
        may_write: Callable[[Manifest], bool] = lambda manifest: manifest.takes_writes,
    ) -> None:
        """Speak for one writer.

        Args:
            kv: The truth.
            clock: Source of time.
            owner: What it calls itself.
            lease: Within which it renews its entry.
            may_write: Tells by what the truth says of itself whether it may.
        """
        self._may_write = may_write
        self._kv = kv
        self._clock = clock
        self._key = _PREFIX + owner.encode()
        self._owner = owner
        self._lease = lease
        self._version = 0
        self._manifest: Manifest | None = None
        self._renewed: Moment | None = None
        self._renewing = asyncio.Lock()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def manifest(self) -> Manifest | None:
        """What the truth says of itself; `None` before the first `renew`."""
        return self._manifest

    @property
    def successor(self) -> Successor | None:
        """The truth that has taken over, as far as this engine knows."""
        return self._manifest.superseded_by if self._manifest else None

    @property
    def stopped(self) -> bool:
        """Whether this engine has to leave the truth as it is, as far as it knows."""
        return self._manifest is not None and not self._may_write(self._manifest)

    async def renew(self) -> None:
        """Renew the entry; yield where another truth is taking over, and stop doing so after it.

        Raises:
            BackendError: The truth did not answer.
        """
        async with self._renewing:
            while not await self._renew():
                pass

    async def leave(self) -> None:
        """Remove the entry; nothing is written after this.

        Raises:
            BackendError: The truth did not answer; the entry stays, and who
                takes over waits for the end of the lease.
        """
        self._renewed = None
        commit = Commit(namespace=SYSTEM_NAMESPACE, writes=(Write(self._key, None),))
        await self._kv.commit([commit], owner=self._owner, lease=self._lease)

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[None]:
        """Write to the truth inside this context.

        Raises:
            SupersededError: Another truth has taken over.
            DeadlineExceededError: It took so long that another truth may have
                taken over without what was written.
            BackendError: The entry was due for renewal and the truth did not answer.
        """
        if not self.stopped and (self._renewed is None or self._is_older(self._renewed, RIGHT)):
            await self.renew()
        self.refuse_if_stopped()
        renewed, manifest = self._renewed, self._manifest
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        if renewed is None or self._is_older(renewed, 1):
            # Who takes over did not wait for a process that stood still for so long.
            await self.renew()
            if self._manifest != manifest:
                raise DeadlineExceededError(
                    "Another truth has taken over during this write, maybe without it.",
                    backend=self._kv.scheme,
                    remedy="Read it from the newest truth before you repeat it.",
                )

    def refuse_if_stopped(self) -> None:
        """Refuse where this engine has to leave the truth as it is, as far as it knows.

        Raises:
            SupersededError: Another truth has taken over, or is copied here.
        """
        if self.successor is not None:
            raise SupersededError(
                f"{self.successor.place} has taken over from this truth.",
                backend=self._kv.scheme,
                remedy="Restart this server in the mode of the new truth.",
            )
        if not self.stopped or self._manifest is None:
            return
        if self._manifest.taking_over is not None:
            raise SupersededError(
                "The memories of another truth are being copied to this one.",
                backend=self._kv.scheme,
                remedy="Wait until that is done; `sfm truths` tells.",
            )
        if self._manifest.replica:
            raise SupersededError(
                "This truth is a replica: only a consumer writes to it.",
                backend=self._kv.scheme,
                remedy="Write to the truth that it follows. If that is lost, stop the consumer "
                "and run `sfm truths --adopt`.",
            )
        raise SupersededError(
            "This truth is a replica no more: it takes writes of its own.",
            backend=self._kv.scheme,
            remedy="Have the consumer fill another one, or none.",
        )

    async def _renew(self) -> bool:
        """Tell the others what this engine knows; return whether that is how things are."""
        began = Moment(self._clock)
        yielded = self.stopped
        await self._put(yielded=yielded)
        self._manifest = await peek_manifest(self._kv)
        if not self.stopped:
            # An entry that still says "yielded" gives no right; the next one does.
            self._renewed = None if yielded else began
            return not yielded
        self._renewed = None
        await self._idle.wait()
        return yielded

    def _is_older(self, moment: Moment, part: float) -> bool:
        return moment.age > part * self._lease

    async def _put(self, *, yielded: bool) -> None:
        value = msgspec.json.encode(_Attendance(self._lease.total_seconds(), yielded))
        expected = self._version
        while True:
            # A late one of an earlier call must not undo what this one says.
            self._version = max(self._version, expected) + 1
            commit = Commit(
                namespace=SYSTEM_NAMESPACE,
                writes=(Write(self._key, value, self._version),),
                expect={self._key: expected},
            )
            [result] = await self._kv.commit([commit], owner=self._owner, lease=self._lease)
            if isinstance(result, Committed):
                return
            current = result.current[self._key]
            expected = current.version if current else 0


async def leave_if_possible(presence: Presence) -> None:
    """Remove the entry of one writer at its end; where that fails, others wait for its lease."""
    try:
        await presence.leave()
    except SfmError as error:
        log.warning("what takes over from this truth will wait: %s: %s", error.code, error)


async def wait_until_quiet(kv: KeyValueStore, clock: Clock, owner: str) -> None:
    """Wait until no engine writes to a truth that is marked as superseded.

    Takes up to a lease where an engine was killed, and removes what it left.

    Args:
        kv: The truth.
        clock: Source of time.
        owner: Who waits.

    Raises:
        BackendError: The truth did not answer.
    """
    watch = Stillness(clock)
    waited = False
    while True:
        writing = 0
        for key, entry in await _entries(kv):
            attendance = _attendance(entry)
            if watch.of(key, entry.version).total_seconds() >= attendance.lease_seconds:
                await _remove(kv, key, entry.version, owner)
            elif not attendance.yielded:
                writing += 1
        if not writing:
            return
        if not waited:
            log.info("waiting for %d engines to yield, or for their leases", writing)
        waited = True
        await clock.sleep(POLL)


async def in_use(kv: KeyValueStore, clock: Clock) -> bool:
    """Tell whether an engine works on a truth.

    Takes up to a lease where one was killed, and until the next renewal where one lives.

    Args:
        kv: The truth.
        clock: Source of time.

    Returns:
        Whether one has renewed its entry while this was watching.

    Raises:
        BackendError: The truth did not answer.
    """
    watch = Stillness(clock)
    waited = False
    first = {key: entry.version for key, entry in await _entries(kv)}
    while True:
        still = 0
        found = await _entries(kv)
        for key, entry in found:
            if first.get(key) != entry.version:
                return True
            lease = _attendance(entry).lease_seconds
            still += watch.of(key, entry.version).total_seconds() >= lease
        if still == len(found):
            return False
        if not waited:
            log.info("watching whether a server runs on %s: %d may", kv.scheme, len(found))
        waited = True
        await clock.sleep(POLL)


async def alone(kv: KeyValueStore, owner: str) -> bool:
    """Tell whether no other engine has an entry, be it one that was killed.

    Args:
        kv: The truth.
        owner: Who asks, and has an entry.

    Returns:
        Whether every other engine, present and future, makes its entry after this call.

    Raises:
        BackendError: The truth did not answer.
    """
    return all(key == _PREFIX + owner.encode() for key, _ in await _entries(kv))


async def _entries(kv: KeyValueStore) -> list[tuple[bytes, Entry]]:
    return [pair async for pair in entries_of(kv, SYSTEM_NAMESPACE, _PREFIX)]


def _attendance(entry: Entry) -> _Attendance:
    try:
        return _decoder.decode(entry.value)
    except ValueError:
        # Whoever wrote it is waited for until it stands still.
        return _UNREADABLE


async def _remove(kv: KeyValueStore, key: bytes, version: int, owner: str) -> None:
    commit = Commit(namespace=SYSTEM_NAMESPACE, writes=(Write(key, None),), expect={key: version})
    await kv.commit([commit], owner=owner, lease=POLL)
