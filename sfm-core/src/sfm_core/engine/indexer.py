"""The indexer: makes the derived stores follow the truth.

It is level-triggered. A note only says *that* a key changed; the indexer reads
what the truth says now, applies that, and looks at the versions once more
afterwards. If one moved meanwhile it starts over. So two writers, a late reply
or a replayed note can make it work twice, but never leave an older state behind:
each commit has its own note, and a note is acknowledged only after a look that
found nothing newer than what was applied.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta

from sfm_core.engine.coalescer import Coalescer
from sfm_core.engine.follow_links import LinkFollower
from sfm_core.engine.follow_memories import MemoryFollower
from sfm_core.engine.index import Index
from sfm_core.engine.indexes import Indexes, View
from sfm_core.engine.stores import Stores
from sfm_core.errors import BackendError, BackendUnavailableError, ClosedError, SfmError
from sfm_core.model.keys import EPISODE, LINK, MEMORY
from sfm_core.protocols.kv import DirtyNote

log = logging.getLogger(__name__)

MAX_BATCH = 1000
MAX_CHASES = 10
MAX_DELAY = timedelta(minutes=5)


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
        self._coalescer: Coalescer[DirtyNote, bool] = Coalescer(
            self._process, max_batch=MAX_BATCH, concurrency=2
        )
        self._background: set[asyncio.Task[object]] = set()

    async def follow(self, notes: Sequence[DirtyNote]) -> bool:
        """Bring the derived stores up to date for notes that this process holds.

        Args:
            notes: Notes from a commit or a claim.

        Returns:
            Whether what is searched has followed. If not (a derived store is
            down or slow) the notes stay in the truth and are followed up later.
        """
        if not notes:
            return True
        work = asyncio.ensure_future(self._coalescer.submit_many(notes))
        self._background.add(work)
        work.add_done_callback(self._background.discard)
        try:
            async with asyncio.timeout(self._wait.total_seconds()):
                done = await asyncio.shield(work)
        except (TimeoutError, ClosedError):
            return False
        for result in done:
            if isinstance(result, BaseException):
                # Neither the caller's fault nor a reason to fail a write that is safe.
                log.error("a note could not be followed up", exc_info=result)
        return all(result is True for result in done)

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
        links = [key for key in dict.fromkeys(wanted) if key[:1] == LINK]
        await self._chase(links, lambda todo: self._links.apply(namespace, todo))

    async def _repair_points(self, namespace: str, keys: Sequence[bytes], index: Index) -> None:
        left = [key for key in dict.fromkeys(keys) if key[:1] == EPISODE]
        lacking = await self._memories.that_follow(namespace, left, index) if left else []
        wanted = [key for key in dict.fromkeys([*keys, *lacking]) if key[:1] == MEMORY]
        await self._chase(wanted, lambda todo: self._memories.apply(namespace, todo, index))

    async def close(self) -> None:
        """Finish the work in hand."""
        await self._coalescer.close()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _process(self, notes: list[DirtyNote]) -> Sequence[bool]:
        failed: set[str] = set()
        by_namespace: dict[str, list[DirtyNote]] = {}
        for note in notes:
            by_namespace.setdefault(note.namespace, []).append(note)
        for namespace, group in by_namespace.items():
            failed.update(await self._settle(namespace, group))
        return [note.id not in failed for note in notes]

    async def _settle(self, namespace: str, notes: Sequence[DirtyNote]) -> list[str]:
        """Follow up notes of one namespace; return the ids of those that could not be."""
        keys = [note.key for note in notes]
        try:
            view = await self._indexes.current()
            await self.repair(namespace, keys, view.searched)
        except BackendError as error:
            if not error.retryable and len(notes) > 1:
                # One entry that cannot be read must not hold up the others.
                half = len(notes) // 2
                failed = await self._settle(namespace, notes[:half])
                return failed + await self._settle(namespace, notes[half:])
            log.warning(
                "derived stores cannot follow %d keys yet: %s: %s", len(notes), error.code, error
            )
            await self._give_back(notes)
            return [note.id for note in notes]
        await self._finish(namespace, notes, view)
        return []

    async def _finish(self, namespace: str, notes: Sequence[DirtyNote], view: View) -> None:
        """Have the other collections follow, which nobody waits for, and let go of the notes."""
        keys = [note.key for note in notes]
        try:
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
