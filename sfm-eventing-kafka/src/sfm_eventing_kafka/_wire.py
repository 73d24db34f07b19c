"""An event as a record of Kafka."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from sfm_core.model.cloudevents import MEDIA_TYPE, cloudevent
from sfm_core.model.events import Event

_NAMESPACES: Final = "/namespaces/"
# Attributes that are headers, too, so that a consumer need not parse what it does not want.
_HEADERS: Final = (
    "specversion",
    "id",
    "type",
    "source",
    "subject",
    "time",
    "version",
    "dataschema",
)
_TYPE_HEADER: Final = ("content-type", MEDIA_TYPE.encode())

_encode = msgspec.json.Encoder().encode


class Record(NamedTuple):
    """What is sent."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def key_of(event: Event) -> bytes:
    """Return what decides about the partition of an event.

    All events of a memory have the same key, and so have those of the links
    that go out from it: a link never overtakes the memory it begins at.

    Args:
        event: The event.

    Returns:
        `namespace/coordinate`. A coordinate has no slash, so none is like another.
    """
    namespace = event.source.removeprefix(_NAMESPACES)
    coordinate, _, _ = event.subject.partition(">")
    return f"{namespace}/{coordinate}".encode()


def record_of(event: Event) -> Record:
    """Return an event as it is sent: CloudEvents in structured mode, its attributes as headers."""
    document = cloudevent(event)
    told = [name for name in _HEADERS if name in document]
    headers = [(f"ce_{name}", str(document[name]).encode()) for name in told]
    return Record(key_of(event), _encode(document), [_TYPE_HEADER, *headers])
