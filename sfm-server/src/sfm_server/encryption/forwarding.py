"""A key-value store that hands on what it does not change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from sfm_core.model.events import LoggedEvent, Position
from sfm_core.protocols.kv import DirtyNote, KeyValueStore, OutboxStatus
from sfm_core.protocols.optional import SupportsMaintenance, SupportsWaking


class ForwardingKeyValueStore:
    """Stands for a store; what has no values goes through as it is.

    Attributes:
        inner: The store; it is opened and closed with the wrapper.
        maintain: There only if the store has it.
        wait_for_work: There only if the store has it.
    """

    maintain: Callable[[], Awaitable[None]]
    wait_for_work: Callable[[], Awaitable[None]]

    def __init__(self, inner: KeyValueStore) -> None:
        """Wrap a store that is not open yet."""
        self.inner: Final = inner
        # Set on the object, because `isinstance` against an optional protocol looks for it there.
        offered: object = inner
        if isinstance(offered, SupportsMaintenance):
            self.maintain = offered.maintain
        if isinstance(offered, SupportsWaking):
            self.wait_for_work = offered.wait_for_work

    @property
    def scheme(self) -> str:
        """URL scheme of the store."""
        return self.inner.scheme

    @property
    def shared(self) -> bool:
        """Whether other processes see the same data."""
        return self.inner.shared

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.inner.__aexit__(exc_type, exc, traceback)

    async def ping(self) -> None:
        """Ask the store itself."""
        await self.inner.ping()

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
