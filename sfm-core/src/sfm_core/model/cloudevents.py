"""Events as documents of CloudEvents 1.0, the form in which they leave the house."""

from __future__ import annotations

from datetime import datetime
from typing import Final, cast
from urllib.parse import quote, unquote

from sfm_core.errors import CorruptDataError
from sfm_core.model.events import Event, EventType
from sfm_core.model.payload import JsonValue, Payload
from sfm_core.model.trace import parse_trace

SPEC_VERSION: Final = "1.0"
SCHEMA_VERSION: Final = 1
"""Version of the schemas of data; another one is another schema, beside which the old one stays."""
MEDIA_TYPE: Final = "application/cloudevents+json; charset=utf-8"


def cloudevent(event: Event) -> dict[str, JsonValue]:
    """Describe an event.

    `source` is percent-encoded, because CloudEvents wants a URI there and a
    namespace may have any character. `version` is an extension attribute, as
    are `traceparent` and `tracestate`, those of distributed tracing.

    Args:
        event: What to describe.

    Returns:
        A JSON object from which the event can be made again; where there are no data, it says
        nothing about them.
    """
    document: dict[str, JsonValue] = {
        "specversion": SPEC_VERSION,
        "id": event.id,
        "type": event.type.value,
        "source": quote(event.source, safe="/"),
        "subject": event.subject,
        "time": event.time.isoformat(),
        "version": event.version,
    }
    if event.trace is not None:
        document["traceparent"] = event.trace.parent
        if event.trace.state:
            document["tracestate"] = event.trace.state
    if event.data is not None:
        document["datacontenttype"] = "application/json"
        document["dataschema"] = f"urn:sfm:event:{event.type.value}:{SCHEMA_VERSION}"
        document["data"] = event.data
    return document


def parse_cloudevent(document: object) -> Event:
    """Make the event that a document describes.

    Attributes that this version does not know are ignored, so that a later
    one may add some.

    Args:
        document: A decoded JSON document.

    Returns:
        The event.

    Raises:
        CorruptDataError: An attribute is missing or has an impossible value.
    """
    try:
        # What is not of the type that it should be fails below.
        given = cast(dict[str, str], document)
        return Event(
            id=_text(given["id"]),
            type=EventType(given["type"]),
            source=unquote(_text(given["source"]), errors="strict"),
            subject=_text(given["subject"]),
            time=_moment(given["time"]),
            version=_whole(given["version"]),
            data=_data(given.get("data")),
            # Traces are for looking at: what is malformed is no reason to refuse an event.
            trace=parse_trace(given.get("traceparent"), given.get("tracestate")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptDataError(
            f"A document is no event of ours: {type(error).__name__} {error}.",
            backend="cloudevents",
            remedy="See whether another program writes to the same place.",
        ) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return moment


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no version")
    return value


def _data(value: object) -> Payload | None:
    if value is not None and not isinstance(value, dict):
        raise TypeError("data is no object")
    return cast("Payload | None", value)
