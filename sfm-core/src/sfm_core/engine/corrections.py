"""Having points corrected that a recall has found stale, while nobody waits for it.

Most of them are only late: a note in the outbox says so already. The others
were left behind by a late call, and nobody but who meets them knows of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable

from sfm_core.engine.changes import Change, Planned
from sfm_core.engine.committer import Committer
from sfm_core.engine.repairing import Repairing
from sfm_core.engine.stores import Stores
from sfm_core.errors import SfmError
from sfm_core.protocols.kv import Commit

log = logging.getLogger(__name__)

MAX_NOTED = 10_000
"""Keys that are remembered as noted; what is found beyond that is noted by a later recall."""


class Corrections:
    """Corrects what proved stale, or asks those to do so who follow this engine's writes."""

    def __init__(self, stores: Stores, repairing: Repairing, committer: Committer) -> None:
        """Correct with `repairing`, or leave notes through `committer`."""
        self._clock = stores.clock
        self._settings = stores.settings
        self._repairing = repairing
        self._committer = committer
        self._noted: dict[tuple[str, bytes], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def correct(self, namespace: str, keys: Iterable[bytes]) -> None:
        """Have the points of memories say what the truth says; return at once."""
        if self._settings.inline:
            self._run(self._repairing.repair(namespace, keys))
        elif due := self._due(namespace, keys):
            self._run(self._note(namespace, due))

    async def close(self) -> None:
        """Finish what was begun."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _run(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _due(self, namespace: str, keys: Iterable[bytes]) -> tuple[bytes, ...]:
        """Return the keys that were not noted lately: a popular one must not fill the outbox."""
        now = self._clock.monotonic()
        while self._noted:
            oldest = next(iter(self._noted))
            if now - self._noted[oldest] < self._settings.lease.total_seconds():
                break
            del self._noted[oldest]
        due = [key for key in keys if (namespace, key) not in self._noted]
        due = due[: MAX_NOTED - len(self._noted)]
        self._noted |= {(namespace, key): now for key in due}
        return tuple(due)

    async def _note(self, namespace: str, keys: tuple[bytes, ...]) -> None:
        planned = Planned(commit=Commit(namespace=namespace, dirty=keys), version=0)
        change = Change(namespace=namespace, keys=(), plan=lambda _: planned, read_first=False)
        await self._committer.commit(change)


async def _quietly(work: Coroutine[object, object, None]) -> None:
    try:
        await work
    except SfmError as error:
        log.info("stale points stay until the next search: %s: %s", error.code, error)
