"""Carrying a write through: the truth commits it, then the derived stores follow."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from sfm_core.engine.committer import Change, Committer, Written
from sfm_core.engine.indexer import Indexer, Task
from sfm_core.errors import ClosedError

Results: TypeAlias = list[Written | BaseException]


class Writer:
    """Carries writes through to the end, also when the caller gives up waiting.

    A write that has not begun is taken back then. One that has is followed up:
    else its notes would wait until their lease has ended.
    """

    def __init__(self, committer: Committer, indexer: Indexer) -> None:
        """Commit through `committer`, and have `indexer` follow."""
        self._committer = committer
        self._indexer = indexer
        self._in_hand = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._given_up: set[asyncio.Task[bool]] = set()
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
        [written], indexed = await self.write_many([change])
        if isinstance(written, BaseException):
            raise written
        return written, indexed

    async def write_many(
        self, changes: Sequence[Change]
    ) -> tuple[list[Written | BaseException], bool]:
        """Make many changes happen, each by itself.

        Args:
            changes: What is to happen.

        Returns:
            What happened, or the error of that change, in order; and whether
            the derived stores have followed all that happened already.

        Raises:
            ClosedError: The engine is closing.
        """
        if self._closed:
            raise ClosedError("The engine is closing.", remedy="Send the call to a running one.")
        with self._holding():
            committing = self._committer.hand_in(changes)
            try:
                # Unlike an await of it, this leaves it alone when it is cancelled itself.
                await asyncio.wait([committing])
            except asyncio.CancelledError:
                self._committer.withdraw(changes)
                self._follow_up_later(committing)
                raise
            return committing.result(), await self._indexer.follow(_tasks(committing.result()))

    async def close(self) -> None:
        """Take no more writes, and finish those in hand."""
        self._closed = True
        await self._idle.wait()
        await asyncio.gather(*self._given_up)

    @contextmanager
    def _holding(self) -> Generator[None]:
        self._in_hand += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._in_hand -= 1
            if not self._in_hand:
                self._idle.set()

    def _follow_up_later(self, committing: asyncio.Future[Results]) -> None:
        task = asyncio.create_task(self._follow_up(committing))
        self._given_up.add(task)
        task.add_done_callback(self._given_up.discard)

    async def _follow_up(self, committing: asyncio.Future[Results]) -> bool:
        return await self._indexer.follow(_tasks(await committing))


def _tasks(results: Results) -> list[Task]:
    return [
        Task(note, written.entries.get(note.key), written.draft)
        for written in results
        if isinstance(written, Written)
        for note in written.notes
    ]
