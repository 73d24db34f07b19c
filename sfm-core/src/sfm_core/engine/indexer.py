"""The indexer: makes the derived stores follow the truth.

It is level-triggered. A note only says *that* a key changed; the indexer reads
what the truth says now, applies that, and looks at the versions once more
afterwards. If one moved meanwhile it starts over. So two writers, a late reply
or a replayed note can make it work twice, but never leave an older state behind:
each commit has its own note, and a note is acknowledged only after a look that
found nothing newer than what was applied. Whoever waits does so until it is
applied; the look and the acknowledgement come afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import timedelta
from enum import IntEnum
from typing import NamedTuple

from sfm_core.engine.coalescer import Coalescer
from sfm_core.engine.drafts import Draft
from sfm_core.engine.follow_links import LinkFollower
from sfm_core.engine.follow_memories import Applied, MemoryFollower, OwnWrite
from sfm_core.engine.index import Index
from sfm_core.engine.indexes import Indexes, View
from sfm_core.engine.stores import Stores
from sfm_core.errors import BackendError, BackendUnavailableError, ClosedError, SfmError
from sfm_core.model.keys import EPISODE, LINK, MEMORY
from sfm_core.protocols.kv import DirtyNote, Entry

log = logging.getLogger(__name__)

MAX_BATCH = 1000
MAX_CHASES = 10
MAX_DELAY = timedelta(minutes=5)
MAX_UNFINISHED = 16
"""Groups of notes that nobody waits for any more. Beyond that, writers wait for one of them."""


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
    """

    note: DirtyNote
    entry: Entry | None = None
    draft: Draft | None = None


class Indexer:
    """Follows up outbox notes."""

    def __init__(
        self, stores: Stores, indexes: Indexes, memories: MemoryFollower, links: LinkFollower
    ) -> None:
        """Follow the truth of `stores` with the two followers."""
        self._indexes = indexes
        self._kv = stores.kv
        self._owner = stores.owner
        self._wait = stores.settings.index_wait
        self._memories = memories
        self._links = links
        self._coalescer: Coalescer[Task, Followed] = Coalescer(
            self._process, max_batch=MAX_BATCH, concurrency=2
        )
        self._unfinished: set[asyncio.Task[bool]] = set()

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

    async def repair(
        self, namespace: str, keys: Iterable[bytes], index: Index | None = None
    ) -> None:
        """Bring the derived stores up to date for keys, without notes.

        Args:
            namespace: Where the keys are.
            keys: Memory and link keys, and places in episodes that were left.
            index: Whose points are to follow; by default that which is searched.

        Raises:
            BackendError: A backend failed.
        """
        if index is None:
            index = (await self._indexes.current()).searched
        wanted = list(keys)
        await self._repair_points(namespace, wanted, index)
        await self._repair_links(namespace, wanted)

    async def _repair_points(self, namespace: str, keys: Sequence[bytes], index: Index) -> None:
        wanted = await self._memory_keys(namespace, keys, index)
        await self._chase_memories(namespace, wanted, index)

    async def _chase_memories(self, namespace: str, keys: Sequence[bytes], index: Index) -> None:
        await self._chase(keys, lambda todo: self._memories.apply(namespace, todo, index))

    async def _repair_links(self, namespace: str, keys: Sequence[bytes]) -> None:
        links = [key for key in dict.fromkeys(keys) if key[:1] == LINK]
        await self._chase(links, lambda todo: self._links.apply(namespace, todo))

    async def _memory_keys(
        self, namespace: str, keys: Sequence[bytes], index: Index
    ) -> list[bytes]:
        """Return the memories that keys stand for: themselves, or those after a place."""
        left = [key for key in dict.fromkeys(keys) if key[:1] == EPISODE]
        lacking = await self._memories.that_follow(namespace, left, index) if left else []
        return [key for key in dict.fromkeys([*keys, *lacking]) if key[:1] == MEMORY]

    async def close(self) -> None:
        """Finish the work in hand."""
        await self._coalescer.close()
        await asyncio.gather(*self._unfinished, return_exceptions=True)

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
            await self._give_back(notes)
            return dict.fromkeys((note.id for note in notes), Followed.LATER)
        finishing = self._finish(namespace, notes, view, applied)
        if view.shared:
            everywhere = await finishing
        else:
            await self._finish_later(finishing)
            everywhere = view.responsible
        reached = Followed.EVERYWHERE if everywhere else Followed.SEARCHED
        return dict.fromkeys((note.id for note in notes), reached)

    async def _apply(self, namespace: str, tasks: Sequence[Task], index: Index) -> Applied:
        keys = [task.note.key for task in tasks]
        # Of several commits of one memory, the group may have any; the last is the best guess.
        known = sorted((t for t in tasks if t.entry), key=_version)
        written = {t.note.key: OwnWrite(t.entry, t.draft) for t in known if t.entry}
        wanted = await self._memory_keys(namespace, keys, index)
        applied = await self._memories.write(namespace, wanted, index, written)
        await self._repair_links(namespace, keys)
        return applied

    async def _finish_later(self, work: Coroutine[object, object, bool]) -> None:
        """Have work done that nobody waits for, unless there is much of it already."""
        task = asyncio.create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        if len(self._unfinished) > MAX_UNFINISHED:
            await asyncio.wait(self._unfinished, return_when=asyncio.FIRST_COMPLETED)

    async def _finish(
        self, namespace: str, notes: Sequence[DirtyNote], view: View, applied: Applied
    ) -> bool:
        """Look whether anything has changed, have the other collections follow, let go of notes.

        Returns:
            Whether nothing is owed any more.
        """
        keys = [note.key for note in notes]
        try:
            again = await self._memories.unsettled(applied)
            await self._chase_memories(namespace, again, view.searched)
            for index in view.followed[1:]:
                await self._repair_points(namespace, keys, index)
            if view.responsible:
                await self._kv.acknowledge(notes)
            else:
                # An engine that can use all collections takes them up.
                await self._kv.release(notes, owner=self._owner, delay=timedelta())
        except SfmError as error:
            log.warning(
                "%d keys are not followed everywhere: %s: %s", len(notes), error.code, error
            )
            await self._give_back(notes)
        except Exception:  # nobody waits for this to tell; the notes stay until their lease ends
            log.exception("%d keys are not followed yet", len(notes))
        else:
            return view.responsible
        return False

    async def _give_back(self, notes: Sequence[DirtyNote]) -> None:
        attempts = max(note.attempts for note in notes)
        delay = min(MAX_DELAY, timedelta(seconds=2 ** min(attempts, 10)))
        try:
            await self._kv.release(notes, owner=self._owner, delay=delay)
        except BackendError as error:
            log.warning("notes stay leased until their lease ends: %s: %s", error.code, error)

    async def _chase(
        self,
        keys: Sequence[bytes],
        apply: Callable[[Sequence[bytes]], Awaitable[list[bytes]]],
    ) -> None:
        todo = keys
        for _ in range(MAX_CHASES):
            if not todo:
                return
            todo = await apply(todo)
        if todo:
            # Acknowledging now could leave an older state behind for good.
            raise BackendUnavailableError(
                f"{len(todo)} keys change faster than they can be indexed.",
                backend=self._kv.scheme,
            )


def _certain(result: Followed | BaseException) -> Followed:
    if isinstance(result, BaseException):
        # Neither the caller's fault nor a reason to fail a write that is safe.
        log.error("a note could not be followed up", exc_info=result)
        return Followed.LATER
    return result


def _version(task: Task) -> int:
    return task.entry.version if task.entry else 0
