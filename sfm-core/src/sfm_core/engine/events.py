"""Joining logged events with the content that the truth still holds."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from sfm_core.engine.portable import link_document, memory_document
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth, link_of
from sfm_core.errors import CorruptDataError, KeyDestroyedError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import Event, EventType, LoggedEvent, event_id
from sfm_core.model.keys import (
    MEMORY,
    history_key_of,
    link_key,
    memory_key,
    parse_link_key,
)
from sfm_core.model.names import check_name
from sfm_core.model.payload import Payload
from sfm_core.model.record import EMPTY_PAYLOAD, MemoryRecord
from sfm_core.model.trace import TraceContext
from sfm_core.protocols.kv import Entry

log = logging.getLogger(__name__)

_NAMESPACES = "/namespaces/"

GROUP = 32
"""Entries whose content is read at a time; each may be as large as a payload is allowed to be."""

LARGE_GROUP = 4 * GROUP
"""The same, where those before them were so small that there is room for as many more."""

MAX_BYTES = 4 << 20
"""Content after which no more is read."""

_PAYLOAD = ("payload",)
_CONTENT = ("payload", "importance")
"""What a tombstone does not keep."""


async def materialize(stores: Stores, truth: Truth, logged: Sequence[LoggedEvent]) -> list[Event]:
    """Make events of log entries, of as many from the first as may be in memory at once.

    Args:
        stores: Where to read content.
        truth: Decodes entries.
        logged: Entries of the event log.

    Returns:
        One event per entry, in order, and less only where the content of what
        there is takes `MAX_BYTES` or more. Its data say everything that a copy
        of the memory or link at the version of the event needs, but for the
        payload where the settings keep it back; they are `None` where that
        version is no longer kept, or cannot be read, which is logged. Its time
        is when that version was written, where it is still kept.

    Raises:
        BackendError: The truth did not answer.
    """
    events: list[Event] = []
    size, count = 0, GROUP
    payloads = stores.settings.event_payloads
    while len(events) < len(logged) and size < MAX_BYTES:
        group = logged[len(events) : len(events) + count]
        entries = await _entries(stores, group)
        events += [_event(truth, event, entries, payloads=payloads) for event in group]
        size += sum(len(entry.value) for entry in entries.values() if entry)
        roomy = size * LARGE_GROUP <= (MAX_BYTES - size) * len(events)
        count = LARGE_GROUP if roomy else GROUP
    return events


async def _entries(
    stores: Stores, logged: Sequence[LoggedEvent]
) -> dict[tuple[str, bytes], Entry | None]:
    """Read what the events may be about."""
    entries: dict[tuple[str, bytes], Entry | None] = {}
    for namespace in dict.fromkeys(event.namespace for event in logged):
        keys = list(
            dict.fromkeys(
                key for event in logged if event.namespace == namespace for key in _sources(event)
            )
        )
        found = await _readable(stores, namespace, keys)
        entries.update(((namespace, key), entry) for key, entry in zip(keys, found, strict=True))
    return entries


async def _readable(
    stores: Stores, namespace: str, keys: Sequence[bytes]
) -> Sequence[Entry | None]:
    """Read entries; what nobody can read any more is as good as gone."""
    try:
        return await stores.kv.get_many(namespace, keys)
    except KeyDestroyedError as error:
        if len(keys) == 1:
            log.info("an event is told without its data: %s", error)
            return [None]
    half = len(keys) // 2
    return [
        *await _readable(stores, namespace, keys[:half]),
        *await _readable(stores, namespace, keys[half:]),
    ]


def subject(key: bytes) -> str:
    """Name a memory or link as events do: the coordinate, or `from>type>to`."""
    if key[:1] == MEMORY:
        return str(Coordinate.from_key(key[1:]))
    source, link_type, target = parse_link_key(key)
    return f"{source}>{link_type}>{target}"


def key_of(event: Event) -> bytes:
    """Return the key of the memory or link that an event is about; the inverse of `subject`.

    Args:
        event: The event.

    Returns:
        Its key in the truth.

    Raises:
        InvalidInputError: The subject names neither a memory nor a link.
    """
    if event.type in {EventType.MEMORY_STORED, EventType.MEMORY_DELETED}:
        return memory_key(Coordinate.parse(event.subject, field="subject"))
    # A link's type may have the sign too, a coordinate never.
    source, _, rest = event.subject.partition(">")
    link_type, _, target = rest.rpartition(">")
    return link_key(
        Coordinate.parse(source, field="subject"),
        check_name(link_type, field="subject"),
        Coordinate.parse(target, field="subject"),
    )


def namespace_of(event: Event) -> str:
    """Return the namespace that an event is about.

    Args:
        event: The event.

    Returns:
        The namespace.

    Raises:
        InvalidInputError: The source names none.
    """
    prefix, _, namespace = event.source.partition(_NAMESPACES)
    if prefix:
        namespace = ""
    return check_name(namespace, field="source")


def _sources(event: LoggedEvent) -> list[bytes]:
    key = event.note.key
    return [key, history_key_of(key, event.note.version)] if key[:1] == MEMORY else [key]


def _event(
    truth: Truth,
    event: LoggedEvent,
    entries: Mapping[tuple[str, bytes], Entry | None],
    *,
    payloads: bool,
) -> Event:
    note = event.note
    about = Coordinate.from_key(note.key[1:]) if note.key[:1] == MEMORY else None
    version = _version(truth, event, entries, about, payloads=payloads)
    return Event(
        id=event_id(event.namespace, note.key, note.version),
        type=note.type,
        source=f"{_NAMESPACES}{event.namespace}",
        subject=subject(note.key) if about is None else str(about),
        time=version.at if version else note.at,
        version=note.version,
        data=version.data if version else None,
        trace=version.trace if version else None,
    )


class _Version(NamedTuple):
    """What the truth still says of the version that an event is about."""

    at: datetime
    data: Payload
    trace: TraceContext | None


def _version(
    truth: Truth,
    event: LoggedEvent,
    entries: Mapping[tuple[str, bytes], Entry | None],
    about: Coordinate | None,
    *,
    payloads: bool,
) -> _Version | None:
    for key in _sources(event):
        entry = entries[event.namespace, key]
        if entry is None or entry.version != event.note.version:
            continue
        try:
            if about is None:
                return _link(truth, event, entry)
            record = truth.memory_record(event.namespace, key, entry)
            return _memory(truth, event, about, record, payloads=payloads)
        except CorruptDataError as error:
            # One entry that cannot be read must not keep everything after it from being told.
            log.error("an event is told without its data: %s", error)  # noqa: TRY400 - it says all
    return None


def _memory(
    truth: Truth, event: LoggedEvent, about: Coordinate, record: MemoryRecord, *, payloads: bool
) -> _Version | None:
    deleted = event.note.type is EventType.MEMORY_DELETED
    if record.deleted != deleted:
        return None
    if not payloads:
        record = msgspec.structs.replace(record, payload=EMPTY_PAYLOAD)
    data = memory_document(truth.memory(event.namespace, about, event.note.version, record))
    for name in _CONTENT if deleted else () if payloads else _PAYLOAD:
        del data[name]
    data["born"] = record.born
    if record.purged:
        data["purged"] = record.purged
    return _Version(record.updated_at, data, record.trace)


def _link(truth: Truth, event: LoggedEvent, entry: Entry) -> _Version | None:
    key = event.note.key
    record = truth.link_state(event.namespace, key, entry).record
    if record is None or record.deleted != (event.note.type is EventType.LINK_DELETED):
        return None
    data = link_document(event.namespace, link_of(key, entry.version, record))
    lives = {"from_born": record.source_born, "to_born": record.target_born}
    return _Version(record.updated_at, {**data, **lives}, record.trace)
