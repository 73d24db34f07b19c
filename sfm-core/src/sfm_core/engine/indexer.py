"""The indexer: makes the derived stores follow the truth, note by note.

A note only says *that* a key changed; what is applied is what the truth says now.
Whoever waits does so until that is done. The last look, and the acknowledgement,
come afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from enum import IntEnum
from typing import NamedTuple

from sfm_core.engine.coalescer import Coalescer
from sfm_core.engine.drafts import Draft
from sfm_core.engine.finishing import Finishing, Unfinished
from sfm_core.engine.follow_memories import Applied, OwnWrite
from sfm_core.engine.index import Index
from sfm_core.engine.indexes import Indexes
from sfm_core.engine.repairing import Repairing
from sfm_core.engine.view import View
from sfm_core.errors import BackendError, ClosedError, SfmError
from sfm_core.protocols.kv import DirtyNote, Entry
from sfm_core.protocols.observer import UNOBSERVED, Observer

log = logging.getLogger(__name__)

MAX_BATCH = 1000


class Followed(IntEnum):
    """How far derived stores have followed; the least is false.

    Attributes:
        LATER: They will, without anybody's doing.
        SEARCHED: What this engine searches has.
        EVERYWHERE: So has everything else that any engine may search.
    """

    LATER = 0
    SEARCHED = 1
    EVERYWHERE = 2


class Task(NamedTuple):
    """A note to follow up.

    Attributes:
        note: The note.
        entry: What this process has committed under its key, if it has.
        draft: The vector of the memory that `entry` is, if it was begun.
        claimed: Whether it was taken over, so that others may wait until it is gone.
    """

    note: DirtyNote
    entry: Entry | None = None
    draft: Draft | None = None
    claimed: bool = False


class Indexer:
    """Follows up outbox notes."""

    def __init__(
        self,
        indexes: Indexes,
        repairing: Repairing,
        finishing: Finishing,
        *,
        wait: timedelta,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """Apply by `repairing`, let go by `finishing`; no caller waits for longer than `wait`."""
        self._indexes = indexes
        self._repairing = repairing
        self._finishing = finishing
        self._wait = wait
        self._coalescer: Coalescer[Task, Followed] = Coalescer(
            self._process,
            max_batch=MAX_BATCH,
            concurrency=2,
            name="index",
            observer=observer,
        )

    async def follow(self, tasks: Sequence[Task]) -> Followed:
        """Bring the derived stores up to date for notes that this process holds.

        Args:
            tasks: Notes from a commit or a claim.

        Returns:
            How far all of them are followed. If they are not (a derived store
            is down or slow) the notes stay in the truth and are followed up later.
        """
        if not tasks:
            return Followed.EVERYWHERE
        try:
            work = self._coalescer.hand_in(tasks)
        except ClosedError:
            return Followed.LATER
        await asyncio.wait([work], timeout=self._wait.total_seconds())
        return min(map(_certain, work.result())) if work.done() else Followed.LATER

    async def view(self) -> View:
        """Return which indexes are searched and kept current now."""
        return await self._indexes.current()

    async def settled(self) -> None:
        """Let go of the notes that are followed up by now, also those that nobody waits for."""
        await self._finishing.settled()

    async def close(self) -> None:
        """Finish the work in hand."""
        await self._coalescer.close()
        await self._finishing.close()

    async def _process(self, tasks: list[Task]) -> Sequence[Followed]:
        followed: dict[str, Followed] = {}
        by_namespace: dict[str, list[Task]] = {}
        for task in tasks:
            by_namespace.setdefault(task.note.namespace, []).append(task)
        for namespace, group in by_namespace.items():
            followed |= await self._settle(namespace, group)
        return [followed[task.note.id] for task in tasks]

    async def _settle(self, namespace: str, tasks: Sequence[Task]) -> dict[str, Followed]:
        """Follow up notes of one namespace; return how far each is followed, by its id."""
        notes = [task.note for task in tasks]
        try:
            view = await self._indexes.current()
            applied = await self._apply(namespace, tasks, view.searched)
        except BackendError as error:
            if not error.retryable and len(notes) > 1:
                # One entry that cannot be read must not hold up the others.
                half = len(tasks) // 2
                first = await self._settle(namespace, tasks[:half])
                return first | await self._settle(namespace, tasks[half:])
            log.warning(
                "derived stores cannot follow %d keys yet: %s: %s", len(notes), error.code, error
            )
            await self._finishing.give_back(notes)
            return dict.fromkeys((note.id for note in notes), Followed.LATER)
        unfinished = Unfinished(namespace, notes, view, applied)
        if view.shared or any(task.claimed for task in tasks):
            reached = await self._finish(unfinished)
        else:
            await self._finishing.finish_later(unfinished)
            reached = Followed.EVERYWHERE if view.responsible else Followed.SEARCHED
        return dict.fromkeys((note.id for note in notes), reached)

    async def _finish(self, unfinished: Unfinished) -> Followed:
        view = unfinished.view
        if await self._finishing.finish(unfinished):
            return Followed.EVERYWHERE
        if not (view.shared and view.responsible):
            return Followed.SEARCHED
        try:
            found = await self._indexes.missed(view)
        except SfmError as error:
            log.warning("a build may end without %d keys: %s", len(unfinished.notes), error)
            found = False
        return Followed.SEARCHED if found else Followed.LATER

    async def _apply(self, namespace: str, tasks: Sequence[Task], index: Index) -> Applied:
        # Of several commits of one memory, the group may have any; the last is the best guess.
        known = sorted((t for t in tasks if t.entry), key=_version)
        own = {t.note.key: OwnWrite(t.entry, t.draft) for t in known if t.entry}
        keys = [task.note.key for task in tasks]
        return await self._repairing.apply(namespace, keys, index, own)


def _certain(result: Followed | BaseException) -> Followed:
    if isinstance(result, BaseException):
        # Neither the caller's fault nor a reason to fail a write that is safe.
        log.error("a note could not be followed up", exc_info=result)
        return Followed.LATER
    return result


def _version(task: Task) -> int:
    return task.entry.version if task.entry else 0
