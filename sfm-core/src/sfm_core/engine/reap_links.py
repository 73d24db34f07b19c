"""Removing the links of memories that are gone.

A link belongs to one life of each of its ends, so a reader never takes a link
of a dead memory for real. Removing it is housekeeping, done by whoever indexes
the death, or the next life where the death went by unseen, and done again by
whoever finds it undone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from sfm_core.engine.changes import Change, Planned, View
from sfm_core.engine.committer import Committer
from sfm_core.engine.follow_links import LinkFollower
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth, link_alive
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import EventNote, EventType
from sfm_core.model.keys import (
    BACKLINK,
    LINK,
    KeyRange,
    backlink_key,
    link_key,
    memory_key,
    parse_link_key,
)
from sfm_core.model.record import LinkRecord, encode_record
from sfm_core.protocols.kv import Commit, Write

PAGE = 500


class LinkReaper:
    """Removes links of dead memories from truth and graph."""

    def __init__(
        self, stores: Stores, truth: Truth, committer: Committer, links: LinkFollower
    ) -> None:
        """Reap through `committer`, and have `links` follow."""
        self._stores = stores
        self._truth = truth
        self._committer = committer
        self._links = links

    async def reap(
        self, namespace: str, dead: Sequence[Coordinate], reborn: Mapping[Coordinate, int]
    ) -> None:
        """Remove every link that starts from or leads to memories that died.

        Args:
            namespace: Where they lived.
            dead: Where each of them lived; one that lives again keeps its new links.
            reborn: Memories that live, but not for the first time, and since
                which version; links of their earlier lives are removed.

        Raises:
            BackendError: A backend failed; some links may be gone.
        """
        ranges = [
            KeyRange.prefix(kind + coordinate.key)
            for coordinate in (*dead, *reborn)
            for kind in (LINK, BACKLINK)
        ]
        while ranges:
            pages = await self._stores.kv.scan(namespace, ranges, limit=PAGE)
            found = dict.fromkeys(
                link_key(*parse_link_key(key)) for page in pages for key, _ in page
            )
            keys = await self._of_the_dead(namespace, list(found), frozenset(dead), reborn)
            for start in range(0, len(keys), PAGE):
                await self._remove(namespace, keys[start : start + PAGE])
            ranges = [
                KeyRange(page[-1][0] + b"\0", old.end)
                for old, page in zip(ranges, pages, strict=True)
                if len(page) == PAGE
            ]

    async def _of_the_dead(
        self,
        namespace: str,
        keys: Sequence[bytes],
        dead: frozenset[Coordinate],
        reborn: Mapping[Coordinate, int],
    ) -> list[bytes]:
        if not reborn:
            return list(keys)
        chosen: list[bytes] = []
        for key, state in zip(keys, await self._truth.links(namespace, keys), strict=True):
            source, _, target = parse_link_key(key)
            if dead & {source, target} or _of_earlier_life(state.record, source, target, reborn):
                chosen.append(key)
        return chosen

    async def _remove(self, namespace: str, keys: Sequence[bytes]) -> None:
        removed = await self._committer.commit_all(
            [removal(self._stores, self._truth, namespace, key, dead=True) for key in keys]
        )
        # Whoever links the same again meanwhile is not to lose the edge.
        await self._links.follow(namespace, keys)
        await self._stores.kv.acknowledge([note for one in removed for note in one.notes])


def removal(stores: Stores, truth: Truth, namespace: str, key: bytes, *, dead: bool) -> Change:
    """Plan the removal of a link.

    Args:
        stores: For clock and settings.
        truth: Decodes entries.
        namespace: Where the link is.
        key: Its key.
        dead: Whether to remove it if it has outlived one of its ends; otherwise
            it is removed if it has not.

    Returns:
        A change that writes nothing if there is no such link, or the link is not so.
    """
    source, link_type, target = parse_link_key(key)
    ends = (memory_key(source), memory_key(target))
    trace = stores.observer.here()

    def plan(view: View) -> Planned:
        now = stores.clock.now()
        state = truth.link_state(namespace, key, view[key])
        record = state.record
        if record is None or record.deleted:
            return Planned(commit=None, version=0)
        one, other = (truth.memory_state(namespace, end, view[end]).record for end in ends)
        if link_alive(record, one, other, now) == dead:
            return Planned(commit=None, version=0)
        version = state.version + 1
        tombstone = msgspec.structs.replace(record, deleted=True, updated_at=now, trace=trace)
        note = EventNote(type=EventType.LINK_DELETED, key=key, version=version, at=now)
        commit = Commit(
            namespace=namespace,
            writes=(
                Write(key, encode_record(tombstone), version),
                Write(backlink_key(source, link_type, target), None),
            ),
            counters={"links": -1},
            dirty=(key,),
            events=(note,) if stores.settings.event_log else (),
        )
        return Planned(commit=commit, version=version)

    return Change(namespace=namespace, keys=tuple(dict.fromkeys((key, *ends))), plan=plan)


def _of_earlier_life(
    record: LinkRecord | None,
    source: Coordinate,
    target: Coordinate,
    reborn: Mapping[Coordinate, int],
) -> bool:
    """Tell whether an end of a link lives on in a life that the link does not belong to."""
    return record is not None and (
        reborn.get(source, record.source_born) != record.source_born
        or reborn.get(target, record.target_born) != record.target_born
    )
