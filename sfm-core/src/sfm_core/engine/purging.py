"""Purging memories: their content goes, from every store, for good.

The commit that deletes a memory also removes its history and notes that there is
something left to do, so that it is done whoever dies meanwhile. All stores are gone over
at once, and once more in the second round.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from sfm_core.engine.changes import Change
from sfm_core.engine.coalescer import all_or_raise
from sfm_core.engine.forget import Forgetting
from sfm_core.engine.inputs import check_batch, check_expected, check_namespace
from sfm_core.engine.memory_commit import PURGE_PAUSE
from sfm_core.engine.once import Once
from sfm_core.engine.rounds import MAX_PLACES, Place, Rounds, Work
from sfm_core.engine.scrubbing import Report
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.engine.writer import Writer
from sfm_core.errors import ClosedError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.idempotency import IdempotencyKey, digest_of_request
from sfm_core.model.keys import PURGE, KeyRange, purged_coordinate
from sfm_core.model.precondition import Precondition
from sfm_core.model.purge import Purged, PurgeState, StorePurge, least_far
from sfm_core.model.report import Removed

_KEPT: Final = 1_000
"""Purges whose reports are kept until somebody has heard them."""

_LATER: Report = (
    StorePurge(
        store="all",
        state=PurgeState.PENDING,
        detail="Going over the stores takes long, and goes on. Ask again for the report.",
    ),
)


class Purging:
    """Purges memories, and finishes what was begun."""

    def __init__(
        self,
        stores: Stores,
        truth: Truth,
        forgetting: Forgetting,
        writer: Writer,
        rounds: Rounds,
    ) -> None:
        """Write through `writer`, and go over the stores in `rounds`."""
        self._stores = stores
        self._truth = truth
        self._forgetting = forgetting
        self._writer = writer
        self._rounds = rounds
        self._unheard: OrderedDict[bytes, Work] = OrderedDict()

    async def purge(
        self,
        namespace: str,
        coordinate: Coordinate,
        expected_version: int | None,
        *,
        precondition: Precondition | None,
        key: IdempotencyKey | None,
    ) -> Purged:
        """Purge one memory; see `MemoryEngine.purge`."""
        check_namespace(namespace)
        check_expected(expected_version)
        change = self._forgetting.deletion(
            namespace, coordinate, expected_version, purge=True, precondition=precondition
        )
        once = Once(self._stores, key, "purge", str(coordinate), expected_version, precondition)
        return await self._purge(namespace, [coordinate], [once.write(change)])

    async def purge_many(
        self, namespace: str, coordinates: Sequence[Coordinate], key: IdempotencyKey | None
    ) -> Purged:
        """Purge many memories; see `MemoryEngine.purge_many`."""
        check_namespace(namespace)
        check_batch(coordinates, self._stores.settings.limits.max_batch, field="coords")
        once = Once(self._stores, key, "purge_many", *(map(str, coordinates) if key else ()))
        changes = [
            once.item(self._forgetting.deletion(namespace, coordinate, None, purge=True), at)
            for at, coordinate in enumerate(coordinates)
        ]
        return await self._purge(namespace, list(dict.fromkeys(coordinates)), changes)

    async def finish(self, namespace: str) -> Purged:
        """Go over the stores for all that was purged; see `MemoryEngine.finish_purges`."""
        check_namespace(namespace)
        reports: list[Report] = []
        rest, more = KeyRange.prefix(PURGE), True
        while more:
            # What is noted is left noted: it is gone over at its time all the same.
            [page] = await self._stores.kv.scan(namespace, [rest], limit=MAX_PLACES)
            coordinates = list(dict.fromkeys(purged_coordinate(key) for key, _ in page))
            reports.append(await self._rounds.one_more(namespace, coordinates))
            more = len(page) == MAX_PLACES
            if more:
                rest = KeyRange(page[-1][0] + b"\0", rest.end)
        return Purged(
            count=0,
            position=self._writer.removed([]).position,
            stores=least_far(reports),
            again_at=self._stores.clock.now() + PURGE_PAUSE,
        )

    async def _purge(
        self, namespace: str, coordinates: Sequence[Coordinate], changes: Sequence[Change]
    ) -> Purged:
        outcomes = await self._writer.write_all(changes)
        return await self.gone_over(namespace, coordinates, self._writer.removed(outcomes))

    async def gone_over(
        self, namespace: str, coordinates: Sequence[Coordinate], removed: Removed
    ) -> Purged:
        """Have all stores gone over for memories whose purge the truth has committed.

        Args:
            namespace: Where they lived.
            coordinates: Where each of them lived there.
            removed: What the truth has removed of them.

        Returns:
            What the purge has done, as far as it got in the time that a caller waits.

        Raises:
            BaseException: Whatever going over a store raised that is no error of this project.
        """
        return Purged(
            count=removed.count,
            position=removed.position,
            stores=await self._gone_over(namespace, coordinates),
            again_at=self._stores.clock.now() + PURGE_PAUSE,
        )

    async def _gone_over(self, namespace: str, coordinates: Sequence[Coordinate]) -> Report:
        """Go over the stores, and wait for it as long as for an index.

        Whoever asks again is answered by what was asked for before, if nobody has heard of that
        yet: else where rounds take long nobody would ever hear how one ended.
        """
        places = [(namespace, coordinate) for coordinate in coordinates]
        try:
            asked = await self._asked(namespace, coordinates)
            work = self._unheard.get(asked) or self._hand_in(asked, places)
        except ClosedError:
            return _LATER
        await asyncio.wait([work], timeout=self._stores.settings.index_wait.total_seconds())
        if not work.done():
            return _LATER
        if self._unheard.get(asked) is work:
            del self._unheard[asked]
        # Those of one batch share their report.
        reports = {id(report): report for report in all_or_raise(work.result())}
        return least_far(reports.values())

    async def _asked(self, namespace: str, coordinates: Sequence[Coordinate]) -> bytes:
        """Tell these purges from others, and from later ones of the same memories."""
        states = await self._truth.memories(namespace, coordinates)
        purged = [state.record.purged if state.record else 0 for state in states]
        return digest_of_request(namespace, *map(str, coordinates), *purged)

    def _hand_in(self, asked: bytes, places: Sequence[Place]) -> Work:
        work = self._rounds.hand_in(places)
        self._unheard[asked] = work
        if len(self._unheard) > _KEPT:
            self._unheard.popitem(last=False)
        return work
