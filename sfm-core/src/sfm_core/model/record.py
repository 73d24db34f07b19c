"""What a value of the truth says, and its encoding as JSON.

The encoding is plain JSON in UTF-8, so that a person can read a store with
its own tools. Fields at their default are left out.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from sfm_core.model.memory import AccessStatistics, Episode, MemoryType, revision_of
from sfm_core.model.payload import JsonValue
from sfm_core.model.trace import TraceContext


class MemoryRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A memory, or what is left of it after a deletion, as the truth holds it.

    Attributes:
        payload: The JSON object, still encoded, since most steps only carry it
            along; empty in a tombstone.
        type: Kind of memory.
        importance: 0 to 1.
        created_at: Time of the first version of this life.
        updated_at: Time of this version.
        born: Version at which this life began: 1, or the one after a deletion.
            A link belongs to one life of each of its ends.
        expires_at: End of life, if any.
        episode: Course of events it belongs to, if any.
        deleted: Whether this is a tombstone. It keeps the version counting, so
            that a late reply or replay about an older version is recognised.
        trace: Where in a trace this version was written, if that was recorded.
        purged: Version through which content was removed for good: nothing up to it
            may be kept or come back. It is handed on to every later version, so
            that a copy which missed the purge learns of it from any of them.
    """

    payload: msgspec.Raw
    created_at: datetime
    updated_at: datetime
    type: MemoryType = MemoryType.EPISODIC
    importance: float = 0.5
    born: int = 1
    expires_at: datetime | None = None
    episode: Episode | None = None
    deleted: bool = False
    trace: TraceContext | None = None
    purged: int = 0

    def alive(self, now: datetime) -> bool:
        """Tell whether the memory exists at `now`: neither deleted nor expired."""
        return not self.deleted and (self.expires_at is None or self.expires_at > now)

    def revision(self, version: int) -> str:
        """Return what names this record at its version; see `revision_of`."""
        return revision_of(self.born, version, self.updated_at)


class LinkRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A link, or its tombstone, as the truth holds it.

    Attributes:
        weight: Cost of following it.
        updated_at: Time of this version.
        source_born: Life of the source that it belongs to.
        target_born: Life of the target that it belongs to.
        deleted: Whether this is a tombstone.
        trace: Where in a trace this version was written, if that was recorded.
    """

    weight: float
    updated_at: datetime
    source_born: int = 1
    target_born: int = 1
    deleted: bool = False
    trace: TraceContext | None = None


EMPTY_PAYLOAD = msgspec.Raw(b"{}")

_payload_decoder: msgspec.json.Decoder[dict[str, JsonValue]] = msgspec.json.Decoder(dict)
_memory_decoder = msgspec.json.Decoder(MemoryRecord)
_link_decoder = msgspec.json.Decoder(LinkRecord)
_access_decoder = msgspec.json.Decoder(AccessStatistics)
_encoder = msgspec.json.Encoder()


def encode_record(record: MemoryRecord | LinkRecord | AccessStatistics) -> bytes:
    """Encode a record as JSON."""
    return _encoder.encode(record)


def decode_memory(value: bytes) -> MemoryRecord:
    """Decode a memory record.

    Args:
        value: Bytes from the truth.

    Returns:
        The record.

    Raises:
        msgspec.DecodeError: The bytes are no such record; the caller knows
            which key they came from and reports them as corrupt.
    """
    return _memory_decoder.decode(value)


def decode_payload(payload: msgspec.Raw) -> dict[str, JsonValue]:
    """Decode the payload of a memory record.

    Args:
        payload: The encoded JSON object.

    Returns:
        The object.

    Raises:
        msgspec.DecodeError: The bytes are no JSON object.
    """
    return _payload_decoder.decode(payload)


def decode_link(value: bytes) -> LinkRecord:
    """Decode a link record.

    Args:
        value: Bytes from the truth.

    Returns:
        The record.

    Raises:
        msgspec.DecodeError: The bytes are no such record.
    """
    return _link_decoder.decode(value)


def decode_access(value: bytes) -> AccessStatistics:
    """Decode access statistics.

    Args:
        value: Bytes from the truth.

    Returns:
        The statistics.

    Raises:
        msgspec.DecodeError: The bytes are no such record.
    """
    return _access_decoder.decode(value)
