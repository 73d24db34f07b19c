"""Reading memories by where they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sfm_core.engine.access import AccessRecorder
from sfm_core.engine.apart import MAX_BYTES_INLINE, inline_or_apart
from sfm_core.engine.expecting import not_found
from sfm_core.engine.inputs import check_batch, check_count, check_moment, check_namespace
from sfm_core.engine.past import Past
from sfm_core.engine.portions import Portion
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import MemoryState, Truth
from sfm_core.engine.walking import namespaces_of
from sfm_core.errors import InvalidCoordinateError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import MEMORY, KeyRange, memory_key
from sfm_core.model.memory import Memory, MemoryType
from sfm_core.model.report import Stats
from sfm_core.protocols.kv import Entry


class Reading:
    """Gets memories, their history, ranges of them and their number."""

    def __init__(self, stores: Stores, truth: Truth, access: AccessRecorder) -> None:
        """Read from `truth`; `access` counts."""
        self._stores = stores
        self._truth = truth
        self._access = access
        self._past = Past(stores, truth)

    async def get(
        self, namespace: str, coordinate: Coordinate, as_of: datetime | None = None
    ) -> Memory:
        """Read one memory; see `MemoryEngine.get`."""
        if as_of is not None:
            return await self._get_as_of(namespace, coordinate, as_of)
        [memory] = await self.get_many(namespace, [coordinate])
        if memory is None:
            raise not_found(coordinate)
        return memory

    async def _get_as_of(self, namespace: str, coordinate: Coordinate, as_of: datetime) -> Memory:
        check_namespace(namespace)
        check_moment(as_of, field="as_of")
        present = await self._truth.memories(namespace, [coordinate])
        [state] = await self._past.states(namespace, [coordinate], present, as_of)
        if state.record is None:
            raise not_found(coordinate)
        return self._truth.memory(namespace, coordinate, state.version, state.record)

    async def get_many(
        self, namespace: str, coordinates: Sequence[Coordinate]
    ) -> list[Memory | None]:
        """Read many memories; see `MemoryEngine.get_many`."""
        check_namespace(namespace)
        check_batch(coordinates, self._stores.settings.limits.max_batch, field="coords")
        states = await self._truth.memories(namespace, coordinates)
        now = self._stores.clock.now()

        def decoded() -> list[Memory | None]:
            return [
                self._truth.memory(namespace, coordinate, state.version, state.record)
                if state.record is not None and state.record.alive(now)
                else None
                for coordinate, state in zip(coordinates, states, strict=True)
            ]

        size = sum(len(state.record.payload) for state in states if state.record is not None)
        found = await inline_or_apart(decoded, cost=size, limit=MAX_BYTES_INLINE)
        self._access.touch(namespace, [memory.coordinate for memory in found if memory])
        return found

    async def range(
        self,
        namespace: str,
        low: Coordinate,
        high: Coordinate,
        *,
        type: MemoryType | None,
        after: Coordinate | None,
        limit: int,
        as_of: datetime | None = None,
    ) -> list[Coordinate]:
        """Find the memories in a box; see `MemoryEngine.range`."""
        check_namespace(namespace)
        check_count(limit, self._stores.settings.limits.max_page, field="limit")
        _check_box(low, high)
        if as_of is not None:
            check_moment(as_of, field="as_of")
        end = memory_key(high) + b"\0"
        start = memory_key(low)
        if after is not None:
            start = max(start, memory_key(after) + b"\0")
        found: list[Coordinate] = []
        portion = Portion()
        while start < end:
            asked = portion.size
            [page] = await self._stores.kv.scan(namespace, [KeyRange(start, end)], limit=asked)
            portion.took([len(entry.value) for _, entry in page])
            inside = [
                (coordinate, self._truth.memory_state(namespace, key, entry))
                for key, entry in page
                if (coordinate := Coordinate.from_key(key[1:])).within(low, high)
            ]
            found += await self._living(namespace, inside, type, as_of)
            if len(page) < asked or len(found) >= limit:
                break
            start = _next_start(page, low, high)
        return found[:limit]

    async def _living(
        self,
        namespace: str,
        places: Sequence[tuple[Coordinate, MemoryState]],
        type: MemoryType | None,
        as_of: datetime | None,
    ) -> list[Coordinate]:
        """Return where a memory of a type lives, or lived at a time."""
        coordinates, states = [at for at, _ in places], [state for _, state in places]
        if as_of is not None:
            states = await self._past.states(namespace, coordinates, states, as_of)
        moment = self._stores.clock.now() if as_of is None else as_of
        return [
            coordinate
            for coordinate, state in zip(coordinates, states, strict=True)
            if (record := state.record) is not None
            and record.alive(moment)
            and type in {None, record.type}
        ]

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

    async def namespaces(self, *, after: str = "", limit: int | None = None) -> list[str]:
        """List namespaces; see `MemoryEngine.namespaces`."""
        if limit is None:
            return await namespaces_of(self._stores.kv, after=after)
        check_count(limit, self._stores.settings.limits.max_page, field="limit")
        return await self._stores.kv.namespaces(after=after, limit=limit)


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
