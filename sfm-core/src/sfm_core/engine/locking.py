"""A lock inside a truth, for what only one process at a time may do to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec

from sfm_core.clock import Clock
from sfm_core.engine.stillness import Moment, Stillness
from sfm_core.errors import BackendError, BackendUnavailableError
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, CommitResult, Conflict, Entry, KeyValueStore, Write

log = logging.getLogger(__name__)

_RENEWALS = 5
"""How often a lock is renewed within its lease."""

_LOOK = timedelta(seconds=0.25)
_UNREADABLE_LEASE_SECONDS = 60.0


class LockLostError(BackendUnavailableError):
    """Another process took this one for dead, and has the lock now."""


@asynccontextmanager
async def locked(
    kv: KeyValueStore,
    clock: Clock,
    owner: str,
    name: str,
    *,
    lease: timedelta,
    look: timedelta = _LOOK,
) -> AsyncGenerator[Lock]:
    """Hold a lock of a truth inside this context; wait for it before.

    Whoever holds it renews it. It is taken from one that has not renewed it for
    its lease on the clock of who waits, so a process that was only slow may find
    that it is not alone any more: it has to ask `Lock.ensure` before each step,
    and what must not happen twice must name the versions that it expects.

    Args:
        kv: The truth.
        clock: Source of time.
        owner: Who wants it.
        name: Which lock.
        lease: How long the lock outlives its holder.
        look: How often to look whether it is free.

    Yields:
        The lock, while it is held.

    Raises:
        BackendError: The truth did not answer.
    """
    lock = Lock(kv, clock, owner, name, lease)
    try:
        await lock.acquire(look)
        task = asyncio.create_task(lock.keep())
        try:
            yield lock
        finally:
            task.cancel()
            await asyncio.wait([task])
    finally:
        await lock.release()


class _Held(msgspec.Struct, frozen=True):
    """What the entry of a lock says."""

    owner: str
    lease_seconds: float


_decoder = msgspec.json.Decoder(_Held)


class Lock:
    """A lock of a truth, as one process sees it."""

    def __init__(
        self, kv: KeyValueStore, clock: Clock, owner: str, name: str, lease: timedelta
    ) -> None:
        """Want the lock `name` for `owner`."""
        self._kv = kv
        self._clock = clock
        self._value = msgspec.json.encode(_Held(owner, lease.total_seconds()))
        self._owner = owner
        self._lease = lease
        self._name = name
        self._key = b"lock/" + name.encode()
        self._version = 0
        self._perhaps_held = False
        self._renewed = Moment(clock)

    async def acquire(self, look: timedelta) -> None:
        """Wait until nobody else holds it, and take it.

        Args:
            look: How often to look.

        Raises:
            BackendError: The truth did not answer.
        """
        watch = Stillness(self._clock)
        waiting = False
        while True:
            [entry] = await self._kv.get_many(SYSTEM_NAMESPACE, [self._key])
            if entry is None or self._is_free(entry, watch):
                if await self._put(entry.version if entry else 0):
                    return
            elif not waiting:
                waiting = True
                log.info("waiting for %s, which another process holds", self._name)
            await self._clock.sleep(look)

    async def keep(self) -> None:
        """Renew it until cancelled, or until another process has taken it."""
        while True:
            await self._clock.sleep(self._lease / _RENEWALS)
            try:
                held = await self._put(self._version)
            except BackendError as error:
                log.warning("a lock is not renewed: %s: %s", error.code, error)
                continue
            if not held:
                log.warning("another process took this one for dead, and its lock")
                return

    async def ensure(self) -> None:
        """See that no other process has taken it.

        Raises:
            LockLostError: One has.
            BackendUnavailableError: The truth did not answer.
        """
        if self._renewed.age > self._lease / 2 and not await self._put(self._version):
            raise LockLostError(
                "Another process took this one for dead, and its work.",
                backend=self._kv.scheme,
                remedy="Start again.",
            )

    async def release(self) -> None:
        """Let others have it, if it may be held; where that fails, they wait for the lease."""
        if not self._perhaps_held:
            return
        write = Write(self._key, None)
        try:
            result = await self._commit(write, self._version)
            # What was cut short, be it the first time or a renewal, may have happened.
            if isinstance(result, Conflict) and (mine := self._mine(result)):
                await self._commit(write, mine.version)
        except BackendError as error:
            log.warning("a lock is not released: %s: %s", error.code, error)

    def _is_free(self, entry: Entry, watch: Stillness) -> bool:
        if entry.value == self._value:
            # The reply to an earlier call was lost.
            return True
        try:
            lease = _decoder.decode(entry.value).lease_seconds
        except ValueError:
            lease = _UNREADABLE_LEASE_SECONDS
        return watch.of(self._key, entry.version).total_seconds() >= lease

    async def _put(self, version: int) -> bool:
        began = Moment(self._clock)
        self._perhaps_held = True
        result = await self._commit(Write(self._key, self._value, version + 1), version)
        if isinstance(result, Conflict):
            # The reply to an earlier renewal may have been lost.
            mine = self._mine(result)
            self._perhaps_held = mine is not None
            return mine is not None and await self._put(mine.version)
        self._version = version + 1
        self._renewed = began
        return True

    def _mine(self, conflict: Conflict) -> Entry | None:
        """Return what stands there where it is this process's."""
        current = conflict.current[self._key]
        return current if current and current.value == self._value else None

    async def _commit(self, write: Write, expected: int) -> CommitResult:
        commit = Commit(namespace=SYSTEM_NAMESPACE, writes=(write,), expect={self._key: expected})
        [result] = await self._kv.commit([commit], owner=self._owner, lease=self._lease)
        return result
