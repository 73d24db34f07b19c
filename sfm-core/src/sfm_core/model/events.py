"""Events: what happened to a memory or a link, as others are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha1
from types import MappingProxyType
from typing import Final, NewType
from uuid import UUID

from sfm_core.model.payload import Payload
from sfm_core.model.trace import TraceContext

_EVENTS: Final = UUID("4f0c4b3e-7d51-5d0a-9c39-6f3f0f6a5be2").bytes
_VARIANTS: Final = "89ab"

Position = NewType("Position", str)
"""Place in a truth's event log. Opaque: only the store that made it can order it."""

START = Position("")
"""The position before the first event of any log."""


class EventType(StrEnum):
    """What happened."""

    MEMORY_STORED = "memory.stored"
    MEMORY_DELETED = "memory.deleted"
    LINK_STORED = "link.stored"
    LINK_DELETED = "link.deleted"


EVENT_TYPES: Final[Mapping[str, EventType]] = MappingProxyType({t.value: t for t in EventType})
"""The types by their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventNote:
    """One entry of the event log, without content.

    The log names what changed and to which version; the content stays in the
    truth alone and is joined when the event is read. So the log costs little,
    and a memory that is forgotten leaves nothing behind in it.

    Attributes:
        type: What happened.
        key: Key of the entry that changed.
        version: The entry's version after the change.
        at: When it was logged: when it happened, or when an older version was
            restored or told again.
    """

    type: EventType
    key: bytes
    version: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """An entry of the event log as it is read back.

    Attributes:
        position: Its place in the log.
        namespace: Namespace of the entry that changed.
        note: What happened.
    """

    position: Position
    namespace: str
    note: EventNote


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event as it is published: the attributes of CloudEvents 1.0.

    Attributes:
        id: The same for every publication of the same change.
        type: What happened.
        source: `/namespaces/<namespace>`.
        subject: The coordinate, or `from>type>to` of a link.
        time: When that version was written.
        version: Version of the memory or link after the change.
        data: The memory or link at that version, or what is left of it after a
            deletion; `None` where it was replaced since and is no longer kept.
        trace: Where in a trace that version was written, if that was recorded
            and the version is still kept.
    """

    id: str
    type: EventType
    source: str
    subject: str
    time: datetime
    version: int
    data: Payload | None
    trace: TraceContext | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedEvent:
    """An event as it is read from the log of a truth.

    Attributes:
        position: Where to read on after it. Opaque, and of this truth only.
        event: What happened.
    """

    position: str
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """A part of the event log.

    Attributes:
        events: What happened, in order; may be empty.
        position: Where to read on after it. It moves on also where none of
            the events were asked for.
        more: Whether there was more when it was read.
    """

    events: tuple[PlacedEvent, ...]
    position: str
    more: bool


def event_id(namespace: str, key: bytes, version: int) -> str:
    """Derive the id of an event from what it is about, so that a duplicate is recognisable.

    Args:
        namespace: Where the entry is.
        key: Key of the entry that changed.
        version: The version that it has since.

    Returns:
        A UUID of version 5, as RFC 9562 (section 5.5) makes it of a name.
    """
    name = f"{namespace}\0{key.hex()}\0{version}".encode()
    digest = sha1(_EVENTS + name, usedforsecurity=False).hexdigest()
    # `uuid.uuid5` takes three times as long, for every event that is told.
    variant = _VARIANTS[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"
