"""What a process that works on an encrypted truth does about keys that are destroyed meanwhile."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from sfm_core.clock import Clock
from sfm_core.errors import SfmError
from sfm_core.protocols.kv import KeyValueStore
from sfm_server.encryption.erasing import COMMIT_PATIENCE, erase
from sfm_server.encryption.erasures import erasures, is_open
from sfm_server.encryption.ring import MasterKey
from sfm_server.encryption.watching import INTERVAL, GivenKeys

log = logging.getLogger(__name__)


class ErasureUpkeep:
    """Clears away what destroyed keys have left, where the truth notes that this is meant.

    Whoever destroys a key does it, too, and may be gone before the end; and a process whose
    file of keys comes late has written with the key after that. So each does it for what is
    still noted as open, and for whatever it could have written with itself.
    """

    def __init__(
        self, store: KeyValueStore, reader: KeyValueStore, keys: GivenKeys, clock: Clock
    ) -> None:
        """Clear away in `store`, which `reader` decrypts; do nothing before `look`."""
        self._store = store
        self._reader = reader
        self._keys = keys
        self._clock = clock
        self._mine: set[str] = set()
        self._noticed: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Begin with what is due, if nothing is under way; return at once.

        Raises:
            ConfigurationError: The keys cannot be read.
            BackendError: The store failed.
        """
        ring = await self._keys.fresh()
        self._mine |= {key.id for key in ring.keys if not key.destroyed}
        destroyed = [key for key in ring.keys if key.destroyed]
        if not destroyed or (self._task is not None and not self._task.done()):
            return
        noted = await erasures(self._store)
        due = [key for key in destroyed if key.id in noted and self._is_due(key, noted[key.id])]
        if due:
            self._task = asyncio.create_task(self._erase(due))

    async def close(self) -> None:
        """Stop; whatever is left is noted in the truth."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _is_due(self, key: MasterKey, version: int) -> bool:
        if not is_open(version) and key.id not in self._mine:
            return False
        now = self._clock.monotonic()
        since = self._noticed.setdefault(key.id, now)
        return now - since >= (INTERVAL + COMMIT_PATIENCE).total_seconds()

    async def _erase(self, keys: list[MasterKey]) -> None:
        for key in keys:
            try:
                erased = await erase(self._store, self._reader, key, self._clock)
            except SfmError as error:
                log.warning("remains of the key %r stay: %s: %s", key.id, error.code, error)
                continue
            log.info("%d entries of the key %r are gone", sum(erased.removed.values()), key.id)
            if erased.uncounted:
                log.warning("counters may be wrong; run `sfm check --repair`")
            if erased.ended:
                self._mine.discard(key.id)
                self._noticed.pop(key.id, None)
