"""The cache port: copies that are faster to reach than the truth, and shared counters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from sfm_core.protocols.lifecycle import Backend


@dataclass(frozen=True, slots=True)
class Cached:
    """A cached copy.

    Attributes:
        version: Version of the entry in the truth.
        value: The copy; `None` is a tombstone: the entry is known to be gone.
    """

    version: int
    value: bytes | None


class Cache(Backend, Protocol):
    """Versioned copies: a slow filler can never overwrite a newer value."""

    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Cached | None]:
        """Read many copies in one round trip.

        Args:
            namespace: Where to read.
            keys: At most `MAX_BATCH`.

        Returns:
            One element per key, in order; `None` where there is no copy.

        Raises:
            LimitExceededError: More than `MAX_BATCH` keys.
            BackendUnavailableError: The cache was not reached before the deadline.
        """
        ...

    async def set_if_newer(
        self, namespace: str, entries: Mapping[bytes, Cached], *, ttl: timedelta
    ) -> None:
        """Keep copies, except where one of the same or a higher version is kept already.

        Args:
            namespace: Where to keep them.
            entries: Copies and tombstones by key, at most `MAX_BATCH`.
            ttl: How long to keep them at most.

        Raises:
            LimitExceededError: More than `MAX_BATCH` entries.
            BackendUnavailableError: The cache was not reached before the
                deadline; some may be kept.

        Guarantees:
            For each key the check and the write are one step. Copies may
            vanish before their `ttl`, tombstones only by it.
        """
        ...

    async def increment(self, key: str, amount: int, *, ttl: timedelta) -> int:
        """Add to a counter that all processes share.

        Args:
            key: Name of the counter, apart from every namespace.
            amount: What to add.
            ttl: How long the counter lives from its first increment.

        Returns:
            Its value afterwards.

        Raises:
            BackendUnavailableError: The cache was not reached before the
                deadline; it may have counted.

        Guarantees:
            Concurrent increments all count.
        """
        ...

    async def clear(self, namespace: str) -> None:
        """Forget every copy of a namespace, and none of another.

        Args:
            namespace: Whose copies.

        Raises:
            BackendUnavailableError: The cache was not reached before the deadline.
        """
        ...
