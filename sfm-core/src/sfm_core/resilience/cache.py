"""A patient cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sfm_core.protocols.cache import Cache, Cached
from sfm_core.resilience.retry import Repetition
from sfm_core.resilience.wrapper import ResilientBackend


class ResilientCache(ResilientBackend[Cache]):
    """Repeats everything but counting."""

    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Cached | None]:
        """Read copies; repeated, because it only reads."""
        return await self.guard.call(
            lambda: self.inner.get_many(namespace, keys), Repetition.ALWAYS
        )

    async def set_if_newer(
        self, namespace: str, entries: Mapping[bytes, Cached], *, ttl: timedelta
    ) -> None:
        """Keep copies; repeated even after a time-out, because an older one never wins."""
        await self.guard.call(
            lambda: self.inner.set_if_newer(namespace, entries, ttl=ttl), Repetition.ALWAYS
        )

    async def increment(self, key: str, amount: int, *, ttl: timedelta) -> int:
        """Count once; never repeated, because it could count twice."""
        return await self.guard.call(
            lambda: self.inner.increment(key, amount, ttl=ttl), Repetition.NEVER
        )

    async def clear(self, namespace: str) -> None:
        """Forget copies; repeated, because a copy that goes too much is fetched again."""
        await self.guard.call(lambda: self.inner.clear(namespace), Repetition.ALWAYS)
