"""What a truth says of its event log: up to where it was published, and what it has let go."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from sfm_core.errors import CorruptDataError
from sfm_core.model.events import START, Position
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, Committed, Entry, KeyValueStore, Write

_PUBLISHED = b"events/published"
_TRIMMED = b"events/trimmed"
_LEASE = timedelta(seconds=1)

MarkT = TypeVar("MarkT")


class Published(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Up to where a truth's events have been published.

    Attributes:
        position: The last event that a sink has acknowledged; `START` where none has.
        latest: The latest time of an event up to there.
        trouble: Why what follows cannot be published; "" where it can, as far
            as is known.
    """

    position: Position = START
    latest: datetime | None = None
    trouble: str = ""


class _Trimmed(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone from the log."""

    through: datetime


_NOTHING = Published()
_published = msgspec.json.Decoder(Published)
_trimmed = msgspec.json.Decoder(_Trimmed)


async def read_published(kv: KeyValueStore) -> tuple[Published, int]:
    """Read up to where a truth's events have been published.

    Args:
        kv: The truth.

    Returns:
        What it says, and the version to name when it is changed.

    Raises:
        BackendUnavailableError: The truth did not answer.
        CorruptDataError: What it says cannot be read.
    """
    entry = await _entry(kv, _PUBLISHED)
    if entry is None:
        return _NOTHING, 0
    return _decoded(kv, _published, entry), entry.version


async def write_published(
    kv: KeyValueStore, owner: str, published: Published, *, version: int
) -> bool:
    """Say up to where a truth's events have been published.

    Args:
        kv: The truth.
        owner: Who says so.
        published: What to say.
        version: The version of what was read before.

    Returns:
        Whether it was still at that version; otherwise nothing is changed.

    Raises:
        BackendUnavailableError: The truth did not answer; it may be changed all the same.
    """
    return await _write(kv, owner, _PUBLISHED, published, version)


async def trimmed_through(kv: KeyValueStore) -> datetime | None:
    """Tell which events a truth's log no longer holds.

    Args:
        kv: The truth.

    Returns:
        A time: whoever has read events only up to an earlier one may have
        missed some that are gone. `None` where nothing is.

    Raises:
        BackendUnavailableError: The truth did not answer.
        CorruptDataError: What it says cannot be read.
    """
    entry = await _entry(kv, _TRIMMED)
    return None if entry is None else _decoded(kv, _trimmed, entry).through


async def note_trimmed(kv: KeyValueStore, owner: str, through: datetime) -> None:
    """Say that events up to a time are gone; to be called before they are removed.

    Args:
        kv: The truth.
        owner: Who removes them.
        through: The latest time of an event among them.

    Raises:
        BackendUnavailableError: The truth did not answer.
        CorruptDataError: What it has said so far cannot be read.
    """
    while True:
        entry = await _entry(kv, _TRIMMED)
        if entry is not None and _decoded(kv, _trimmed, entry).through >= through:
            return
        version = entry.version if entry else 0
        if await _write(kv, owner, _TRIMMED, _Trimmed(through=through), version):
            return


async def _entry(kv: KeyValueStore, key: bytes) -> Entry | None:
    [entry] = await kv.get_many(SYSTEM_NAMESPACE, [key])
    return entry


async def _write(
    kv: KeyValueStore, owner: str, key: bytes, mark: msgspec.Struct, version: int
) -> bool:
    write = Write(key, msgspec.json.encode(mark), version + 1)
    commit = Commit(namespace=SYSTEM_NAMESPACE, writes=(write,), expect={key: version})
    [result] = await kv.commit([commit], owner=owner, lease=_LEASE)
    return isinstance(result, Committed)


def _decoded(kv: KeyValueStore, decoder: msgspec.json.Decoder[MarkT], entry: Entry) -> MarkT:
    try:
        return decoder.decode(entry.value)
    except ValueError as error:
        raise CorruptDataError(
            f"What the truth says of its event log cannot be read: {error}",
            backend=kv.scheme,
            remedy="Restore the store from a backup, or import an export into a new one.",
        ) from error
