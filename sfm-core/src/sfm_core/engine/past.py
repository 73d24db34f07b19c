"""What the truth held at an earlier time, as far as its history goes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import MemoryState, Truth
from sfm_core.errors import HistoryGoneError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import KeyRange, history_key
from sfm_core.protocols.kv import Entry

AT_ONCE = 50
"""Memories whose history is read in one call."""
VERSIONS = 100
"""Versions of one of them."""


class Past:
    """Finds the version of a memory that was the current one at a time."""

    def __init__(self, stores: Stores, truth: Truth) -> None:
        """Look into the history of `truth`."""
        self._stores = stores
        self._truth = truth

    async def states(
        self,
        namespace: str,
        coordinates: Sequence[Coordinate],
        present: Sequence[MemoryState],
        at: datetime,
    ) -> list[MemoryState]:
        """Return what was at coordinates at a time.

        Args:
            namespace: Where.
            coordinates: Where there.
            present: What is there now.
            at: The time.

        Returns:
            One state per coordinate, in order; that of an absent memory where none lived.

        Raises:
            HistoryGoneError: What is kept does not tell.
            BackendError: The truth did not answer.
        """
        told = await self.told(namespace, coordinates, present, at)
        states: list[MemoryState] = []
        for coordinate, state in zip(coordinates, told, strict=True):
            if state is None:
                raise _gone(coordinate, at)
            states.append(state)
        return states

    async def told(
        self,
        namespace: str,
        coordinates: Sequence[Coordinate],
        present: Sequence[MemoryState],
        at: datetime,
    ) -> list[MemoryState | None]:
        """Return what was at coordinates at a time, where that can be told.

        Args:
            namespace: Where.
            coordinates: Where there.
            present: What is there now.
            at: The time.

        Returns:
            One state per coordinate, in order; that of an absent memory where none lived,
            and `None` where what is kept does not tell.

        Raises:
            BackendError: The truth did not answer.
        """
        found: list[MemoryState | None] = list(present)
        changed = [
            place
            for place, state in enumerate(present)
            if state.record is not None and state.record.updated_at > at
        ]
        for start in range(0, len(changed), AT_ONCE):
            places = changed[start : start + AT_ONCE]
            ranges = [_before(coordinates[place], present[place].version) for place in places]
            pages = await self._stores.kv.scan(namespace, ranges, limit=VERSIONS)
            for place, page in zip(places, pages, strict=True):
                found[place] = await self._search(
                    namespace, coordinates[place], present[place], page, at
                )
        absent = MemoryState()
        return [
            state if state is None or (state.record and state.record.alive(at)) else absent
            for state in found
        ]

    async def _search(
        self,
        namespace: str,
        coordinate: Coordinate,
        later: MemoryState,
        page: list[tuple[bytes, Entry]],
        at: datetime,
    ) -> MemoryState | None:
        """Go from the newest version to the oldest, and stop at the first that is old enough."""
        while page:
            for key, entry in page:
                state = self._truth.memory_state(namespace, key, entry)
                if state.record is not None and state.record.updated_at <= at:
                    # Between a version and the one after the next there was a deletion,
                    # which is not kept: when it was is known only if it came too late to matter.
                    if later.version > state.version + 1 and state.record.alive(at):
                        return None
                    return state
                later = state
            if len(page) < VERSIONS:
                break
            rest = [_before(coordinate, later.version)]
            [page] = await self._stores.kv.scan(namespace, rest, limit=VERSIONS)
        return None if later.version > 1 else MemoryState()


def _before(coordinate: Coordinate, version: int) -> KeyRange:
    return KeyRange(history_key(coordinate, 0), history_key(coordinate, version), reverse=True)


def _gone(coordinate: Coordinate, at: datetime) -> HistoryGoneError:
    return HistoryGoneError(
        f"The history of {coordinate} does not tell what was there at {at.isoformat()}.",
        remedy="Ask for a later time, or have more versions kept with SFM_HISTORY_LIMIT.",
    )
