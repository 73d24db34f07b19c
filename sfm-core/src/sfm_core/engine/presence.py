"""Who writes to a truth, and how one truth makes room for another.

Each engine keeps an entry in its truth that it renews while it is open. Who
takes over marks the truth as superseded and then waits until every engine has
*yielded* (it takes no more writes, and none is under way), has left, or has not
renewed its entry for the length of a lease. An engine that could not renew its
entry in time takes no writes either, until it can. Each side measures on its
own clock, so the clocks of different machines need not agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec

from sfm_core.clock import Clock
from sfm_core.engine.manifest import Successor, peek_manifest
from sfm_core.engine.stillness import Stillness
from sfm_core.errors import SupersededError
from sfm_core.model.keys import KeyRange
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.kv import Commit, Entry, KeyValueStore, Write

RIGHT = 2 / 3
"""Part of its lease in which an engine may write; the rest is for writes under way."""

POLL = timedelta(seconds=0.25)
_PREFIX = b"engine/"


class _Attendance(msgspec.Struct, frozen=True):
    """What an engine's entry says."""

    lease_seconds: float
    yielded: bool = False


_decoder = msgspec.json.Decoder(_Attendance)


class Presence:
    """The entry of one engine, and its right to write."""

    def __init__(self, kv: KeyValueStore, clock: Clock, owner: str, *, lease: timedelta) -> None:
        """Speak for the engine that calls itself `owner`, which renews within `lease`."""
        self._kv = kv
        self._clock = clock
        self._key = _PREFIX + owner.encode()
        self._owner = owner
        self._lease = lease
        self._version = 0
        self._renewed_at = float("-inf")
        self._successor: Successor | None = None
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def successor(self) -> Successor | None:
        """The truth that has taken over, as far as this engine knows."""
        return self._successor

    async def renew(self) -> None:
        """Renew the entry, and yield where another truth is taking over.

        Raises:
            BackendError: The truth did not answer.
        """
        began = self._clock.monotonic()
        await self._put(yielded=self._successor is not None)
        manifest = await peek_manifest(self._kv)
        before, self._successor = self._successor, manifest.superseded_by if manifest else None
        if self._successor is None:
            # An entry that still says "yielded" gives no right; the next renewal does.
            self._renewed_at = began if before is None else float("-inf")
        elif before is None:
            await self._idle.wait()
            await self._put(yielded=True)

    async def leave(self) -> None:
        """Remove the entry; nothing is written after this.

        Raises:
            BackendError: The truth did not answer; the entry stays, and who
                takes over waits for the end of the lease.
        """
        self._renewed_at = float("-inf")
        await self._commit(Write(self._key, None))

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[None]:
        """Write to the truth inside this context.

        Raises:
            SupersededError: Another truth has taken over.
            BackendError: The entry was due for renewal and the truth did not answer.
        """
        if self._clock.monotonic() - self._renewed_at > RIGHT * self._lease.total_seconds():
            await self.renew()
        if self._successor is not None:
            raise SupersededError(
                f"{self._successor.place} has taken over from this truth.",
                backend=self._kv.scheme,
                remedy="Restart this server in the mode of the new truth.",
            )
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _put(self, *, yielded: bool) -> None:
        self._version += 1
        attendance = _Attendance(self._lease.total_seconds(), yielded)
        await self._commit(Write(self._key, msgspec.json.encode(attendance), self._version))

    async def _commit(self, write: Write) -> None:
        commit = Commit(namespace=SYSTEM_NAMESPACE, writes=(write,))
        await self._kv.commit([commit], owner=self._owner, lease=self._lease)


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
    while True:
        writing = 0
        for key, entry in await _entries(kv):
            attendance = _decoder.decode(entry.value)
            if watch.of(key, entry.version).total_seconds() >= attendance.lease_seconds:
                await _remove(kv, key, entry.version, owner)
            elif not attendance.yielded:
                writing += 1
        if not writing:
            return
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
    first = {key: entry.version for key, entry in await _entries(kv)}
    while True:
        still = 0
        entries = await _entries(kv)
        for key, entry in entries:
            if first.get(key) != entry.version:
                return True
            lease = _decoder.decode(entry.value).lease_seconds
            still += watch.of(key, entry.version).total_seconds() >= lease
        if still == len(entries):
            return False
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
    [found] = await kv.scan(SYSTEM_NAMESPACE, [KeyRange.prefix(_PREFIX)], limit=MAX_BATCH)
    return found


async def _remove(kv: KeyValueStore, key: bytes, version: int, owner: str) -> None:
    commit = Commit(namespace=SYSTEM_NAMESPACE, writes=(Write(key, None),), expect={key: version})
    await kv.commit([commit], owner=owner, lease=POLL)
