"""Filling a collection from the truth in the background, while another one serves.

A build compares the collection with the truth and puts right what differs. So
one that was interrupted goes on where it was, and coming back to a collection
that was kept costs no more than what was written since.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import Final

from sfm_core.engine.catalog import CollectionRecord, Role
from sfm_core.engine.check import Checking
from sfm_core.engine.index import Index
from sfm_core.engine.indexes import Indexes
from sfm_core.engine.reading import Reading
from sfm_core.engine.stores import Stores
from sfm_core.errors import SfmError

log = logging.getLogger(__name__)

MAX_DELAY = timedelta(minutes=5)
_MISSED: Final = "Changes could not be followed here while they were written."


class _GivenUp(Exception):  # noqa: N818 - no error: another start has asked for something else
    """This engine is not the one to build any more."""


class Builder:
    """Builds what is due, one collection at a time."""

    def __init__(
        self, stores: Stores, indexes: Indexes, reading: Reading, checking: Checking
    ) -> None:
        """Build through `checking` what `indexes` says is due."""
        self._stores = stores
        self._indexes = indexes
        self._reading = reading
        self._checking = checking
        self._task: asyncio.Task[None] | None = None
        self._try_ended: asyncio.Future[None] | None = None

    def kick(self) -> None:
        """Begin with a build if one is due, is this engine's to do, and none is under way."""
        if self._task is None or self._task.done():
            record = self._indexes.to_build()
            if record is not None:
                self._task = asyncio.create_task(self._build(record))

    async def settled(self) -> None:
        """Wait until the build that is under way has come to its end.

        Raises:
            SfmError: It has failed, and will be tried again.
        """
        while self._task is not None and not self._task.done():
            self._try_ended = self._try_ended or asyncio.get_running_loop().create_future()
            await asyncio.wait({self._task, self._try_ended}, return_when=asyncio.FIRST_COMPLETED)
            ended, self._try_ended = self._try_ended, None
            if ended.done():
                ended.result()

    async def close(self) -> None:
        """Stop building; the next engine goes on."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        try:
            await self._indexes.leave()
        except SfmError as error:
            log.warning("others go on with the build only later: %s: %s", error.code, error)

    async def _build(self, record: CollectionRecord) -> None:
        failures = 0
        while True:
            try:
                if await self._try(record):
                    return
                failures += 1
                self._indexes.tell(failures=failures, error=_MISSED)
                log.info("%s has missed changes and is compared once more", record.name)
            except _GivenUp:
                log.info("the build of %s is left to others", record.name)
                return
            except SfmError as error:
                failures += 1
                self._tell_waiting(error)
                self._indexes.tell(failures=failures, error=str(error))
                log.warning("building %s failed: %s: %s", record.name, error.code, error)
            except Exception as error:  # a defect must not end what nobody else would begin again
                failures += 1
                self._indexes.tell(failures=failures, error=repr(error))
                log.exception("building %s failed", record.name)
            delay = min(MAX_DELAY, timedelta(seconds=2 ** min(failures, 10)))
            await self._wait_until(self._stores.clock.monotonic() + delay.total_seconds())

    def _tell_waiting(self, error: SfmError) -> None:
        if self._try_ended is not None and not self._try_ended.done():
            self._try_ended.set_exception(error)

    async def _try(self, record: CollectionRecord) -> bool:
        """Build once; tell whether it has come to an end, be it that nothing is left to do.

        It has not where a change that is found already was missed meanwhile.
        """
        index = await self._indexes.claim(record)
        if index is None:
            return True
        await self._stores.vector.ensure(index.collection)
        total = await self._count()
        while True:
            began = self._stores.clock.monotonic()
            self._indexes.tell(done=0, total=total)
            await self._go_through(record, index)
            known = self._indexes.followed_by_all(record)
            if began >= known:
                break
            # What was written meanwhile by engines that did not know of this collection yet is
            # found by going through once more.
            await self._wait_until(known)
        if await self._indexes.finish(record):
            log.info("%s is complete, with %d memories, and serves", record.name, total)
        return not self._indexes.builds(record)

    async def _go_through(self, record: CollectionRecord, index: Index) -> None:
        done = 0

        def count(step: int) -> None:
            nonlocal done
            done += step
            self._indexes.tell(done=done)
            if not self._indexes.builds(record):
                raise _GivenUp

        edges = record.role is Role.SERVING and not self._indexes.view.catalog.edges_complete
        for namespace in await self._reading.namespaces():
            await self._checking.catch_up(namespace, index, edges=edges, progress=count)

    async def _count(self) -> int:
        total = 0
        for namespace in await self._reading.namespaces():
            total += (await self._reading.stats(namespace)).total_memories
        return total

    async def _wait_until(self, when: float) -> None:
        """Wait, in steps as long as those in which the catalog is looked at."""
        while self._stores.clock.monotonic() < when:
            await self._indexes.looked()
