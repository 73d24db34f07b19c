"""Going over the stores for memories that were purged: one round after the other, with rests.

Rewriting a store takes as long for one memory as for many, or for none at all. So whatever is
asked for while a round is under way, in whatever namespace, is done together in the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, TypeAlias

from sfm_core.engine.coalescer import Coalescer
from sfm_core.engine.pace import Pace
from sfm_core.engine.scrubbing import Report, Scrubbing
from sfm_core.engine.stores import Stores
from sfm_core.model.coordinate import Coordinate

Place: TypeAlias = tuple[str, Coordinate]

Work: TypeAlias = asyncio.Future[list[Report | BaseException]]
"""What will hold a report, or an error, for each place that was handed in."""

MAX_PLACES: Final = 5_000
"""Memories for which stores are gone over at once."""


class Rounds:
    """Has `Scrubbing` go over the stores, for half of the time at most."""

    def __init__(self, stores: Stores, scrubbing: Scrubbing) -> None:
        """Go over them with `scrubbing`."""
        self._scrubbing = scrubbing
        self._pace = Pace(stores.clock)
        self._coalescer: Coalescer[Place, Report] = Coalescer(
            self._round, max_batch=MAX_PLACES, name="purge", observer=stores.observer
        )

    def hand_in(self, places: Sequence[Place]) -> Work:
        """Have the stores gone over for memories, and wait for it later or not at all.

        Args:
            places: Where they lived.

        Returns:
            What will hold a report, or an error, for each place; those of one namespace and
            round share theirs.

        Raises:
            ClosedError: The engine is closing.
        """
        return self._coalescer.hand_in(places)

    async def one_more(self, namespace: str, coordinates: Sequence[Coordinate]) -> Report:
        """Go over the stores at once, whatever is under way, for somebody who waits for it.

        Args:
            namespace: Where the memories lived.
            coordinates: Where each of them lived there, at most `MAX_PLACES`.

        Returns:
            How far each store is.
        """
        return (await self._scrubbing.scrub({namespace: coordinates}))[namespace]

    async def close(self) -> None:
        """Finish what is in hand, without rests."""
        self._pace.hurry()
        await self._coalescer.close()

    async def _round(self, places: list[Place]) -> Sequence[Report]:
        by_namespace: dict[str, dict[Coordinate, None]] = {}
        for namespace, coordinate in places:
            by_namespace.setdefault(namespace, {})[coordinate] = None
        async with self._pace.round():
            reports = await self._scrubbing.scrub(
                {namespace: list(wanted) for namespace, wanted in by_namespace.items()}
            )
        return [reports[namespace] for namespace, _ in places]
