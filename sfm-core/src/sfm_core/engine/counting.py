"""Comparing counters with what they count, while others go on writing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from sfm_core.engine.truth import Truth
from sfm_core.model.keys import LINK, MEMORY
from sfm_core.protocols.kv import Commit, KeyValueStore

MAX_TRIES = 3


class _Tally(NamedTuple):
    """What was counted, and a digest of every key and version that was seen."""

    counted: Mapping[str, int]
    digest: bytes


class Counting:
    """Finds and corrects counters that do not say what the truth holds."""

    def __init__(self, kv: KeyValueStore, *, owner: str, lease: timedelta) -> None:
        """Count in an open truth, and correct it as `owner`."""
        self._kv = kv
        self._truth = Truth(kv)
        self._owner = owner
        self._lease = lease

    async def compare(self, namespace: str, counted: Mapping[str, int], *, repair: bool) -> int:
        """Compare the counters of a namespace with what was counted.

        A scan and the counters are not read in one moment, so a difference only
        counts if two scans see the very same entries: versions only grow, so that is
        what there was when the counters were read between the two. Where writers leave
        no such moment nothing is reported, since nothing is known to be wrong. The
        correction is an addition, and so right whatever is written before it arrives.

        Args:
            namespace: Whose counters.
            counted: What a scan has counted.
            repair: Whether to correct them.

        Returns:
            How many are wrong.

        Raises:
            BackendError: The truth did not answer.
        """
        kept = await self._kv.counters(namespace)
        if not _difference(counted, kept):
            return 0
        wrong = await self._confirmed(namespace) or {}
        if repair:
            await self._add(namespace, wrong)
        return len(wrong)

    async def correct(self, namespace: str) -> bool:
        """Have the counters of a namespace say what it holds, as `compare` does.

        Args:
            namespace: Whose counters.

        Returns:
            Whether they do now; not where writers left no moment to tell.

        Raises:
            BackendError: The truth did not answer, or cannot be read.
        """
        wrong = await self._confirmed(namespace)
        if wrong is not None:
            await self._add(namespace, wrong)
        return wrong is not None

    async def _add(self, namespace: str, wrong: Mapping[str, int]) -> None:
        if wrong:
            commit = Commit(namespace=namespace, counters=wrong)
            await self._kv.commit([commit], owner=self._owner, lease=self._lease)

    async def _confirmed(self, namespace: str) -> dict[str, int] | None:
        """Return what to add to which counter; `None` where that cannot be told."""
        for _ in range(MAX_TRIES):
            one = await self._tally(namespace)
            kept = await self._kv.counters(namespace)
            if await self._tally(namespace) == one:
                return _difference(one.counted, kept)
        return None

    async def _tally(self, namespace: str) -> _Tally:
        counted: Counter[str] = Counter()
        digest = hashlib.blake2b()
        async for page in self._truth.pages(namespace, MEMORY):
            for key, entry in page:
                digest.update(key + entry.version.to_bytes(8))
                record = self._truth.memory_record(namespace, key, entry)
                counted[record.type] += not record.deleted
        async for page in self._truth.pages(namespace, LINK):
            for key, entry in page:
                digest.update(key + entry.version.to_bytes(8))
                link = self._truth.link_state(namespace, key, entry).record
                counted["links"] += link is not None and not link.deleted
        return _Tally(counted, digest.digest())


def _difference(counted: Mapping[str, int], kept: Mapping[str, int]) -> dict[str, int]:
    return {
        name: counted.get(name, 0) - kept.get(name, 0)
        for name in {*counted, *kept}
        if counted.get(name, 0) != kept.get(name, 0)
    }
