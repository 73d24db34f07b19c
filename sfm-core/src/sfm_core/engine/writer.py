"""Carrying a write through: the truth commits it, then the derived stores follow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

from sfm_core.engine.changes import Change, Written
from sfm_core.engine.coalescer import all_or_raise
from sfm_core.engine.committer import Committer
from sfm_core.engine.indexer import Followed, Task
from sfm_core.engine.positions import Positions
from sfm_core.errors import ClosedError
from sfm_core.model.idempotency import KeptAnswer
from sfm_core.model.position import WritePosition
from sfm_core.model.report import Removed

Results: TypeAlias = list[Written | BaseException]

Follow: TypeAlias = Callable[[Sequence[Task]], Awaitable[Followed]]
"""Has derived stores follow up notes, and tells how far they have."""


class Outcome(NamedTuple):
    """A write that has happened.

    Attributes:
        version: The version of the changed entry; 0 if nothing was written.
        indexed: Whether what this engine searches has followed.
        position: What is still owed to derived stores.
        revision: The revision of the memory that was written, if one was.
        repeats: What was answered the first time, if this is a repetition.
    """

    version: int
    indexed: bool
    position: WritePosition
    revision: str = ""
    repeats: KeptAnswer | None = None


async def leave_to_others(tasks: Sequence[Task]) -> Followed:
    """Let the notes of a commit be, which must have no lease; see `Follow`."""
    return Followed.LATER if tasks else Followed.EVERYWHERE


class Writer:
    """Carries writes through to the end, also when the caller gives up waiting.

    A write that has not begun is taken back then. One that has is followed up:
    else its notes would wait until their lease has ended.
    """

    def __init__(self, committer: Committer, follow: Follow, positions: Positions) -> None:
        """Commit through `committer`, and have `follow` deal with what that leaves to do."""
        self._committer = committer
        self._follow = follow
        self._positions = positions
        self._in_hand = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._given_up: set[asyncio.Task[Followed]] = set()
        self._closed = False

    async def write(self, change: Change) -> Outcome:
        """Make one change happen.

        Args:
            change: What is to happen.

        Returns:
            What happened, and how far derived stores have followed.

        Raises:
            SfmError: What the plan refused with, or why the truth did not answer.
        """
        [outcome] = await self.write_all([change])
        return outcome

    async def write_all(self, changes: Sequence[Change]) -> list[Outcome]:
        """Make many changes happen, each by itself, and raise the first error of any.

        Args:
            changes: What is to happen.

        Returns:
            What happened, and how far derived stores have followed, in order.

        Raises:
            SfmError: What a plan refused with, or why the truth did not answer; others of the
                changes may have happened.
        """
        return all_or_raise(await self.write_many(changes))

    async def write_many(self, changes: Sequence[Change]) -> list[Outcome | BaseException]:
        """Make many changes happen, each by itself.

        Args:
            changes: What is to happen.

        Returns:
            What happened, or the error of that change, in order.

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
            results = committing.result()
            followed = await self._follow(_tasks(results))
            return [self._outcome(r, followed) if isinstance(r, Written) else r for r in results]

    def removed(self, outcomes: Sequence[Outcome]) -> Removed:
        """Count those of several writes that have removed something.

        Args:
            outcomes: Writes that remove or do nothing.

        Returns:
            How many did, and what all of them owe.
        """
        owed = [note for outcome in outcomes for note in outcome.position.notes]
        return Removed(
            count=sum(outcome.version > 0 for outcome in outcomes),
            position=self._positions.of(owed),
        )

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

    async def _follow_up(self, committing: asyncio.Future[Results]) -> Followed:
        return await self._follow(_tasks(await committing))

    def _outcome(self, written: Written, followed: Followed) -> Outcome:
        owed = () if followed is Followed.EVERYWHERE else written.notes
        position = self._positions.of([note.id for note in owed])
        return Outcome(
            written.version,
            followed >= Followed.SEARCHED,
            position,
            written.revision,
            written.repeats,
        )


def _tasks(results: Results) -> list[Task]:
    return [
        Task(note, written.entries.get(note.key), written.draft)
        for written in results
        if isinstance(written, Written)
        for note in written.notes
    ]
