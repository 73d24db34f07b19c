"""Deleting the memories that a selection picks, a part at a time.

First it is looked for what is picked, then that is deleted. Where the write has an
idempotency key, what was found first is kept under it, so that a repetition is about the
same memories, and touches none that were stored since.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from functools import partial

from sfm_core.engine.apart import MAX_BYTES_INLINE, inline_or_apart
from sfm_core.engine.changes import Change, Planned, View
from sfm_core.engine.forget import Forgetting
from sfm_core.engine.inputs import check_count, check_namespace
from sfm_core.engine.once import Once
from sfm_core.engine.purging import Purging
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.engine.walking import pages_in
from sfm_core.engine.writer import Writer
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.idempotency import IdempotencyKey, Picks
from sfm_core.model.keys import MEMORY, KeyRange, memory_key, successor
from sfm_core.model.report import Cleared
from sfm_core.model.selection import Selection
from sfm_core.protocols.kv import Entry

MAX_EXAMINED = 50_000
"""Memories that one call looks at; so its position is bounded, too, and it comes to an end."""
EXAMPLES = 20


class Clearing:
    """Looks through the truth for what a selection picks."""

    def __init__(
        self,
        stores: Stores,
        truth: Truth,
        writer: Writer,
        forgetting: Forgetting,
        purging: Purging,
    ) -> None:
        """Delete through `forgetting`, and have `purging` go over stores."""
        self._purging = purging
        self._stores = stores
        self._truth = truth
        self._writer = writer
        self._forgetting = forgetting

    async def delete_matching(
        self,
        namespace: str,
        selection: Selection,
        *,
        after: Coordinate | None,
        limit: int,
        dry_run: bool,
        purge: bool,
        key: IdempotencyKey | None,
    ) -> Cleared:
        """Delete what a selection picks; see `MemoryEngine.delete_matching`."""
        check_namespace(namespace)
        check_count(limit, MAX_EXAMINED, field="limit")
        picks = await self._look(namespace, selection, after, limit)
        removed, purged = self._writer.removed([]), None
        if not dry_run:
            asked = ("delete_matching", repr(selection), str(after), limit)
            once = Once(self._stores, key, *asked, *(("purge",) if purge else ()))
            if key is not None:
                picks = await self._first(namespace, once, picks)
            items = [(item, _coordinate(one)) for item, one in enumerate(picks.keys)]
            removed = await self._forgetting.delete_picked(
                namespace, items, selection, once, purge=purge
            )
            if purge:
                coordinates = [where for _, where in items]
                purged = await self._purging.gone_over(namespace, coordinates, removed)
        return Cleared(
            examined=picks.examined,
            matched=len(picks.keys),
            deleted=removed.count,
            examples=tuple(_coordinate(one) for one in picks.keys[:EXAMPLES]),
            position=removed.position,
            next_after=_coordinate(picks.last) if picks.last else None,
            purged=purged,
        )

    async def _look(
        self, namespace: str, selection: Selection, after: Coordinate | None, limit: int
    ) -> Picks:
        start = MEMORY if after is None else memory_key(after) + b"\0"
        examined, last = 0, b""
        picked: list[bytes] = []
        every = KeyRange(start, successor(MEMORY))
        async with aclosing(pages_in(self._stores.kv, namespace, every)) as pages:
            async for page in pages:
                looked = page[: limit - examined]
                picked += await inline_or_apart(
                    partial(self._picked, namespace, selection, looked),
                    cost=sum(len(entry.value) for _, entry in looked),
                    limit=MAX_BYTES_INLINE,
                )
                examined += len(looked)
                if examined == limit:
                    last = looked[-1][0]
                    break
        return Picks(keys=tuple(picked), examined=examined, last=last)

    async def _first(self, namespace: str, once: Once, picks: Picks) -> Picks:
        """Keep what was found, or return what was found when it was asked for first."""

        def plan(_: View) -> Planned:
            return Planned(commit=None, version=0, picks=picks)

        change = once.write(Change(namespace=namespace, keys=(), plan=plan))
        outcome = await self._writer.write(change)
        return (outcome.repeats and outcome.repeats.picks) or picks

    def _picked(
        self, namespace: str, selection: Selection, page: Sequence[tuple[bytes, Entry]]
    ) -> list[bytes]:
        now = self._stores.clock.now()
        found: list[bytes] = []
        for key, entry in page:
            record = self._truth.memory_record(namespace, key, entry)
            if record.alive(now) and self._forgetting.picks(
                namespace, _coordinate(key), record, selection
            ):
                found.append(key)
        return found


def _coordinate(key: bytes) -> Coordinate:
    return Coordinate.from_key(key[1:])
