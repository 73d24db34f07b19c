"""How the vector store, and the links of the dead, follow the memories in the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sfm_core.engine.drafts import Draft
from sfm_core.engine.index import Index
from sfm_core.engine.points import points_of
from sfm_core.engine.reap_links import LinkReaper
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import MemoryState, Truth
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import (
    KeyRange,
    episode_coordinate,
    episode_key,
    episode_prefix,
    memory_key,
    successor,
)
from sfm_core.model.memory import Memory
from sfm_core.model.payload import Payload
from sfm_core.protocols.kv import Entry
from sfm_core.protocols.vector import PointId

States = dict[Coordinate, MemoryState]


class OwnWrite(NamedTuple):
    """What this process has committed under a key.

    Attributes:
        entry: What stood there then.
        draft: The vector of that memory, if it was begun.
    """

    entry: Entry
    draft: Draft | None = None


class Applied(NamedTuple):
    """What was applied, and what of the truth it rests on.

    Attributes:
        namespace: Where the memories live.
        wanted: Whose points were written or removed.
        states: What the truth said of them and of those before them.
        before: Which memories were before each in its episode.
        turns: How many of them lend words.
    """

    namespace: str
    wanted: Sequence[Coordinate]
    states: Mapping[Coordinate, MemoryState]
    before: Mapping[Coordinate, Sequence[Coordinate]]
    turns: int


class MemoryFollower:
    """Makes points say what the truth says of memories."""

    def __init__(self, stores: Stores, truth: Truth, reaper: LinkReaper) -> None:
        """Follow `truth` into the vector store; `reaper` removes links of the dead."""
        self._stores = stores
        self._truth = truth
        self._reaper = reaper

    async def apply(self, namespace: str, keys: Sequence[bytes], index: Index) -> list[bytes]:
        """Apply what the truth says now.

        The memories that follow in the same episode are applied too, because
        their keyword text contains this one's.

        Args:
            namespace: Where the memories live.
            keys: Their keys.
            index: Whose points are to follow.

        Returns:
            Keys of memories that changed meanwhile and have to be applied again.

        Raises:
            BackendError: A backend failed; part of it may be applied.
        """
        return await self.unsettled(namespace, [await self.write(namespace, keys, index, {})])

    async def write(
        self, namespace: str, keys: Sequence[bytes], index: Index, own: Mapping[bytes, OwnWrite]
    ) -> Applied:
        """Apply what the truth says, without looking whether it has changed meanwhile.

        Args:
            namespace: Where the memories live.
            keys: Their keys.
            index: Whose points are to follow.
            own: What stood under keys when this process committed them; the
                others are read.

        Returns:
            What was applied, for `unsettled`.

        Raises:
            BackendError: A backend failed; part of it may be applied.
        """
        turns = len(index.rule.context_weights)
        named = [Coordinate.from_key(key[1:]) for key in keys]
        known = {
            coordinate: self._truth.memory_state(namespace, key, own[key].entry)
            for coordinate, key in zip(named, keys, strict=True)
            if key in own
        }
        drafts = {
            coordinate: draft
            for coordinate, key in zip(named, keys, strict=True)
            if key in own and (draft := own[key].draft) and draft.index is index
        }
        states = await self._read(namespace, named, known)
        before, after = await self._episode_neighbours(namespace, states, turns)
        wanted = list(dict.fromkeys([*named, *(c for near in after.values() for c in near)]))
        states = await self._read(namespace, wanted, states)
        later = {
            coordinate: states[coordinate] for coordinate in wanted if coordinate not in before
        }
        if later:
            before |= (await self._episode_neighbours(namespace, later, turns))[0]
        context = [c for near in before.values() for c in near]
        states = await self._read(namespace, context, states)
        applied = Applied(namespace, wanted, states, before, turns)
        await self._write(applied, index, drafts)
        return applied

    async def unsettled(self, namespace: str, applied: Sequence[Applied]) -> list[bytes]:
        """Look which memories have changed since they were applied, or have other neighbours.

        Args:
            namespace: Where the memories live.
            applied: What was applied to one index.

        Returns:
            Keys of memories that have to be applied again.

        Raises:
            BackendError: The truth did not answer.
        """
        changed = await self._changed(namespace, applied)
        members = {where: one.states[where] for one in applied for where in one.before}
        turns = max((one.turns for one in applied), default=0)
        before, _ = await self._episode_neighbours(namespace, members, turns)
        again = {
            where: None
            for one in applied
            for where in one.wanted
            if not changed.isdisjoint([where, *one.before.get(where, ())])
            or one.before.get(where, []) != before.get(where, [])
        }
        return [memory_key(where) for where in again]

    async def that_follow(
        self, namespace: str, places: Sequence[bytes], index: Index
    ) -> list[bytes]:
        """Find the memories that come after places in episodes, whoever is there now.

        Args:
            namespace: Where the episodes are.
            places: Episode keys.
            index: Whose rule says how far words are lent.

        Returns:
            Keys of the memories whose keyword text such a place can lend to.

        Raises:
            BackendError: The truth did not answer.
        """
        turns = len(index.rule.context_weights)
        if not turns:
            return []
        ranges = [
            KeyRange(place + b"\0", successor(place[: place.index(b"\0") + 1])) for place in places
        ]
        found = await self._stores.kv.scan(namespace, ranges, limit=turns)
        return [memory_key(episode_coordinate(key)) for items in found for key, _ in items]

    async def _read(
        self, namespace: str, coordinates: Sequence[Coordinate], known: States
    ) -> States:
        missing = [c for c in dict.fromkeys(coordinates) if c not in known]
        if not missing:
            return known
        return known | dict(
            zip(missing, await self._truth.memories(namespace, missing), strict=True)
        )

    async def _episode_neighbours(
        self, namespace: str, states: States, turns: int
    ) -> tuple[dict[Coordinate, list[Coordinate]], dict[Coordinate, list[Coordinate]]]:
        """Find, for each memory of an episode, those just before it (nearest first) and after."""
        ranges: list[KeyRange] = []
        members: list[Coordinate] = []
        for coordinate, state in states.items():
            episode = state.record.episode if state.record else None
            if episode is None:
                continue
            prefix = episode_prefix(episode.name)
            mine = episode_key(episode.name, episode.order, coordinate)
            ranges.append(KeyRange(prefix, mine, reverse=True))
            ranges.append(KeyRange(mine + b"\0", successor(prefix)))
            members.append(coordinate)
        if not ranges or not turns:
            return {}, {}
        found = await self._stores.kv.scan(namespace, ranges, limit=turns)
        near = [[episode_coordinate(key) for key, _ in items] for items in found]
        return (
            dict(zip(members, near[::2], strict=True)),
            dict(zip(members, near[1::2], strict=True)),
        )

    async def _write(
        self, applied: Applied, index: Index, drafts: Mapping[Coordinate, Draft]
    ) -> None:
        namespace, states, before = applied.namespace, applied.states, applied.before
        now = self._stores.clock.now()
        living: list[Memory] = []
        dead: list[Coordinate] = []
        reborn: dict[Coordinate, int] = {}
        for coordinate in applied.wanted:
            state = states[coordinate]
            if state.record is not None and state.record.alive(now):
                if state.record.born > 1:
                    reborn[coordinate] = state.record.born
                living.append(
                    self._truth.memory(namespace, coordinate, state.version, state.record)
                )
            else:
                dead.append(coordinate)
        payloads = {memory.coordinate: memory.payload for memory in living}
        contexts = {
            c: self._payload(namespace, c, states[c], payloads)
            for near in before.values()
            for c in near
        }
        if living:
            said = {
                where: [payload for c in near if (payload := contexts.get(c)) is not None]
                for where, near in before.items()
            }
            points = await points_of(living, index, said, drafts)
            await self._stores.vector.upsert(index.collection, points)
        if dead:
            ids = [PointId(namespace=namespace, coordinate=c) for c in dead]
            await self._stores.vector.delete(index.collection, ids)
        await self._reaper.reap(namespace, dead, reborn)

    def _payload(
        self,
        namespace: str,
        coordinate: Coordinate,
        state: MemoryState,
        decoded: Mapping[Coordinate, Payload],
    ) -> Payload | None:
        if coordinate in decoded:
            return decoded[coordinate]
        if state.record is None or not state.record.alive(self._stores.clock.now()):
            return None
        return self._truth.memory(namespace, coordinate, state.version, state.record).payload

    async def _changed(self, namespace: str, applied: Sequence[Applied]) -> set[Coordinate]:
        states = [item for one in applied for item in one.states.items()]
        wanted = list(dict.fromkeys(where for where, _ in states))
        entries = await self._truth.entries(namespace, [memory_key(where) for where in wanted])
        now = {w: entry.version if entry else 0 for w, entry in zip(wanted, entries, strict=True)}
        return {where for where, state in states if state.version != now[where]}
