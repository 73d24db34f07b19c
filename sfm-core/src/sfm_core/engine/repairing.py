"""Making the derived stores say of keys what the truth says, whatever they said before.

It is level-triggered: it reads what the truth says now, applies that, and looks at the
versions once more afterwards. If one moved meanwhile it starts over. So two writers, a
late reply or a repeated call can make it work twice, but never leave an older state behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sfm_core.engine.chasing import chase
from sfm_core.engine.follow_links import LinkFollower
from sfm_core.engine.follow_memories import Applied, MemoryFollower, OwnWrite
from sfm_core.engine.index import Index
from sfm_core.engine.indexes import Indexes
from sfm_core.model.keys import EPISODE, LINK, MEMORY

Own = dict[bytes, OwnWrite]


class Repairing:
    """Brings derived stores up to date for keys."""

    def __init__(
        self, scheme: str, indexes: Indexes, memories: MemoryFollower, links: LinkFollower
    ) -> None:
        """Follow the truth, a backend called `scheme`, with the two followers."""
        self._scheme = scheme
        self._indexes = indexes
        self._memories = memories
        self._links = links

    async def repair(
        self, namespace: str, keys: Iterable[bytes], index: Index | None = None
    ) -> None:
        """Bring the derived stores up to date.

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
        await self.points(namespace, wanted, index)
        await self._follow_links(namespace, wanted)

    async def points(self, namespace: str, keys: Sequence[bytes], index: Index) -> None:
        """Bring the points of one index up to date.

        Args:
            namespace: Where the keys are.
            keys: As for `repair`.
            index: The index.

        Raises:
            BackendError: A backend failed.
        """
        await self._follow_memories(
            namespace, await self._memory_keys(namespace, keys, index), index
        )

    async def apply(self, namespace: str, keys: Sequence[bytes], index: Index, own: Own) -> Applied:
        """Apply what the truth says, for `settle` to look later whether it has changed meanwhile.

        Args:
            namespace: Where the keys are.
            keys: As for `repair`.
            index: Whose points are to follow.
            own: What stood under keys when this process committed them.

        Returns:
            What was applied to the index; links have been followed to the end.

        Raises:
            BackendError: A backend failed; part of it may be applied.
        """
        wanted = await self._memory_keys(namespace, keys, index)
        applied = await self._memories.write(namespace, wanted, index, own)
        await self._follow_links(namespace, keys)
        return applied

    async def settle(self, namespace: str, applied: Sequence[Applied], index: Index) -> None:
        """Start over with whatever has changed since it was applied.

        Args:
            namespace: Where it was.
            applied: What was applied.
            index: To which index.

        Raises:
            BackendError: A backend failed.
        """
        again = await self._memories.unsettled(namespace, applied)
        await self._follow_memories(namespace, again, index)

    async def _memory_keys(
        self, namespace: str, keys: Sequence[bytes], index: Index
    ) -> list[bytes]:
        """Return the memories that keys stand for: themselves, or those after a place."""
        left = [key for key in dict.fromkeys(keys) if key[:1] == EPISODE]
        lacking = await self._memories.that_follow(namespace, left, index) if left else []
        return [key for key in dict.fromkeys([*keys, *lacking]) if key[:1] == MEMORY]

    async def _follow_memories(self, namespace: str, keys: Sequence[bytes], index: Index) -> None:
        await chase(
            keys,
            lambda todo: self._memories.apply(namespace, todo, index),
            backend=self._scheme,
        )

    async def _follow_links(self, namespace: str, keys: Sequence[bytes]) -> None:
        await self._links.follow(namespace, [key for key in dict.fromkeys(keys) if key[:1] == LINK])
