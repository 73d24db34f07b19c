"""Planning what the lines of an import ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

import msgspec

from sfm_core.engine.changes import Change, Planned, View
from sfm_core.engine.import_lines import Line, LinkLine, MemoryLine
from sfm_core.engine.inputs import check_episode, check_namespace
from sfm_core.engine.link_lines import BroughtLink
from sfm_core.engine.links import Linking
from sfm_core.engine.memory_commit import memory_commit
from sfm_core.engine.remember import Remembering
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import MemoryState, Truth
from sfm_core.errors import InvalidInputError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import EventType
from sfm_core.model.keys import access_key, history_key, memory_key
from sfm_core.model.memory import AccessStatistics, NewMemory
from sfm_core.model.payload import Payload, encode_payload
from sfm_core.model.record import MemoryRecord, encode_record
from sfm_core.protocols.kv import Commit, Write


@dataclass(frozen=True, slots=True, kw_only=True)
class OldVersion:
    """A version of a memory that was replaced, as a line of history describes it.

    Attributes:
        namespace: Where the memory lives.
        key: Key of the memory.
        version: The version.
        record: What it said.
    """

    namespace: str
    key: bytes
    version: int
    record: MemoryRecord


class Restoring:
    """Plans what lines of an import ask for."""

    def __init__(
        self, stores: Stores, truth: Truth, remembering: Remembering, linking: Linking
    ) -> None:
        """Plan with the parts that plan ordinary writes."""
        self._stores = stores
        self._truth = truth
        self._remembering = remembering
        self._linking = linking

    def change(self, line: Line, older: Sequence[OldVersion] = ()) -> Change:
        """Plan what a line asks for.

        Args:
            line: The line; none of history.
            older: Versions that go with it. More may be added until the change is planned.

        Returns:
            A change that writes nothing where the truth has it already; nor where its
            time is over, and then its version is 0.

        Raises:
            InvalidInputError: A value in the line is not acceptable.
        """
        check_namespace(line.namespace)
        if isinstance(line, MemoryLine) and line.episode is not None:
            check_episode(line.episode)
        if isinstance(line, LinkLine):
            return self._linking.link_change(
                line.namespace,
                _coordinate(line.from_coord, "from_coord"),
                _coordinate(line.to_coord, "to_coord"),
                line.type,
                line.weight,
                updated_at=line.updated_at,
                brought=BroughtLink(
                    version=line.version, lives=(line.from_created_at, line.to_created_at)
                ),
            )
        coordinate = _coordinate(line.coord, "coord")
        if line.version is None:
            return self._plain(line, coordinate)
        return self._exact(line, coordinate, line.version, older)

    def old_version(self, line: MemoryLine) -> OldVersion:
        """Understand a line of history.

        Args:
            line: The line.

        Returns:
            The version that it describes.

        Raises:
            InvalidInputError: A value in the line is not acceptable.
        """
        check_namespace(line.namespace)
        if line.version is None:
            raise InvalidInputError("A line of history names no version.", field="version")
        return OldVersion(
            key=memory_key(_coordinate(line.coord, "coord")),
            namespace=line.namespace,
            version=line.version,
            record=self._record(line, MemoryState(), line.version),
        )

    def _plain(self, line: MemoryLine, coordinate: Coordinate) -> Change:
        """Store as an ordinary write would, unless the same content is there already."""
        memory = NewMemory(
            coordinate=coordinate,
            payload=cast(Payload, line.payload),
            type=line.type,
            importance=line.importance,
            episode=line.episode,
        )
        stored = self._remembering.store_change(line.namespace, memory, expires_at=line.expires_at)
        encoded = encode_payload(line.payload, self._stores.settings.limits.payload)

        def plan(view: View) -> Planned:
            state = self._truth.memory_state(line.namespace, stored.keys[0], view[stored.keys[0]])
            record = state.record
            now = self._stores.clock.now()
            if _is_over(line, now):
                return Planned(commit=None, version=0)
            if (
                record is not None
                and record.alive(now)
                and bytes(record.payload) == encoded
                and record.type is line.type
                and line.importance in {None, record.importance}
                and line.episode in {None, record.episode}
                and line.expires_at in {None, record.expires_at}
            ):
                return Planned(commit=None, version=state.version)
            return stored.plan(view)

        return Change(
            namespace=line.namespace, keys=stored.keys, plan=plan, read_first=stored.read_first
        )

    def _exact(
        self, line: MemoryLine, coordinate: Coordinate, version: int, older: Sequence[OldVersion]
    ) -> Change:
        """Restore a version with all that belongs to it, unless it or a later one lives.

        A memory that was deleted since comes back, with a version above its
        deletion's. Of its history comes back what is newer than what stands
        here: so versions only go forward, and each is told in its turn.
        """
        key, access = memory_key(coordinate), access_key(coordinate)

        def plan(view: View) -> Planned:
            now = self._stores.clock.now()
            state = self._truth.memory_state(line.namespace, key, view[key])
            alive = state.record is not None and state.record.alive(now)
            if alive and state.version >= version:
                return Planned(commit=None, version=state.version)
            if _is_over(line, now):
                return Planned(commit=None, version=0)
            written = max(version, state.version + 1)
            settings = self._stores.settings
            commit = memory_commit(
                line.namespace,
                coordinate,
                state,
                self._record(line, state, written),
                history_limit=settings.history_limit,
                event=EventType.MEMORY_STORED if settings.event_log else None,
                version=written,
                at=now,
            )
            first = max(state.version + 1, written - settings.history_limit)
            kept = [old for old in older if first <= old.version < written]
            whole = _with_history(commit, coordinate, kept)
            return Planned(commit=_with_access(whole, access, line), version=written)

        return Change(namespace=line.namespace, keys=(key,), plan=plan, read_first=False)

    def _record(self, line: MemoryLine, before: MemoryState, version: int) -> MemoryRecord:
        now = self._stores.clock.now()
        lives = before.record is not None and before.record.alive(now)
        return MemoryRecord(
            payload=msgspec.Raw(encode_payload(line.payload, self._stores.settings.limits.payload)),
            type=line.type,
            importance=0.5 if line.importance is None else line.importance,
            created_at=line.created_at or now,
            updated_at=line.updated_at or now,
            born=before.record.born if lives and before.record else version,
            expires_at=line.expires_at,
            episode=line.episode,
            purged=0 if before.record is None else before.record.purged,
        )


def _is_over(line: MemoryLine, now: datetime) -> bool:
    return line.expires_at is not None and line.expires_at <= now


def _with_history(commit: Commit, coordinate: Coordinate, older: Sequence[OldVersion]) -> Commit:
    """Add older versions to the commit of a memory, and tell of them before it where it is told."""
    oldest_first = sorted(older, key=lambda old: old.version)
    writes = [
        Write(history_key(coordinate, old.version), encode_record(old.record), old.version)
        for old in oldest_first
    ]
    notes = [replace(event, version=old.version) for old in oldest_first for event in commit.events]
    return replace(commit, writes=(*writes, *commit.writes), events=(*notes, *commit.events))


def _with_access(commit: Commit, key: bytes, line: MemoryLine) -> Commit:
    if not line.access_count:
        return commit
    access = AccessStatistics(count=line.access_count, last_accessed_at=line.last_accessed_at)
    return replace(commit, writes=(*commit.writes, Write(key, encode_record(access))))


def _coordinate(value: list[float] | str, field: str) -> Coordinate:
    if isinstance(value, str):
        return Coordinate.parse(value, field=field)
    return Coordinate.of(value, field=field)
