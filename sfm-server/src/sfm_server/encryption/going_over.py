"""Having every store let go of what a destroyed key had encrypted, as for a purge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sfm_core.errors import SfmError
from sfm_core.model.purge import PurgeState, StorePurge, least_far
from sfm_server.assembly import open_selection
from sfm_server.selection import Selection

_OTHERS_WILL: Final = "A server on this truth goes over its stores within minutes."


async def go_over(selection: Selection, namespaces: Sequence[str]) -> tuple[StorePurge, ...]:
    """Go over every store for the memories that the truth notes as removed.

    Args:
        selection: The stores.
        namespaces: Where the memories lived.

    Returns:
        How far each store is. Where the stores cannot be opened, because a server has
        them for itself or one is down, that is what is told: the key is destroyed by then,
        and what is left to do is noted in the truth.
    """
    try:
        async with open_selection(selection, decides=False) as memory:
            await memory.engine.follow_up()
            reports = [
                (await memory.engine.finish_purges(namespace)).stores for namespace in namespaces
            ]
    except SfmError as error:
        detail = f"{error.message} {_OTHERS_WILL}"
        return (StorePurge(store="all", state=PurgeState.PENDING, detail=detail),)
    return least_far(reports)
