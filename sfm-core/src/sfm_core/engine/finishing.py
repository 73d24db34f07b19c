"""Letting go of notes: a last look whether what was applied still holds, then the acknowledgement.

Each commit has its own note, and a note is acknowledged only after a look that found
nothing newer than what was applied. A write can be found by then, so hardly anybody
waits for this, and what a moment brings is finished together.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final, NamedTuple

from sfm_core.engine.follow_memories import Applied
from sfm_core.engine.repairing import Repairing
from sfm_core.engine.stores import Stores
from sfm_core.engine.view import View
from sfm_core.errors import BackendError, SfmError
from sfm_core.protocols.kv import DirtyNote

log = logging.getLogger(__name__)

MAX_UNFINISHED: Final = 10_000
"""Notes that nobody waits for any more. Beyond that, writers wait until some are finished."""

_MANY: Final = 256
_MOST: Final = 1000
"""Notes that are finished with one look: as many as the indexer follows up at once."""
_MOMENT: Final = 0.02
_LONG_MOMENT: Final = 1.0
_MAX_DELAY: Final = timedelta(minutes=5)


class Unfinished(NamedTuple):
    """Notes that are followed up in the index that is searched, and still have to go.

    Attributes:
        namespace: Where they are.
        notes: The notes.
        view: By which look at the catalog.
        applied: What was applied.
    """

    namespace: str
    notes: Sequence[DirtyNote]
    view: View
    applied: Applied


class Finishing:
    """Finishes what was followed up."""

    def __init__(self, stores: Stores, repairing: Repairing) -> None:
        """Let go of notes in the truth of `stores`; `repairing` applies what has changed."""
        self._kv = stores.kv
        self._owner = stores.owner
        self._observer = stores.observer
        self._repairing = repairing
        self._waiting: deque[Unfinished] = deque()
        self._count = 0
        self._worker: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._room = asyncio.Event()

    async def finish(self, unfinished: Unfinished) -> bool:
        """Look whether anything has changed, have the other collections follow, let go of notes.

        Args:
            unfinished: What was followed up.

        Returns:
            Whether nothing is owed any more. If not, the notes stay in the truth.
        """
        return await self._finish([unfinished])

    async def finish_later(self, unfinished: Unfinished) -> None:
        """Have it finished, and wait only where too much is unfinished already.

        Args:
            unfinished: What was followed up.
        """
        self._waiting.append(unfinished)
        self._count += len(unfinished.notes)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        if self._count >= _MANY:
            self._hurry.set()
        if self._count > MAX_UNFINISHED:
            self._room.clear()
            await self._room.wait()

    async def settled(self) -> None:
        """Finish what was handed in by now, if that takes no longer than a moment or two."""
        if self._worker is not None:
            self._hurry.set()
            await asyncio.wait([self._worker], timeout=_LONG_MOMENT)

    async def give_back(self, notes: Sequence[DirtyNote]) -> None:
        """Leave notes to whoever claims them next, after a delay that grows with each attempt.

        Args:
            notes: Notes that this engine holds.
        """
        attempts = max(note.attempts for note in notes)
        delay = min(_MAX_DELAY, timedelta(seconds=2 ** min(attempts, 10)))
        try:
            await self._kv.release(notes, owner=self._owner, delay=delay)
        except BackendError as error:
            log.warning("notes stay leased until their lease ends: %s: %s", error.code, error)

    async def close(self) -> None:
        """Finish everything."""
        while self._worker is not None:
            self._hurry.set()
            await asyncio.wait([self._worker])

    async def _work(self) -> None:
        try:
            while self._waiting:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_MOMENT):
                        await self._hurry.wait()
                self._hurry.clear()
                for alike in self._take():
                    with self._observer.group("finish", [None] * len(alike)):
                        await self._finish(alike)
                    self._count -= sum(len(one.notes) for one in alike)
                    self._room.set()
        finally:
            self._worker = None

    def _take(self) -> list[list[Unfinished]]:
        """Take all that waits, parted by what can be finished with one look at the truth."""
        groups: list[list[Unfinished]] = []
        latest: dict[tuple[str, int], list[Unfinished]] = {}
        room: dict[tuple[str, int], int] = {}
        while self._waiting:
            one = self._waiting.popleft()
            place = one.namespace, id(one.view)
            if room.get(place, 0) < len(one.notes):
                latest[place], room[place] = [], _MOST
                groups.append(latest[place])
            latest[place].append(one)
            room[place] -= len(one.notes)
        return groups

    async def _finish(self, alike: Sequence[Unfinished]) -> bool:
        namespace, view = alike[0].namespace, alike[0].view
        notes = [note for one in alike for note in one.notes]
        keys = [note.key for note in notes]
        try:
            await self._repairing.settle(namespace, [one.applied for one in alike], view.searched)
            for index in view.followed[1:]:
                await self._repairing.points(namespace, keys, index)
            if view.responsible:
                await self._kv.acknowledge(notes)
            else:
                # An engine that can use all collections takes them up.
                await self._kv.release(notes, owner=self._owner, delay=timedelta())
        except SfmError as error:
            log.warning(
                "%d keys are not followed everywhere: %s: %s", len(notes), error.code, error
            )
            await self.give_back(notes)
        except Exception:  # nobody waits for this to tell; the notes stay until their lease ends
            log.exception("%d keys are not followed yet", len(notes))
        else:
            return view.responsible
        return False
