"""A dead letter as a record of Kafka.

Its key is the place that it names, and its value and first headers are those
that lay in the stream. Ours are the last ones, always as many; so headers that
came along may be called like ours. Its time is when it was set aside, however
long it took to get here. A record without a value lets a letter go.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sfm_core.errors import CorruptDataError
from sfm_core.model.keys import milliseconds_of
from sfm_core.protocols.source import DeadLetter, Rejection
from sfm_eventing_kafka._record import Addressed, Header, Received, Record

_HANDLER: Final = "sfm_dlq_handler"
_CODE: Final = "sfm_dlq_code"
_REASON: Final = "sfm_dlq_reason"
_PLACE: Final = "sfm_dlq_place"
_KEY: Final = "sfm_dlq_key"
_AT: Final = "sfm_dlq_at"
_EMPTY: Final = "sfm_dlq_null"
_OURS: Final = (_HANDLER, _CODE, _REASON, _PLACE, _KEY, _AT, _EMPTY)
_LONGEST_REASON: Final = 4096


def letter(place: str, rejection: Rejection, at: datetime, record: Record) -> Record:
    """Write a dead letter.

    Args:
        place: Where the record lies in the stream.
        rejection: Why it is set aside; of a long reason, the beginning is kept.
        at: When.
        record: What it is.

    Returns:
        What goes to the topic of the dead letters.
    """
    ours: list[Header] = [
        (_HANDLER, rejection.handler.encode()),
        (_CODE, rejection.code.encode()),
        (_REASON, rejection.reason[:_LONGEST_REASON].encode(errors="replace")),
        (_PLACE, place.encode()),
        (_KEY, record.key),
        (_AT, at.isoformat().encode()),
        (_EMPTY, b"1" if record.value is None else b""),
    ]
    headers = [*record.headers, *ours]
    return Record(place.encode(), record.value or b"", headers, milliseconds_of(at))


def farewell(place: str) -> Record:
    """Return what lets a letter go."""
    return Record(place.encode(), None, [])


def read_letter(record: Received) -> DeadLetter:
    """Read a dead letter.

    Args:
        record: What lies on the topic of the dead letters.

    Returns:
        The letter.

    Raises:
        CorruptDataError: It is none of ours.
    """
    handler, code, reason, place, _, at, _ = _ours(record)
    try:
        return DeadLetter(
            place=_text(place),
            rejection=Rejection(handler=_text(handler), code=_text(code), reason=_text(reason)),
            at=datetime.fromisoformat(_text(at)),
            value=record.value or b"",
        )
    except ValueError as error:
        raise _foreign(record) from error


def read_original(record: Received) -> Addressed:
    """Read what lay in the stream.

    Args:
        record: A letter.

    Returns:
        What it holds, and where that was.

    Raises:
        CorruptDataError: It is none of ours.
    """
    *_, place, key, _, empty = _ours(record)
    try:
        topic, _, position = _text(place).rpartition("/")
        partition = int(position.partition("@")[0])
    except ValueError as error:
        raise _foreign(record) from error
    value = None if empty else record.value
    return Addressed(topic, partition, Record(key, value, [*record.headers[: -len(_OURS)]]))


def _ours(record: Received) -> Sequence[bytes | None]:
    ours = record.headers[-len(_OURS) :]
    if tuple(name for name, _ in ours) != _OURS:
        raise _foreign(record)
    return [value for _, value in ours]


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


def _foreign(record: Received) -> CorruptDataError:
    return CorruptDataError(
        f"What lies in {record.topic}/{record.partition}@{record.offset} is no dead letter.",
        backend="kafka",
        remedy="See whether another program writes to that topic.",
    )
