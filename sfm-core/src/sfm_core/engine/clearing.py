"""Deleting the memories that a selection picks, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence

from sfm_core.engine.forget import Forgetting
from sfm_core.engine.inputs import check_count, check_namespace
from sfm_core.engine.positions import Positions
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.engine.walking import PAGE
from sfm_core.model.coordinate import Coordinate
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
        self, stores: Stores, truth: Truth, forgetting: Forgetting, positions: Positions
    ) -> None:
        """Delete through `forgetting`."""
        self._stores = stores
        self._truth = truth
        self._forgetting = forgetting
        self._positions = positions

    async def delete_matching(
        self,
        namespace: str,
        selection: Selection,
        *,
        after: Coordinate | None,
        limit: int,
        dry_run: bool,
    ) -> Cleared:
        """Delete what a selection picks; see `MemoryEngine.delete_matching`."""
        check_namespace(namespace)
        check_count(limit, MAX_EXAMINED, field="limit")
        start = MEMORY if after is None else memory_key(after) + b"\0"
        examined = matched = deleted = 0
        examples: list[Coordinate] = []
        notes: list[str] = []
        last = after
        more = True
        while more and examined < limit:
            asked = min(PAGE, limit - examined)
            rest = KeyRange(start, successor(MEMORY))
            [page] = await self._stores.kv.scan(namespace, [rest], limit=asked)
            picked = self._picked(namespace, selection, page)
            if picked and not dry_run:
                removed = await self._forgetting.delete_picked(namespace, picked, selection)
                deleted += removed.count
                notes += removed.position.notes
            examined += len(page)
            matched += len(picked)
            examples += picked[: EXAMPLES - len(examples)]
            more = len(page) == asked
            if page:
                last = Coordinate.from_key(page[-1][0][1:])
                start = page[-1][0] + b"\0"
        return Cleared(
            examined=examined,
            matched=matched,
            deleted=deleted,
            examples=tuple(examples),
            position=self._positions.of(notes),
            next_after=last if more else None,
        )

    def _picked(
        self, namespace: str, selection: Selection, page: Sequence[tuple[bytes, Entry]]
    ) -> list[Coordinate]:
        now = self._stores.clock.now()
        found: list[Coordinate] = []
        for key, entry in page:
            record = self._truth.memory_record(namespace, key, entry)
            at = Coordinate.from_key(key[1:])
            if record.alive(now) and self._forgetting.picks(namespace, at, record, selection):
                found.append(at)
        return found
