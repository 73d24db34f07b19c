"""Notes of the truth that what a key has left behind is to be cleared away.

Each is an entry of the system namespace without a byte, which stands there whether or not
the truth is encrypted, and stays. Its version is odd as long as there is something to do.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import uuid4

from sfm_core.engine.walking import entries_of
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, KeyValueStore, Write

_PREFIX: Final = b"erase\0"
_LEASE: Final = timedelta(seconds=1)


def is_open(version: int) -> bool:
    """Tell whether a note of this version asks for something."""
    return version % 2 == 1


async def erasures(store: KeyValueStore) -> dict[str, int]:
    """Return the version of each note, by the id of the key.

    Raises:
        BackendError: The store failed.
    """
    notes = entries_of(store, SYSTEM_NAMESPACE, _PREFIX)
    return {key.removeprefix(_PREFIX).decode(): entry.version async for key, entry in notes}


async def begin_erasure(store: KeyValueStore, key_id: str) -> None:
    """Note that a key is destroyed to erase what it has encrypted.

    Raises:
        BackendError: The store failed.
    """
    version = (await erasures(store)).get(key_id, 0)
    if not is_open(version):
        await _write(store, key_id, version)


async def end_erasure(store: KeyValueStore, key_id: str) -> None:
    """Note that nothing is left of it, for now.

    Raises:
        BackendError: The store failed; what is done is done once more.
    """
    version = (await erasures(store)).get(key_id, 0)
    if is_open(version):
        await _write(store, key_id, version)


async def _write(store: KeyValueStore, key_id: str, version: int) -> None:
    key = _PREFIX + key_id.encode()
    # Where somebody else was faster, the note says what it should already.
    commit = Commit(
        namespace=SYSTEM_NAMESPACE, writes=(Write(key, b"", version + 1),), expect={key: version}
    )
    await store.commit([commit], owner=f"erasing-{uuid4()}", lease=_LEASE)
