"""A patient key-value store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sfm_core.model.events import LoggedEvent, Position
from sfm_core.model.keys import KeyRange
from sfm_core.protocols.kv import (
    Commit,
    CommitResult,
    DirtyNote,
    Entry,
    KeyValueStore,
    OutboxStatus,
)
from sfm_core.resilience.retry import Repetition
from sfm_core.resilience.wrapper import ResilientBackend


class ResilientKeyValueStore(ResilientBackend[KeyValueStore]):
    """Repeats reads, and of the writes only those whose repetition changes nothing."""

    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        """Read entries; repeated, because it only reads."""
        return await self.guard.call(
            lambda: self.inner.get_many(namespace, keys), Repetition.ALWAYS
        )

    async def scan(
        self, namespace: str, ranges: Sequence[KeyRange], *, limit: int
    ) -> list[list[tuple[bytes, Entry]]]:
        """Read key ranges; repeated, because it only reads."""
        return await self.guard.call(
            lambda: self.inner.scan(namespace, ranges, limit=limit), Repetition.ALWAYS
        )

    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        """Commit once; never repeated.

        When the reply is lost, the commit may have happened. A second one would
        then meet its own first version and report a conflict with it, or, where
        nothing was expected, count, note and publish the change twice. Only the
        caller knows what was there before, and can read whether its change is
        there now.
        """
        return await self.guard.call(
            lambda: self.inner.commit(commits, owner=owner, lease=lease), Repetition.NEVER
        )

    async def counters(self, namespace: str) -> dict[str, int]:
        """Read counters; repeated, because it only reads."""
        return await self.guard.call(lambda: self.inner.counters(namespace), Repetition.ALWAYS)

    async def namespaces(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """List namespaces; repeated, because it only reads."""
        return await self.guard.call(
            lambda: self.inner.namespaces(after=after, limit=limit), Repetition.ALWAYS
        )

    async def claim(self, *, owner: str, limit: int, lease: timedelta) -> list[DirtyNote]:
        """Claim notes once; never repeated.

        When the reply is lost, notes may be leased that nobody knows of until
        the lease ends. Each repetition would put away as many again.
        """
        return await self.guard.call(
            lambda: self.inner.claim(owner=owner, limit=limit, lease=lease), Repetition.NEVER
        )

    async def acknowledge(self, notes: Sequence[DirtyNote]) -> None:
        """Remove notes; repeated even after a time-out, because no note ever comes back."""
        await self.guard.call(lambda: self.inner.acknowledge(notes), Repetition.ALWAYS)

    async def release(self, notes: Sequence[DirtyNote], *, owner: str, delay: timedelta) -> None:
        """Give notes back once; never repeated.

        A repetition could count an attempt twice. Notes that were not given
        back become available when their lease ends.
        """
        await self.guard.call(
            lambda: self.inner.release(notes, owner=owner, delay=delay), Repetition.NEVER
        )

    async def outstanding(self, ids: Sequence[str]) -> list[bool]:
        """Look for notes; repeated, because it only reads."""
        return await self.guard.call(lambda: self.inner.outstanding(ids), Repetition.ALWAYS)

    async def outbox_status(self) -> OutboxStatus:
        """Read the outbox's depth and age; repeated, because it only reads."""
        return await self.guard.call(self.inner.outbox_status, Repetition.ALWAYS)

    async def read_events(self, *, after: Position, limit: int) -> list[LoggedEvent]:
        """Read the event log; repeated, because it only reads."""
        return await self.guard.call(
            lambda: self.inner.read_events(after=after, limit=limit), Repetition.ALWAYS
        )

    async def count_events(self, *, after: Position, limit: int) -> int:
        """Count events; repeated, because it only reads."""
        return await self.guard.call(
            lambda: self.inner.count_events(after=after, limit=limit), Repetition.ALWAYS
        )

    async def end_of_events(self) -> Position:
        """Find the end of the event log; repeated, because it only reads."""
        return await self.guard.call(self.inner.end_of_events, Repetition.ALWAYS)

    async def any_trimmed(self, *, after: Position) -> bool:
        """Look for what was trimmed; repeated, because it only reads."""
        return await self.guard.call(lambda: self.inner.any_trimmed(after=after), Repetition.ALWAYS)

    async def trim_events(self, *, through: Position) -> int:
        """Trim the event log; repeated, because no event ever comes back before a position.

        Returns:
            How many the attempt that succeeded removed; what one before it
            removed without being able to say so is not counted.
        """
        return await self.guard.call(
            lambda: self.inner.trim_events(through=through), Repetition.ALWAYS
        )
