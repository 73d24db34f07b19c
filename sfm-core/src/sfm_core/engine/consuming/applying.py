"""Planning what an event means for a copy of the memory that it is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, NamedTuple, TypeAlias, TypeVar

import msgspec

from sfm_core.engine.changes import Change, Planned, View
from sfm_core.engine.events import key_of, namespace_of
from sfm_core.engine.memory_commit import memory_commit
from sfm_core.engine.truth import LinkState, MemoryState, Truth
from sfm_core.errors import ConfigurationError, CorruptDataError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import Event, EventType
from sfm_core.model.keys import MEMORY, backlink_key, history_key, parse_link_key
from sfm_core.model.memory import Episode, MemoryType
from sfm_core.model.record import EMPTY_PAYLOAD, LinkRecord, MemoryRecord, encode_record
from sfm_core.protocols.kv import Commit, Write

_BACKEND = "events"
_DELETIONS = frozenset({EventType.MEMORY_DELETED, EventType.LINK_DELETED})

_Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
_Version: TypeAlias = Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
_DataT = TypeVar("_DataT", bound="_MemoryData | _LinkData")


class _MemoryData(msgspec.Struct, frozen=True, kw_only=True):
    """What an event says of a memory; of one that is gone without payload and importance."""

    type: MemoryType
    created_at: _Moment
    updated_at: _Moment
    born: _Version
    payload: dict[str, object] | msgspec.UnsetType = msgspec.UNSET
    importance: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    expires_at: _Moment | None = None
    episode: Episode | None = None
    purged: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] = 0


class _LinkData(msgspec.Struct, frozen=True, kw_only=True):
    """What an event says of a link."""

    weight: Annotated[float, msgspec.Meta(ge=0)]
    updated_at: _Moment
    from_born: _Version
    to_born: _Version


class Applied(NamedTuple):
    """What an event means.

    Attributes:
        change: Writes nothing where the copy has it already.
        size: How many bytes of content it has.
    """

    change: Change
    size: int = 0


class Applying:
    """Plans changes of a copy, by version: what is there already, or was replaced, stays so.

    The copy is the same in whatever order events arrive, except that a memory
    whose deletion came without data is remembered by what the copy knows of it.
    """

    def __init__(self, truth: Truth, history_limit: int) -> None:
        """Plan for `truth`, which keeps `history_limit` replaced versions."""
        self._truth = truth
        self._history_limit = history_limit

    def change(self, event: Event) -> Applied | None:
        """Plan what an event means.

        Args:
            event: What happened.

        Returns:
            What is to be changed; `None` where the event does not say enough,
            because something newer happened before it was published.

        Raises:
            InvalidInputError: Namespace or subject are none.
            CorruptDataError: The data are not those of a memory or link.
            ConfigurationError: Payloads are kept out of the events.
        """
        if event.data is None and event.type not in _DELETIONS:
            return None
        namespace, key = namespace_of(event), key_of(event)
        if key[:1] == MEMORY:
            return self._memory(event, namespace, key)
        return self._link(event, namespace, key)

    def _memory(self, event: Event, namespace: str, key: bytes) -> Applied:
        coordinate = Coordinate.from_key(key[1:])
        told = _record(event)
        old_key = history_key(coordinate, event.version)

        def plan(view: View) -> Planned:
            state = self._truth.memory_state(namespace, key, view[key])
            if event.version <= state.version:
                late: Write | None = None
                if told is not None and not told.deleted and view[old_key] is None:
                    late = Write(old_key, encode_record(told), event.version)
                return self._late(namespace, late, state)
            commit = memory_commit(
                namespace,
                coordinate,
                state,
                _not_unpurged(told or _remains(event, state.record), state.record),
                history_limit=self._history_limit,
                event=None,
                version=event.version,
            )
            return Planned(commit=replace(commit, dirty=()), version=event.version)

        change = Change(namespace=namespace, keys=(key, old_key), plan=plan)
        return Applied(change, 0 if told is None else memoryview(told.payload).nbytes)

    def _late(self, namespace: str, write: Write | None, state: MemoryState) -> Planned:
        """Put a version that came late where it would be, had it come in time: into history."""
        current = state.version
        purged = 0 if state.record is None else state.record.purged
        floor = max(current - self._history_limit, purged + 1)
        if write is None or not floor <= write.version < current:
            return Planned(commit=None, version=current)
        return Planned(commit=Commit(namespace=namespace, writes=(write,)), version=current)

    def _link(self, event: Event, namespace: str, key: bytes) -> Applied:
        data = _data(event, _LinkData)

        def plan(view: View) -> Planned:
            state = self._truth.link_state(namespace, key, view[key])
            if event.version <= state.version:
                return Planned(commit=None, version=state.version)
            record = _link_record(event, data, state.record)
            commit = _link_commit(namespace, key, state, record, event.version)
            return Planned(commit=commit, version=event.version)

        return Applied(Change(namespace=namespace, keys=(key,), plan=plan))


def _record(event: Event) -> MemoryRecord | None:
    """Return the record of a memory at the version of an event; `None` where it says too little."""
    data = _data(event, _MemoryData)
    if data is None:
        return None
    if event.type in _DELETIONS:
        # What a tombstone does not keep stays at its default, to the byte.
        return MemoryRecord(
            payload=EMPTY_PAYLOAD,
            type=data.type,
            created_at=data.created_at,
            updated_at=data.updated_at,
            born=data.born,
            episode=data.episode,
            deleted=True,
            trace=event.trace,
            purged=data.purged,
        )
    if data.payload is msgspec.UNSET:
        raise ConfigurationError(
            f"The event of {event.subject} at version {event.version} has no payload, so no copy "
            "can be made of it.",
            setting="SFM_EVENTS_PAYLOAD",
            remedy="Leave that variable out on the servers, and have what was published without "
            "payloads published again with `sfm events replay`; or do without a replica.",
        )
    return MemoryRecord(
        payload=msgspec.Raw(msgspec.json.encode(data.payload)),
        type=data.type,
        importance=data.importance,
        created_at=data.created_at,
        updated_at=data.updated_at,
        born=data.born,
        expires_at=data.expires_at,
        episode=data.episode,
        trace=event.trace,
        purged=data.purged,
    )


def _not_unpurged(after: MemoryRecord, before: MemoryRecord | None) -> MemoryRecord:
    """Keep what a publisher that knows of no purges leaves out."""
    if before is None or before.purged <= after.purged:
        return after
    return msgspec.structs.replace(after, purged=before.purged)


def _remains(event: Event, before: MemoryRecord | None) -> MemoryRecord:
    """Return what is left of a memory whose deletion came without data."""
    return MemoryRecord(
        payload=EMPTY_PAYLOAD,
        type=MemoryType.EPISODIC if before is None else before.type,
        created_at=event.time if before is None else before.created_at,
        updated_at=event.time,
        born=event.version if before is None else before.born,
        episode=None if before is None else before.episode,
        deleted=True,
        trace=event.trace,
        purged=0 if before is None else before.purged,
    )


def _link_record(event: Event, data: _LinkData | None, before: LinkRecord | None) -> LinkRecord:
    deleted = event.type in _DELETIONS
    if data is None:
        # Its life does not matter any more, only that it is over and at which version.
        known = before or LinkRecord(weight=0.0, updated_at=event.time)
        return msgspec.structs.replace(
            known, updated_at=event.time, deleted=True, trace=event.trace
        )
    return LinkRecord(
        weight=data.weight,
        updated_at=data.updated_at,
        source_born=data.from_born,
        target_born=data.to_born,
        deleted=deleted,
        trace=event.trace,
    )


def _link_commit(
    namespace: str, key: bytes, before: LinkState, after: LinkRecord, version: int
) -> Commit:
    was = before.record is not None and not before.record.deleted
    gained = (not after.deleted) - was
    return Commit(
        namespace=namespace,
        writes=(
            Write(key, encode_record(after), version),
            Write(backlink_key(*parse_link_key(key)), None if after.deleted else b""),
        ),
        counters={"links": gained} if gained else {},
    )


def _data(event: Event, shape: type[_DataT]) -> _DataT | None:
    if event.data is None:
        return None
    try:
        return msgspec.convert(event.data, shape)
    except ValueError as error:
        raise CorruptDataError(
            f"The data of the event {event.id} of {event.subject} cannot be understood: {error}.",
            backend=_BACKEND,
            remedy="See which program has published it.",
        ) from error
