"""A lock inside a truth, for what only one process at a time may do to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from sfm_core.clock import Clock
from sfm_core.errors import BackendError
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, Committed, KeyValueStore, Write

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=15)
"""How long a lock outlives a process that was killed."""

_RENEWAL = timedelta(seconds=3)
_POLL = timedelta(seconds=0.25)


@asynccontextmanager
async def locked(kv: KeyValueStore, clock: Clock, owner: str, name: str) -> AsyncGenerator[None]:
    """Hold a lock of a truth inside this context; wait for it before.

    Whoever holds it renews it. It is taken from one that has not renewed it for
    `LEASE` on the clock of who waits, so a process that was only slow may find
    that it is not alone any more: what is done under the lock must name the
    versions that it expects.

    Args:
        kv: The truth.
        clock: Source of time.
        owner: Who wants it.
        name: Which lock.

    Yields:
        While it is held.

    Raises:
        BackendError: The truth did not answer.
    """
    lock = _Lock(kv, clock, owner, name)
    await lock.acquire()
    task = asyncio.create_task(lock.keep())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await lock.release()


class _Lock:
    def __init__(self, kv: KeyValueStore, clock: Clock, owner: str, name: str) -> None:
        self._kv = kv
        self._clock = clock
        self._owner = owner
        self._key = b"lock/" + name.encode()
        self._version = 0

    async def acquire(self) -> None:
        seen, since = -1, self._clock.monotonic()
        while True:
            [entry] = await self._kv.get_many(SYSTEM_NAMESPACE, [self._key])
            version = entry.version if entry else 0
            if version != seen:
                seen, since = version, self._clock.monotonic()
            stale = self._clock.monotonic() - since >= LEASE.total_seconds()
            if (entry is None or stale) and await self._put(version):
                return
            await self._clock.sleep(_POLL)

    async def keep(self) -> None:
        while True:
            await self._clock.sleep(_RENEWAL)
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

    async def _put(self, version: int) -> bool:
        put = await self._commit(Write(self._key, self._owner.encode(), version + 1), version)
        if put:
            self._version = version + 1
        return put

    async def _commit(self, write: Write, expected: int) -> bool:
        commit = Commit(namespace=SYSTEM_NAMESPACE, writes=(write,), expect={self._key: expected})
        [result] = await self._kv.commit([commit], owner=self._owner, lease=LEASE)
        return isinstance(result, Committed)
