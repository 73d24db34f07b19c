"""Reading memories by where they are."""

from __future__ import annotations

from collections.abc import Sequence

from sfm_core.engine.access import AccessRecorder
from sfm_core.engine.inputs import check_batch, check_count, check_namespace
from sfm_core.engine.remember import not_found
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.engine.walking import namespaces_of
from sfm_core.errors import InvalidCoordinateError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import HISTORY, MEMORY, KeyRange, memory_key
from sfm_core.model.memory import Memory, MemoryType
from sfm_core.model.report import Stats
from sfm_core.protocols.kv import Entry

PAGE = 256


class Reading:
    """Gets memories, their history, ranges of them and their number."""

    def __init__(self, stores: Stores, truth: Truth, access: AccessRecorder) -> None:
        """Read from `truth`; `access` counts."""
        self._stores = stores
        self._truth = truth
        self._access = access

    async def get(self, namespace: str, coordinate: Coordinate) -> Memory:
        """Read one memory; see `MemoryEngine.get`."""
        [memory] = await self.get_many(namespace, [coordinate])
        if memory is None:
            raise not_found(coordinate)
        return memory

    async def get_many(
        self, namespace: str, coordinates: Sequence[Coordinate]
    ) -> list[Memory | None]:
        """Read many memories; see `MemoryEngine.get_many`."""
        check_namespace(namespace)
        check_batch(coordinates, self._stores.settings.limits.max_batch, field="coords")
        states = await self._truth.memories(namespace, coordinates)
        now = self._stores.clock.now()
        found = [
            self._truth.memory(namespace, coordinate, state.version, state.record)
            if state.record is not None and state.record.alive(now)
            else None
            for coordinate, state in zip(coordinates, states, strict=True)
        ]
        self._access.touch(namespace, [memory.coordinate for memory in found if memory])
        return found

    async def history(self, namespace: str, coordinate: Coordinate, limit: int) -> list[Memory]:
        """Read the versions of a memory; see `MemoryEngine.history`."""
        check_namespace(namespace)
        check_count(limit, self._stores.settings.limits.max_page, field="limit")
        [state] = await self._truth.memories(namespace, [coordinate])
        older = KeyRange.prefix(HISTORY + coordinate.key, reverse=True)
        [items] = await self._stores.kv.scan(namespace, [older], limit=limit)
        versions = [self._truth.memory_state(namespace, key, entry) for key, entry in items]
        if state.record is not None and state.record.alive(self._stores.clock.now()):
            versions.insert(0, state)
        if not versions:
            raise not_found(coordinate)
        return [
            self._truth.memory(namespace, coordinate, version.version, version.record)
            for version in versions[:limit]
            if version.record is not None
        ]

    async def range(
        self,
        namespace: str,
        low: Coordinate,
        high: Coordinate,
        *,
        type: MemoryType | None,
        limit: int,
    ) -> list[Coordinate]:
        """Find the memories in a box; see `MemoryEngine.range`."""
        check_namespace(namespace)
        check_count(limit, self._stores.settings.limits.max_page, field="limit")
        _check_box(low, high)
        now = self._stores.clock.now()
        end = memory_key(high) + b"\0"
        start = memory_key(low)
        found: list[Coordinate] = []
        while start < end:
            [page] = await self._stores.kv.scan(namespace, [KeyRange(start, end)], limit=PAGE)
            for key, entry in page:
                coordinate = Coordinate.from_key(key[1:])
                if not coordinate.within(low, high):
                    continue
                record = self._truth.memory_state(namespace, key, entry).record
                if record is None or not record.alive(now):
                    continue
                if type is None or record.type is type:
                    found.append(coordinate)
                    if len(found) == limit:
                        return found
            if len(page) < PAGE:
                break
            start = _next_start(page, low, high)
        return found

    async def stats(self, namespace: str) -> Stats:
        """Count the memories of a namespace; see `MemoryEngine.stats`."""
        counters = await self._stores.kv.counters(check_namespace(namespace))
        episodic = counters.get(MemoryType.EPISODIC, 0)
        semantic = counters.get(MemoryType.SEMANTIC, 0)
        return Stats(
            total_memories=episodic + semantic,
            episodic=episodic,
            semantic=semantic,
            links=counters.get("links", 0),
        )

    async def namespaces(self) -> list[str]:
        """List all namespaces; see `MemoryEngine.namespaces`."""
        return await namespaces_of(self._stores.kv)


def _check_box(low: Coordinate, high: Coordinate) -> None:
    if len(low.components) != len(high.components):
        raise InvalidCoordinateError(
            f"min has {len(low.components)} components and max has {len(high.components)}.",
            field="max",
            remedy="Give both corners of the box the same number of components.",
        )


def _next_start(page: Sequence[tuple[bytes, Entry]], low: Coordinate, high: Coordinate) -> bytes:
    """Return where to go on after a page, leaping over what cannot be in the box.

    Keys are ordered by the first component, then the second, and so on. If the
    last key left the box at some component, the next key inside has at least
    `low` from there on (where it was below) or a larger component before it.
    """
    last = page[-1][0]
    components = Coordinate.from_key(last[1:]).components
    for at, (mine, least, most) in enumerate(
        zip(components, low.components, high.components, strict=True)
    ):
        if mine < least:
            leap = Coordinate(components[:at] + low.components[at:])
            return MEMORY + leap.key
        if mine > most:
            # All keys with this beginning are out: go to the end of the beginning.
            beginning = last[: 2 + 8 * at]
            return KeyRange.prefix(beginning).end or last + b"\0"
    return last + b"\0"
