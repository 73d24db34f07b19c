"""Making a truth a replica: a copy that a consumer fills from events, and nobody else writes to.

A replica is never taken for a newer truth, and an engine on it takes no writes.
It ends when a truth takes over its place, which copies only what differs, or
when it is declared the truth to go on with.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from sfm_core.clock import Clock
from sfm_core.engine.catalog import distrust_derived_stores
from sfm_core.engine.locking import locked
from sfm_core.engine.manifest import Manifest, change_manifest, read_manifest
from sfm_core.engine.presence import Presence, in_use, wait_until_quiet
from sfm_core.engine.succession import LOCK
from sfm_core.errors import ConfigurationError
from sfm_core.protocols.kv import KeyValueStore


async def become_replica(
    kv: KeyValueStore, clock: Clock, owner: str, place: str, *, lease: timedelta
) -> None:
    """Make an empty truth a replica; one that is a replica stays so.

    Args:
        kv: The truth.
        clock: Source of time.
        owner: Who makes it one.
        place: How its URL begins, for messages.
        lease: How long others wait for this process where it is killed.

    Raises:
        ConfigurationError: It holds memories of its own, or a server runs on it.
        BackendError: It did not answer.
    """
    # Another consumer must not fill it before it is known to have been empty.
    async with locked(kv, clock, owner, LOCK, lease=lease):
        before = await read_manifest(kv, owner)
        if before.replica:
            return
        if not before.takes_writes or await kv.namespaces(limit=1):
            raise _not_empty(place)
        if await in_use(kv, clock):
            raise ConfigurationError(
                f"A server runs on {place}, so it cannot become a replica.",
                setting="SFM_CONSUMER_HANDLERS",
                remedy="Name a key-value store that nothing else uses.",
            )
        # What an engine may have noted of derived stores was about an empty truth.
        await distrust_derived_stores(kv, owner)
        await change_manifest(kv, owner, lambda now: _marked(now, replica=now == before))
        await wait_until_quiet(kv, clock, owner)
        if await kv.namespaces(limit=1):
            await change_manifest(kv, owner, lambda now: _marked(now, replica=False))
            raise _not_empty(place)


def replica_presence(kv: KeyValueStore, clock: Clock, owner: str, *, lease: timedelta) -> Presence:
    """Return the right of a consumer to write to a truth, for as long as that is a replica."""
    return Presence(kv, clock, owner, lease=lease, may_write=lambda manifest: manifest.replica)


def _marked(manifest: Manifest, *, replica: bool) -> Manifest:
    return msgspec.structs.replace(manifest, replica=replica)


def _not_empty(place: str) -> ConfigurationError:
    return ConfigurationError(
        f"{place} is a truth with memories of its own, and no replica.",
        setting="SFM_CONSUMER_HANDLERS",
        remedy="Name a key-value store that is empty.",
    )
