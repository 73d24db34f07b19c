"""Listing memories and versions of them, in pages that are bounded by number and by size."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from sfm_core.engine.expecting import not_found
from sfm_core.engine.inputs import check_count, check_namespace
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import MEMORY, KeyRange, history_key, memory_key, successor
from sfm_core.model.memory import Memory, MemoryType
from sfm_core.model.page import Page
from sfm_core.protocols.kv import Entry

_FIRST = 16
_MOST = 256
_AT_ONCE_BYTES = 4 * 1024 * 1024
"""Entries are read in parts of about this size, by what the entries before them took."""


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
        found = _Found(limit, max_bytes)
        async with aclosing(self._parts(namespace, KeyRange(start, successor(MEMORY)))) as parts:
            async for part in parts:
                now = self._stores.clock.now()
                for key, entry in part:
                    record = self._truth.memory_record(namespace, key, entry)
                    if not record.alive(now) or type not in {None, record.type}:
                        continue
                    if not found.has_room(len(record.payload)):
                        return found.page(more=True)
                    at = Coordinate.from_key(key[1:])
                    found.items.append(self._truth.memory(namespace, at, entry.version, record))
                    if found.full:
                        return found.page(more=True)
        return found.page(more=False)

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
            found.has_room(len(record.payload))
            found.items.append(self._truth.memory(namespace, coordinate, state.version, record))
        # What is the current version now may have become history when that is read.
        end = state.version if before is None else max(0, min(before, state.version))
        older = KeyRange(history_key(coordinate, 0), history_key(coordinate, end), reverse=True)
        async with aclosing(self._parts(namespace, older)) as parts:
            async for part in parts:
                for key, entry in part:
                    record = self._truth.memory_record(namespace, key, entry)
                    if not found.has_room(len(record.payload)):
                        return found.page(more=True)
                    found.items.append(
                        self._truth.memory(namespace, coordinate, entry.version, record)
                    )
        if found.full:
            return found.page(more=True)
        if not found.items and before is None:
            raise not_found(coordinate)
        return found.page(more=False)

    def _check(self, namespace: str, limit: int) -> None:
        check_namespace(namespace)
        check_count(limit, self._stores.settings.limits.max_page, field="limit")

    async def _parts(
        self, namespace: str, rest: KeyRange
    ) -> AsyncGenerator[list[tuple[bytes, Entry]]]:
        """Read entries in parts that take about as much memory, however large they are."""
        at_once = _FIRST
        while True:
            [part] = await self._stores.kv.scan(namespace, [rest], limit=at_once)
            if part:
                yield part
            if len(part) < at_once:
                return
            last = part[-1][0]
            rest = (
                KeyRange(rest.start, last, reverse=True)
                if rest.reverse
                else KeyRange(last + b"\0", rest.end)
            )
            size = sum(len(entry.value) for _, entry in part) // len(part)
            at_once = max(1, min(_MOST, _AT_ONCE_BYTES // max(size, 1)))


class _Found:
    """What a page has so far."""

    def __init__(self, limit: int, max_bytes: float) -> None:
        self.items: list[Memory] = []
        self._limit = limit
        self._bytes_left = max_bytes

    @property
    def full(self) -> bool:
        """Whether it has as many entries as it may."""
        return len(self.items) == self._limit

    def has_room(self, size: int) -> bool:
        """Tell whether something of a size has room; the first always has."""
        if self.full or (self.items and size > self._bytes_left):
            return False
        self._bytes_left -= size
        return True

    def page(self, *, more: bool) -> Page[Memory]:
        """Return the page."""
        return Page(items=self.items, more=more)
