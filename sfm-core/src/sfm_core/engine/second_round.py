"""The second round of purges: stores are gone over once more when `PURGE_PAUSE` is over.

A write that was under way when its memory was purged may have reached a derived store behind
the purge. That there is something left to do is noted in the truth, so that whoever lives
then does it. The sweeper takes up what is due; the work goes on beside other upkeep.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from sfm_core.engine.changes import Change, Planned, View
from sfm_core.engine.coalescer import all_or_raise
from sfm_core.engine.committer import Committer
from sfm_core.engine.memory_commit import PURGE_PAUSE
from sfm_core.engine.rounds import MAX_PLACES, Rounds, Work
from sfm_core.engine.stores import Stores
from sfm_core.errors import SfmError
from sfm_core.model.keys import due_purges, purge_key, purged_coordinate
from sfm_core.model.purge import PurgeState
from sfm_core.protocols.kv import Commit, Write

log = logging.getLogger(__name__)

PAGE: Final = 500
_RENEWAL: Final = PURGE_PAUSE / 3
"""How often what a round is about is put off while it is under way."""
_MOMENT: Final = 1.0
"""Seconds that other upkeep waits for a round, which may take as long as rewriting everything."""


class SecondRound:
    """Goes over the stores for purges that are due, those of many namespaces at once."""

    def __init__(self, stores: Stores, committer: Committer, rounds: Rounds) -> None:
        """Go over them in `rounds`; change notes through `committer`."""
        self._stores = stores
        self._committer = committer
        self._rounds = rounds
        self._taken: dict[str, list[bytes]] = {}
        self._work: asyncio.Task[None] | None = None

    async def take(self, namespace: str) -> None:
        """Take up what is due in a namespace; nothing while the last round is under way.

        Args:
            namespace: Where to look.

        Raises:
            BackendError: The truth did not answer; what is to be done stays noted.
        """
        # As it was at first: what is put off must not be due again before all is taken up.
        now = self._stores.clock.now()
        while self._work is None:
            room = MAX_PLACES - sum(map(len, self._taken.values()))
            if room <= 0:
                return
            limit = min(PAGE, room)
            [page] = await self._stores.kv.scan(namespace, [due_purges(now)], limit=limit)
            if not page:
                return
            # Put off first: others, and this engine if it fails, come back to them only then.
            later = await self._put_off(namespace, [key for key, _ in page])
            if not later:
                return
            self._taken.setdefault(namespace, []).extend(later)

    async def begin(self) -> None:
        """Have the stores gone over for what was taken up, and wait for it a moment only."""
        if self._taken:
            taken, self._taken = self._taken, {}
            self._work = asyncio.create_task(self._go_over(taken))
            await asyncio.wait([self._work], timeout=_MOMENT)

    async def close(self) -> None:
        """Finish what was begun, and the rounds."""
        await self._rounds.close()
        if self._work is not None:
            await asyncio.wait([self._work])

    async def _go_over(self, taken: dict[str, list[bytes]]) -> None:
        try:
            places = [
                (namespace, purged_coordinate(key))
                for namespace in taken
                for key in taken[namespace]
            ]
            work = self._rounds.hand_in(places)
            await self._keep_others_away(taken, work)
            reports = all_or_raise(work.result())
            left = {
                namespace
                for (namespace, _), report in zip(places, reports, strict=True)
                if any(store.state is PurgeState.PENDING for store in report)
            }
            done = {name: keys for name, keys in taken.items() if name not in left}
            changes = [_replacing(namespace, keys, []) for namespace, keys in done.items()]
            await self._committer.commit_all(changes)
        except SfmError as error:
            log.warning("purges are finished later: %s: %s", error.code, error)
        except Exception:  # nobody waits for this to tell; what is left is noted, and due again
            log.exception("purges are finished later")
        finally:
            self._work = None

    async def _keep_others_away(self, taken: dict[str, list[bytes]], work: Work) -> None:
        """Put off what a round is about again and again until it ends, however long it takes.

        Another engine would begin with the same, and what this one has done would not count.
        """
        while not work.done():
            pause = asyncio.ensure_future(self._stores.clock.sleep(_RENEWAL))
            first: list[Work | asyncio.Future[None]] = [work, pause]
            try:
                await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            finally:
                pause.cancel()
            if not work.done():
                await self._put_all_off(taken)

    async def _put_all_off(self, taken: dict[str, list[bytes]]) -> None:
        for namespace, keys in taken.items():
            try:
                taken[namespace] = await self._put_off(namespace, keys) or keys
            except SfmError as error:
                log.warning("others may go over the same: %s: %s", error.code, error)

    async def _put_off(self, namespace: str, keys: Sequence[bytes]) -> list[bytes]:
        """Note later times for what is noted; return the notes, none if another was faster."""
        due = self._stores.clock.now() + PURGE_PAUSE
        later = list(dict.fromkeys(purge_key(due, purged_coordinate(key)) for key in keys))
        written = await self._committer.commit(_replacing(namespace, keys, later))
        return later if written.version else []


def _replacing(namespace: str, old: Sequence[bytes], new: Sequence[bytes]) -> Change:
    """Plan other notes in place of some; nothing where another engine was faster."""

    def plan(view: View) -> Planned:
        if any(view[key] is None for key in old):
            return Planned(commit=None, version=0)
        writes = (
            *(Write(key, None) for key in old),
            *(Write(key, b"") for key in new),
        )
        return Planned(commit=Commit(namespace=namespace, writes=writes), version=1)

    return Change(namespace=namespace, keys=tuple(old), plan=plan)
