"""A lock inside a truth, for what only one process at a time may do to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec

from sfm_core.clock import Clock
from sfm_core.engine.stillness import Stillness
from sfm_core.errors import BackendError
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, Committed, Entry, KeyValueStore, Write

log = logging.getLogger(__name__)

_RENEWALS = 5
"""How often a lock is renewed within its lease."""

_POLL = timedelta(seconds=0.25)


@asynccontextmanager
async def locked(
    kv: KeyValueStore, clock: Clock, owner: str, name: str, *, lease: timedelta
) -> AsyncGenerator[None]:
    """Hold a lock of a truth inside this context; wait for it before.

    Whoever holds it renews it. It is taken from one that has not renewed it for
    its lease on the clock of who waits, so a process that was only slow may find
    that it is not alone any more: what is done under the lock must name the
    versions that it expects.

    Args:
        kv: The truth.
        clock: Source of time.
        owner: Who wants it.
        name: Which lock.
        lease: How long the lock outlives its holder.

    Yields:
        While it is held.

    Raises:
        BackendError: The truth did not answer.
    """
    lock = _Lock(kv, clock, owner, name, lease)
    await lock.acquire()
    task = asyncio.create_task(lock.keep())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await lock.release()


class _Held(msgspec.Struct, frozen=True):
    """What the entry of a lock says."""

    owner: str
    lease_seconds: float


_decoder = msgspec.json.Decoder(_Held)


class _Lock:
    def __init__(
        self, kv: KeyValueStore, clock: Clock, owner: str, name: str, lease: timedelta
    ) -> None:
        self._kv = kv
        self._clock = clock
        self._value = msgspec.json.encode(_Held(owner, lease.total_seconds()))
        self._owner = owner
        self._lease = lease
        self._key = b"lock/" + name.encode()
        self._version = 0

    async def acquire(self) -> None:
        watch = Stillness(self._clock)
        waiting = False
        while True:
            [entry] = await self._kv.get_many(SYSTEM_NAMESPACE, [self._key])
            if entry is None or self._stale(entry, watch):
                if await self._put(entry.version if entry else 0):
                    return
            elif not waiting:
                waiting = True
                log.info("waiting for another process, or for its lease if it was killed")
            await self._clock.sleep(_POLL)

    async def keep(self) -> None:
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

    async def release(self) -> None:
        write = Write(self._key, None)
        await self._commit(write, self._version)

    def _stale(self, entry: Entry, watch: Stillness) -> bool:
        lease = _decoder.decode(entry.value).lease_seconds
        return watch.of(self._key, entry.version).total_seconds() >= lease

    async def _put(self, version: int) -> bool:
        put = await self._commit(Write(self._key, self._value, version + 1), version)
        if put:
            self._version = version + 1
        return put

    async def _commit(self, write: Write, expected: int) -> bool:
        commit = Commit(namespace=SYSTEM_NAMESPACE, writes=(write,), expect={self._key: expected})
        [result] = await self._kv.commit([commit], owner=self._owner, lease=self._lease)
        return isinstance(result, Committed)
