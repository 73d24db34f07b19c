"""Letting go of versions that were kept while the limit was higher.

A write removes what its memory then keeps too much of; how much that is follows from
the limit, so it costs no read. What was kept under a higher one is looked for once, by
upkeep. The truth notes the limit that all of it is within, so nobody looks in vain.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sfm_core.engine.presence import Presence
from sfm_core.engine.stores import Stores
from sfm_core.model.keys import MEMORY, KeyRange, history_key_of
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, Entry, Write

PATIENCE: Final = timedelta(hours=1)
"""How long an engine is open before it lets go of anything. A command that somebody runs once may
have other settings than the server, and a limit that was lowered by mistake can be put right."""

PAGE = 100
PAGES_A_ROUND = 10
VERSIONS = 20
WRITES = 200

_KEY = b"history"


class Trimming:
    """Goes through the memories of a truth once, if its limit was lowered."""

    def __init__(self, stores: Stores, presence: Presence) -> None:
        """Write to the truth of `stores` while `presence` has the right to."""
        self._stores = stores
        self._presence = presence
        self._begins = stores.clock.monotonic() + PATIENCE.total_seconds()
        self._noted = False
        self._done = False
        self._passed = ""
        self._namespace = ""
        self._rest = KeyRange.prefix(MEMORY)

    async def trim(self) -> None:
        """Go on for some pages, once this engine has been open for long enough.

        Raises:
            BackendError: The truth failed; the next call goes on.
        """
        if not self._noted:
            self._done = await self._within()
            self._noted = True
        if self._done or self._stores.clock.monotonic() < self._begins:
            return
        for _ in range(PAGES_A_ROUND):
            if not await self._page():
                await self._note()
                self._done = True
                return

    async def _within(self) -> bool:
        """Tell whether nobody has kept more than this engine keeps; note that it may keep more."""
        [entry] = await self._stores.kv.get_many(SYSTEM_NAMESPACE, [_KEY])
        if entry is None or entry.version > self._mark:
            return False
        if entry.version < self._mark:
            await self._note()
        return True

    @property
    def _mark(self) -> int:
        return self._stores.settings.history_limit + 1

    async def _note(self) -> None:
        await self._write(SYSTEM_NAMESPACE, [Write(_KEY, b"", self._mark)])

    async def _page(self) -> bool:
        """Go through some memories; tell whether there were any left."""
        kv = self._stores.kv
        if not self._namespace:
            names = await kv.namespaces(after=self._passed, limit=1)
            if not names:
                return False
            self._namespace, self._rest = names[0], KeyRange.prefix(MEMORY)
        [page] = await kv.scan(self._namespace, [self._rest], limit=PAGE)
        await self._trim(self._namespace, page)
        if len(page) == PAGE:
            self._rest = KeyRange(page[-1][0] + b"\0", self._rest.end)
        else:
            self._passed, self._namespace = self._namespace, ""
        return True

    async def _trim(self, namespace: str, memories: Sequence[tuple[bytes, Entry]]) -> None:
        limit = self._stores.settings.history_limit
        ranges = [
            KeyRange(history_key_of(key, 0), history_key_of(key, entry.version - limit))
            for key, entry in memories
            if entry.version - limit > 1
        ]
        while ranges:
            pages = await self._stores.kv.scan(namespace, ranges, limit=VERSIONS)
            gone = [Write(key, None) for page in pages for key, _ in page]
            for start in range(0, len(gone), WRITES):
                await self._write(namespace, gone[start : start + WRITES])
            # What was found is gone, so the rest of a range is what is in it now.
            ranges = [
                keys for keys, page in zip(ranges, pages, strict=True) if len(page) == VERSIONS
            ]

    async def _write(self, namespace: str, writes: Sequence[Write]) -> None:
        stores = self._stores
        commit = Commit(namespace=namespace, writes=tuple(writes))
        async with self._presence.writing():
            await stores.kv.commit([commit], owner=stores.owner, lease=stores.settings.lease)
