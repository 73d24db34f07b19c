"""Telling events again, from what the truth still holds of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import datetime
from itertools import dropwhile
from typing import NamedTuple

from sfm_core.engine.importing import Progress
from sfm_core.engine.presence import Presence
from sfm_core.engine.reading import Reading
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.engine.waking import Waking
from sfm_core.errors import EventsOffError
from sfm_core.model.events import EventNote, EventType
from sfm_core.model.keys import HISTORY, LINK, MEMORY, KeyRange
from sfm_core.model.names import check_name
from sfm_core.model.record import LinkRecord, MemoryRecord
from sfm_core.model.report import ReplayReport
from sfm_core.protocols.kv import Commit

AT_ONCE = 500
"""Events that are logged together."""

_MEMORIES = 50
_VERSIONS = 20


class _Version(NamedTuple):
    """What an event needs to know of a version."""

    number: int
    at: datetime
    deleted: bool


class Replaying:
    """Appends to the log what it has told already, or was never told."""

    def __init__(
        self, stores: Stores, truth: Truth, reading: Reading, presence: Presence, waking: Waking
    ) -> None:
        """Replay `truth`, writing while `presence` has the right to and waking those who read."""
        self._stores = stores
        self._truth = truth
        self._reading = reading
        self._presence = presence
        self._logged = waking.logged

    async def replay(
        self,
        since: datetime,
        namespaces: Sequence[str] | None,
        *,
        dry_run: bool,
        progress: Progress | None,
    ) -> ReplayReport:
        """Replay; see `MemoryEngine.replay_events`."""
        if not self._stores.settings.event_log:
            raise events_off()
        if namespaces is None:
            chosen = await self._reading.namespaces()
        else:
            chosen = [check_name(namespace, field="namespaces") for namespace in namespaces]
        counted = {MEMORY: 0, LINK: 0}
        for namespace in chosen:
            for kind, walk in ((MEMORY, self._memories), (LINK, self._links)):
                async for entries, notes in walk(namespace, since):
                    if not dry_run:
                        await self._append(namespace, notes)
                    counted[kind] += len(notes)
                    if progress:
                        progress(entries)
        return ReplayReport(memories=counted[MEMORY], links=counted[LINK])

    async def _memories(
        self, namespace: str, since: datetime
    ) -> AsyncGenerator[tuple[int, list[EventNote]]]:
        """Go through memories, a page at a time: how many they are, and what is to be told."""
        async for page in self._truth.pages(namespace, MEMORY):
            newest = {
                key: _version(entry.version, self._truth.memory_record(namespace, key, entry))
                for key, entry in page
            }
            changed = [key for key, version in newest.items() if version.at >= since]
            older = await self._older(namespace, [key for key in changed if newest[key].number > 1])
            notes: list[EventNote] = []
            for key in changed:
                # What has become history since the page was read comes from the page.
                before = (one for one in older.get(key, ()) if one.number < newest[key].number)
                # All from the first that is due on: a clock may have been set back meanwhile.
                due = dropwhile(lambda one: one.at < since, (*before, newest[key]))
                notes += self._notes(key, due)
            yield len(page), notes

    async def _links(
        self, namespace: str, since: datetime
    ) -> AsyncGenerator[tuple[int, list[EventNote]]]:
        """Go through links, of which there is no history."""
        async for page in self._truth.pages(namespace, LINK):
            notes: list[EventNote] = []
            for key, entry in page:
                record = self._truth.link_state(namespace, key, entry).record
                if record is not None and record.updated_at >= since:
                    notes += self._notes(key, [_version(entry.version, record)])
            yield len(page), notes

    async def _older(self, namespace: str, keys: Sequence[bytes]) -> dict[bytes, list[_Version]]:
        """Read the kept versions of memories, the oldest first."""
        found: dict[bytes, list[_Version]] = {key: [] for key in keys}
        pending = [(key, KeyRange.prefix(HISTORY + key[1:])) for key in keys]
        while pending:
            asked, pending = pending[:_MEMORIES], pending[_MEMORIES:]
            ranges = [keys for _, keys in asked]
            pages = await self._stores.kv.scan(namespace, ranges, limit=_VERSIONS)
            for (key, keys_of), page in zip(asked, pages, strict=True):
                found[key] += [
                    _version(entry.version, self._truth.memory_record(namespace, at, entry))
                    for at, entry in page
                ]
                if len(page) == _VERSIONS:
                    pending.append((key, KeyRange(page[-1][0] + b"\0", keys_of.end)))
        return found

    def _notes(self, key: bytes, versions: Iterable[_Version]) -> list[EventNote]:
        now = self._stores.clock.now()
        return [
            EventNote(type=_type(key, version), key=key, version=version.number, at=now)
            for version in versions
        ]

    async def _append(self, namespace: str, notes: Sequence[EventNote]) -> None:
        stores = self._stores
        for start in range(0, len(notes), AT_ONCE):
            commit = Commit(namespace=namespace, events=tuple(notes[start : start + AT_ONCE]))
            async with self._presence.writing():
                await stores.kv.commit([commit], owner=stores.owner, lease=stores.settings.lease)
            self._logged.ring()


def events_off() -> EventsOffError:
    """Return the error for what needs the event log where there is none."""
    return EventsOffError(
        "Events are turned off, so there is no log of them.",
        setting="EVENTING_ENABLED",
        remedy="Set EVENTING_ENABLED=true and restart; `sfm events replay` then tells of the past.",
    )


def _version(number: int, record: MemoryRecord | LinkRecord) -> _Version:
    return _Version(number, record.updated_at, record.deleted)


def _type(key: bytes, version: _Version) -> EventType:
    if key[:1] == MEMORY:
        return EventType.MEMORY_DELETED if version.deleted else EventType.MEMORY_STORED
    return EventType.LINK_DELETED if version.deleted else EventType.LINK_STORED
