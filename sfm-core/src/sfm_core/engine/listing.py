"""Listing memories and versions of them, in pages that are bounded by number and by size."""

from __future__ import annotations

from contextlib import aclosing

from sfm_core.engine.apart import MAX_BYTES_INLINE, inline_or_apart
from sfm_core.engine.expecting import not_found
from sfm_core.engine.inputs import check_count, check_namespace
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.engine.walking import pages_in
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import MEMORY, KeyRange, history_key, memory_key, successor
from sfm_core.model.memory import Memory, MemoryType
from sfm_core.model.page import Page
from sfm_core.model.record import MemoryRecord


class Listing:
    """Reads pages of memories."""

    def __init__(self, stores: Stores, truth: Truth) -> None:
        """Read from `truth`."""
        self._stores = stores
        self._truth = truth

    async def memories(
        self,
        namespace: str,
        *,
        type: MemoryType | None,
        after: Coordinate | None,
        limit: int,
        max_bytes: float,
    ) -> Page[Memory]:
        """List memories; see `MemoryEngine.memories_page`."""
        self._check(namespace, limit)
        start = MEMORY if after is None else memory_key(after) + b"\0"
        every = KeyRange(start, successor(MEMORY))
        found = _Found(limit, max_bytes)
        async with aclosing(pages_in(self._stores.kv, namespace, every)) as pages:
            async for page in pages:
                now = self._stores.clock.now()
                for key, entry in page:
                    record = self._truth.memory_record(namespace, key, entry)
                    if not record.alive(now) or type not in {None, record.type}:
                        continue
                    at = Coordinate.from_key(key[1:])
                    if not found.took(at, entry.version, record) or found.full:
                        return await self._page(namespace, found, more=True)
        return await self._page(namespace, found, more=False)

    async def history(
        self,
        namespace: str,
        coordinate: Coordinate,
        *,
        before: int | None,
        limit: int,
        max_bytes: float,
    ) -> Page[Memory]:
        """Read the versions of a memory; see `MemoryEngine.history_page`."""
        self._check(namespace, limit)
        [state] = await self._truth.memories(namespace, [coordinate])
        found = _Found(limit, max_bytes)
        record = state.record
        alive = record is not None and record.alive(self._stores.clock.now())
        if record is not None and alive and (before is None or state.version < before):
            found.took(coordinate, state.version, record)
        # What is the current version now may have become history when that is read.
        end = state.version if before is None else max(0, min(before, state.version))
        older = KeyRange(history_key(coordinate, 0), history_key(coordinate, end), reverse=True)
        async with aclosing(pages_in(self._stores.kv, namespace, older)) as pages:
            async for page in pages:
                for key, entry in page:
                    record = self._truth.memory_record(namespace, key, entry)
                    if found.full or not found.took(coordinate, entry.version, record):
                        return await self._page(namespace, found, more=True)
        if found.full:
            return await self._page(namespace, found, more=True)
        if not found.items and before is None:
            raise not_found(coordinate)
        return await self._page(namespace, found, more=False)

    async def _page(self, namespace: str, found: _Found, *, more: bool) -> Page[Memory]:
        """Decode what a page has, in a thread where that is much."""

        def decoded() -> list[Memory]:
            return [self._truth.memory(namespace, *one) for one in found.items]

        memories = await inline_or_apart(decoded, cost=found.bytes, limit=MAX_BYTES_INLINE)
        return Page(items=memories, more=more)

    def _check(self, namespace: str, limit: int) -> None:
        check_namespace(namespace)
        check_count(limit, self._stores.settings.limits.max_page, field="limit")


class _Found:
    """What a page has so far: where each memory is, its version, and what the truth says of it."""

    def __init__(self, limit: int, max_bytes: float) -> None:
        self.items: list[tuple[Coordinate, int, MemoryRecord]] = []
        self.bytes = 0
        self._limit = limit
        self._max_bytes = max_bytes

    @property
    def full(self) -> bool:
        """Whether it has as many entries as it may."""
        return len(self.items) == self._limit

    def took(self, at: Coordinate, version: int, record: MemoryRecord) -> bool:
        """Take a memory if there is room for its payload; the first always has."""
        size = self.bytes + len(record.payload)
        if self.items and size > self._max_bytes:
            return False
        self.bytes = size
        self.items.append((at, version, record))
        return True
