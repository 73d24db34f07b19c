"""What a truth says of itself: its format, and its place among other truths."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import msgspec

from sfm_core.errors import ConfigurationError, CorruptDataError, EncryptionKeyError
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.model.sealed import sealed_with
from sfm_core.protocols.kv import Commit, Committed, Entry, KeyValueStore, Write

FORMAT = 1
"""Grows when the meaning of keys or records changes."""

_KEY = b"manifest"
_LEASE = timedelta(seconds=1)


class Successor(msgspec.Struct, frozen=True, kw_only=True):
    """The truth that took over from another one.

    Attributes:
        truth_id: Which truth.
        epoch: Its epoch from then on.
        place: How its URL began, for messages; without credentials.
    """

    truth_id: str
    epoch: int
    place: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a truth says of itself.

    Attributes:
        format: Format of keys and records.
        truth_id: Tells this truth from every other one.
        epoch: Grows each time the truth takes over from another.
        lineage: Which truths it holds everything of: the epoch of each, by id.
        superseded_by: The truth that has taken over, or is about to; `None`
            while this one takes writes.
        passed_over: Truths that it was told to go on without: the epoch of each, by id.
        taking_over: The id of the truth whose content is on its way here.
        taker: The process that brings it, and that alone may say that it has all come.
        replica: Whether a consumer fills it from events, and nobody else writes.
    """

    format: int = FORMAT
    truth_id: str
    epoch: int = 1
    lineage: dict[str, int] = {}
    passed_over: dict[str, int] = {}
    superseded_by: Successor | None = None
    taking_over: str | None = None
    taker: str = ""
    replica: bool = False

    @property
    def takes_writes(self) -> bool:
        """Whether engines may write: nothing took over, is copied here, or is replicated here."""
        return self.superseded_by is None and self.taking_over is None and not self.replica


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
        EncryptionKeyError: The truth is encrypted, and there are no keys.
        CorruptDataError: The manifest cannot be read.
    """
    entry = await _entry(kv)
    while entry is None:
        fresh = Manifest(truth_id=str(uuid4()))
        if await _write(kv, fresh, 0, owner):
            return fresh
        entry = await _entry(kv)
    return _decode(kv, entry)


async def peek_manifest(kv: KeyValueStore) -> Manifest | None:
    """Read the manifest, if there is one; an empty truth stays empty.

    Args:
        kv: The truth.

    Returns:
        The manifest; `None` where no engine has worked on this truth yet.

    Raises:
        ConfigurationError: The truth was written by a newer release.
        EncryptionKeyError: The truth is encrypted, and there are no keys.
        CorruptDataError: The manifest cannot be read.
    """
    entry = await _entry(kv)
    return None if entry is None else _decode(kv, entry)


async def change_manifest(
    kv: KeyValueStore, owner: str, change: Callable[[Manifest], Manifest]
) -> Manifest:
    """Change what a truth says of itself, in one step that no other change comes between.

    Args:
        kv: The truth.
        owner: Who changes it.
        change: Makes the new manifest of the present one; may be called again.

    Returns:
        The manifest as it is then.

    Raises:
        ConfigurationError: The truth was written by a newer release.
        EncryptionKeyError: The truth is encrypted, and there are no keys.
        CorruptDataError: The manifest cannot be read.
    """
    while True:
        entry = await _entry(kv)
        if entry is None:
            await read_manifest(kv, owner)
            continue
        manifest = _decode(kv, entry)
        changed = change(manifest)
        if changed == manifest or await _write(kv, changed, entry.version, owner):
            return changed


async def _entry(kv: KeyValueStore) -> Entry | None:
    [entry] = await kv.get_many(SYSTEM_NAMESPACE, [_KEY])
    return entry


async def _write(kv: KeyValueStore, manifest: Manifest, version: int, owner: str) -> bool:
    write = Write(_KEY, msgspec.json.encode(manifest), version + 1)
    commit = Commit(namespace=SYSTEM_NAMESPACE, writes=(write,), expect={_KEY: version})
    [result] = await kv.commit([commit], owner=owner, lease=_LEASE)
    return isinstance(result, Committed)


def _decode(kv: KeyValueStore, entry: Entry) -> Manifest:
    key_id = sealed_with(entry.value)
    if key_id is not None:
        raise EncryptionKeyError(
            f"The truth is encrypted, with the key {key_id!r}, and no keys were given.",
            backend=kv.scheme,
            key_id=key_id,
            remedy="Set SFM_ENCRYPTION_KEYS_FILE to the file that has this key.",
        )
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
