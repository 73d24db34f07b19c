"""Carrying a write through: the truth commits it, then the derived stores follow."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TypeVar

from sfm_core.engine.committer import Change, Committer, Written
from sfm_core.engine.indexer import Indexer, Task
from sfm_core.errors import ClosedError

ResultT = TypeVar("ResultT")


class Writer:
    """Carries writes through to the end, also when the caller gives up waiting.

    A write that has not begun is taken back then. One that has is followed up:
    else its notes would wait until their lease has ended.
    """

    def __init__(self, committer: Committer, indexer: Indexer) -> None:
        """Commit through `committer`, and have `indexer` follow."""
        self._committer = committer
        self._indexer = indexer
        self._tasks: set[asyncio.Task[object]] = set()
        self._closed = False

    async def write(self, change: Change) -> tuple[Written, bool]:
        """Make one change happen.

        Args:
            change: What is to happen.

        Returns:
            What happened, and whether the derived stores have followed already.

        Raises:
            SfmError: What the plan refused with, or why the truth did not answer.
        """
        return await self._to_the_end([change], self._write(change))

    async def write_many(
        self, changes: Sequence[Change]
    ) -> tuple[list[Written | BaseException], bool]:
        """Make many changes happen, each by itself.

        Args:
            changes: What is to happen.

        Returns:
            What happened, or the error of that change, in order; and whether
            the derived stores have followed all that happened already.
        """
        return await self._to_the_end(changes, self._write_many(changes))

    async def close(self) -> None:
        """Take no more writes, and finish those in hand."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _write(self, change: Change) -> tuple[Written, bool]:
        written = await self._committer.commit(change)
        return written, await self._indexer.follow(_tasks(written))

    async def _write_many(
        self, changes: Sequence[Change]
    ) -> tuple[list[Written | BaseException], bool]:
        results = await self._committer.commit_many(changes)
        tasks = [task for r in results if isinstance(r, Written) for task in _tasks(r)]
        return results, await self._indexer.follow(tasks)

    async def _to_the_end(
        self, changes: Sequence[Change], work: Coroutine[object, object, ResultT]
    ) -> ResultT:
        if self._closed:
            work.close()
            raise ClosedError("The engine is closing.", remedy="Send the call to a running one.")
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._committer.withdraw(changes)
            raise

    def _forget(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # The caller hears of an error; one who gave up must not be told by the event loop.
            task.exception()


def _tasks(written: Written) -> list[Task]:
    return [Task(note, written.entries.get(note.key), written.draft) for note in written.notes]
