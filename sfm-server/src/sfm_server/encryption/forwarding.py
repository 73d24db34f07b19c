"""A key-value store that hands on what it does not change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sfm_core.model.events import LoggedEvent, Position
from sfm_core.protocols.kv import DirtyNote, KeyValueStore, OutboxStatus
from sfm_core.wrapping import BackendWrapper


class ForwardingKeyValueStore(BackendWrapper[KeyValueStore]):
    """Stands for a store; what has no values goes through as it is."""

    async def counters(self, namespace: str) -> dict[str, int]:
        """Read counters."""
        return await self.inner.counters(namespace)

    async def namespaces(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """List namespaces."""
        return await self.inner.namespaces(after=after, limit=limit)

    async def claim(self, *, owner: str, limit: int, lease: timedelta) -> list[DirtyNote]:
        """Claim notes."""
        return await self.inner.claim(owner=owner, limit=limit, lease=lease)

    async def acknowledge(self, notes: Sequence[DirtyNote]) -> None:
        """Remove notes."""
        await self.inner.acknowledge(notes)

    async def release(self, notes: Sequence[DirtyNote], *, owner: str, delay: timedelta) -> None:
        """Give notes back."""
        await self.inner.release(notes, owner=owner, delay=delay)

    async def outstanding(self, ids: Sequence[str]) -> list[bool]:
        """Look for notes."""
        return await self.inner.outstanding(ids)

    async def outbox_status(self) -> OutboxStatus:
        """Read the outbox's depth and age."""
        return await self.inner.outbox_status()

    async def read_events(self, *, after: Position, limit: int) -> list[LoggedEvent]:
        """Read the event log."""
        return await self.inner.read_events(after=after, limit=limit)

    async def count_events(self, *, after: Position, limit: int) -> int:
        """Count events."""
        return await self.inner.count_events(after=after, limit=limit)

    async def end_of_events(self) -> Position:
        """Find the end of the event log."""
        return await self.inner.end_of_events()

    async def any_trimmed(self, *, after: Position) -> bool:
        """Look for what was trimmed."""
        return await self.inner.any_trimmed(after=after)

    async def trim_events(self, *, through: Position) -> int:
        """Trim the event log."""
        return await self.inner.trim_events(through=through)
