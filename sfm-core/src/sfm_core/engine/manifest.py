"""What a truth says of itself: its format, and its name among all truths."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import msgspec

from sfm_core.errors import ConfigurationError, CorruptDataError
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, Committed, Entry, KeyValueStore, Write

FORMAT = 1
"""Grows when the meaning of keys or records changes."""

_KEY = b"manifest"
_LEASE = timedelta(seconds=1)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a truth says of itself.

    Attributes:
        format: Format of keys and records.
        truth_id: Tells this truth from every other one.
    """

    format: int = FORMAT
    truth_id: str


_decoder = msgspec.json.Decoder(Manifest)


async def read_manifest(kv: KeyValueStore, owner: str) -> Manifest:
    """Read the manifest; an empty truth gets one.

    Args:
        kv: The truth.
        owner: Who asks.

    Returns:
        The manifest.

    Raises:
        ConfigurationError: The truth was written by a newer release.
        CorruptDataError: The manifest cannot be read.
    """
    entry = await _entry(kv)
    while entry is None:
        fresh = Manifest(truth_id=str(uuid4()))
        if await _write(kv, fresh, 0, owner):
            return fresh
        entry = await _entry(kv)
    return _decode(kv, entry)


async def _entry(kv: KeyValueStore) -> Entry | None:
    [entry] = await kv.get_many(SYSTEM_NAMESPACE, [_KEY])
    return entry


async def _write(kv: KeyValueStore, manifest: Manifest, version: int, owner: str) -> bool:
    write = Write(_KEY, msgspec.json.encode(manifest), version + 1)
    commit = Commit(namespace=SYSTEM_NAMESPACE, writes=(write,), expect={_KEY: version})
    [result] = await kv.commit([commit], owner=owner, lease=_LEASE)
    return isinstance(result, Committed)


def _decode(kv: KeyValueStore, entry: Entry) -> Manifest:
    try:
        manifest = _decoder.decode(entry.value)
    except ValueError as error:
        raise CorruptDataError(
            f"The manifest of the truth cannot be read: {error}",
            backend=kv.scheme,
            remedy="Restore the store from a backup, or import an export into a new one.",
        ) from error
    if manifest.format > FORMAT:
        raise ConfigurationError(
            f"The data was written in format {manifest.format}; this release knows {FORMAT}.",
            remedy="Start the newer release that wrote it.",
        )
    return manifest
