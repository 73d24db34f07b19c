"""What an engine does while nobody waits: left-over notes, expiry, upkeep."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias

from sfm_core.engine.access import AccessRecorder
from sfm_core.engine.adopting import Adopting
from sfm_core.engine.build import Builder
from sfm_core.engine.indexes import Indexes
from sfm_core.engine.overdue import Overdue
from sfm_core.engine.presence import Presence
from sfm_core.engine.retention import Retention
from sfm_core.engine.stores import Stores
from sfm_core.engine.trimming import Trimming
from sfm_core.engine.waking import Bell
from sfm_core.errors import SfmError
from sfm_core.protocols.optional import SupportsMaintenance

log = logging.getLogger(__name__)

# However often others say that there is work: what comes meanwhile is done together.
WAKE_GAP = timedelta(milliseconds=200)

_Job: TypeAlias = tuple[str, Callable[[], Awaitable[object]]]


class Sweeper:
    """Runs one round of upkeep after another."""

    def __init__(
        self,
        stores: Stores,
        *,
        indexes: Indexes,
        builder: Builder,
        adopting: Adopting,
        overdue: Overdue,
        access: AccessRecorder,
        retention: Retention,
        trimming: Trimming,
        presence: Presence,
        left: Bell,
    ) -> None:
        """Have each part do its share, and take up what others left when `left` rings."""
        self._stores = stores
        self._indexes = indexes
        self._builder = builder
        self._adopting = adopting
        self._overdue = overdue
        self._access = access
        self._retention = retention
        self._trimming = trimming
        self._presence = presence
        self._left = left
        # After another truth has taken over, nothing is changed any more: neither this truth,
        # nor the derived stores, which the other one may share.
        self._writing = (
            self._adopting.adopt,
            self._overdue.remove,
            self._retention.trim,
            self._trimming.trim,
            self._access.flush,
        )

    async def run(self) -> None:
        """Sweep until cancelled. What fails is logged and tried again in the next round."""
        clock = self._stores.clock
        while True:
            await self.sweep()
            settings = self._stores.settings
            # Who takes over must not take an engine for dead that only has little to do.
            interval = min(settings.sweep_interval, settings.lease / 3)
            pause = asyncio.ensure_future(clock.sleep(interval))
            try:
                while not pause.done():
                    if await self._left.heard(pause):
                        await self._do(("follow up the outbox", self._adopting.adopt))
                        await clock.sleep(WAKE_GAP)
            finally:
                pause.cancel()

    async def sweep(self) -> None:
        """Do one round; the failure of one job does not keep the others from running."""
        await self._do(
            ("say that this engine is here", self._presence.renew),
            ("look after collections", self._collections),
            ("follow up the outbox", self._adopting.adopt),
            ("remove what is over", self._overdue.remove),
            ("let old events go", self._retention.trim),
            ("let old versions go", self._trimming.trim),
            ("count reads", self._access.flush),
            ("keep up backends", self._maintain),
        )

    async def _do(self, *jobs: _Job) -> None:
        for name, job in jobs:
            if self._presence.stopped and job in self._writing:
                continue
            try:
                await job()
            except asyncio.CancelledError:
                raise
            except SfmError as error:
                log.warning("could not %s: %s: %s", name, error.code, error)
            except Exception:  # upkeep must outlive a defect in one of its jobs
                log.exception("could not %s", name)

    async def _collections(self) -> None:
        await self._indexes.look()
        if self._stores.settings.inline:
            self._builder.kick()

    async def _maintain(self) -> None:
        for backend in (self._stores.kv, self._stores.vector, self._stores.graph):
            if isinstance(backend, SupportsMaintenance):
                await backend.maintain()
