"""An event as a record of Kafka, and a record as a delivery."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from sfm_core.errors import CorruptDataError
from sfm_core.model.cloudevents import MEDIA_TYPE, cloudevent, parse_cloudevent
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import Event
from sfm_core.protocols.source import Delivery
from sfm_eventing_kafka._record import Header, Received, Record
from sfm_eventing_kafka.settings import LARGEST_EVENT_BYTES

_NAMESPACES: Final = "/namespaces/"
# Attributes that are headers, too, so that a consumer need not parse what it does not want.
_HEADERS: Final = tuple(
    (name, f"ce_{name}")
    for name in ("specversion", "id", "type", "source", "subject", "time", "version", "dataschema")
)
_TYPE_HEADER: Final[Header] = ("content-type", MEDIA_TYPE.encode())

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaDelivery(Delivery):
    """A delivery with the record that it came as, which a dead letter keeps.

    Attributes:
        record: The record.
    """

    record: Received = field(repr=False, compare=False)


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
    return key_at(namespace, coordinate)


def key_at(namespace: str, coordinate: Coordinate | str) -> bytes:
    """Return the key of all events of the memory at a coordinate."""
    return f"{namespace}/{coordinate}".encode()


def record_of(event: Event) -> Record:
    """Return an event as it is sent: CloudEvents in structured mode, its attributes as headers."""
    document = cloudevent(event)
    headers: list[Header] = [_TYPE_HEADER]
    headers += [
        (header, str(document[name]).encode()) for name, header in _HEADERS if name in document
    ]
    # The record's time is that of publishing: the broker forgets by it, and an old event that is
    # published again would be forgotten at once. Its own time is among its attributes.
    return Record(key_of(event), _encode(document), headers)


def delivery_of(record: Received) -> KafkaDelivery:
    """Return a record as a delivery, whatever there is in it.

    Args:
        record: What was read.

    Returns:
        With the event; or without, and with the reason why it is none.
    """
    place = f"{record.topic}/{record.partition}@{record.offset}"
    value = record.value
    if value is None:
        return KafkaDelivery(place=place, event=None, problem="It has no value.", record=record)
    if len(value) > LARGEST_EVENT_BYTES:
        problem = f"Its {len(value)} bytes are more than an event can have."
        return KafkaDelivery(place=place, event=None, problem=problem, record=record)
    try:
        event = parse_cloudevent(_decode(value))
    except CorruptDataError as error:
        return KafkaDelivery(place=place, event=None, problem=error.message, record=record)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        problem = f"It is no JSON: {error}."
        return KafkaDelivery(place=place, event=None, problem=problem, record=record)
    return KafkaDelivery(place=place, event=event, record=record)


def record_in(delivery: Delivery) -> Record:
    """Return what a delivery came as; as a sink would have sent it, where that is not known."""
    if isinstance(delivery, KafkaDelivery):
        record = delivery.record
        return Record(record.key, record.value, [*record.headers])
    return Record(None, None, []) if delivery.event is None else record_of(delivery.event)
