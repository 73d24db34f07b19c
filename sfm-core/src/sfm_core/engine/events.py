"""Joining logged events with the content that the truth still holds."""

from __future__ import annotations

from collections.abc import Sequence

from sfm_core.engine.portable import link_document, memory_document
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth, link_of
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import Event, EventType, LoggedEvent, event_id
from sfm_core.model.keys import HISTORY, MEMORY, history_key, parse_link_key
from sfm_core.model.payload import Payload
from sfm_core.protocols.kv import Entry


async def materialize(stores: Stores, truth: Truth, logged: Sequence[LoggedEvent]) -> list[Event]:
    """Make events of log entries.

    Args:
        stores: Where to read content.
        truth: Decodes entries.
        logged: Entries of the event log.

    Returns:
        One event per entry, in order. Its data is the memory or link at the
        version of the event, or `None` where that version is no longer kept.

    Raises:
        BackendError: The truth did not answer.
    """
    entries: dict[tuple[str, bytes], Entry | None] = {}
    for namespace in dict.fromkeys(event.namespace for event in logged):
        keys = list(
            dict.fromkeys(
                key for event in logged if event.namespace == namespace for key in _sources(event)
            )
        )
        found = await stores.kv.get_many(namespace, keys)
        entries.update(((namespace, key), entry) for key, entry in zip(keys, found, strict=True))
    return [_event(truth, event, entries) for event in logged]


def subject(key: bytes) -> str:
    """Name a memory or link as events do: the coordinate, or `from>type>to`."""
    if key[:1] == MEMORY:
        return str(Coordinate.from_key(key[1:]))
    source, link_type, target = parse_link_key(key)
    return f"{source}>{link_type}>{target}"


def _sources(event: LoggedEvent) -> list[bytes]:
    key = event.note.key
    if key[:1] != MEMORY:
        return [key]
    return [key, history_key(Coordinate.from_key(key[1:]), event.note.version)]


def _event(
    truth: Truth, event: LoggedEvent, entries: dict[tuple[str, bytes], Entry | None]
) -> Event:
    note = event.note
    return Event(
        id=event_id(event.namespace, note.key, note.version),
        type=note.type,
        source=f"/namespaces/{event.namespace}",
        subject=subject(note.key),
        time=note.at,
        version=note.version,
        data=_data(truth, event, entries),
    )


def _data(
    truth: Truth, event: LoggedEvent, entries: dict[tuple[str, bytes], Entry | None]
) -> Payload | None:
    note = event.note
    if note.type in {EventType.MEMORY_DELETED, EventType.LINK_DELETED}:
        return None
    for key in _sources(event):
        entry = entries[event.namespace, key]
        if entry is None or entry.version != note.version:
            continue
        if key[:1] in {MEMORY, HISTORY}:
            record = truth.memory_state(event.namespace, key, entry).record
            if record is not None and not record.deleted:
                coordinate = Coordinate.from_key(note.key[1:])
                return memory_document(
                    truth.memory(event.namespace, coordinate, note.version, record)
                )
        else:
            link = truth.link_state(event.namespace, key, entry).record
            if link is not None:
                return link_document(event.namespace, link_of(key, note.version, link))
    return None
