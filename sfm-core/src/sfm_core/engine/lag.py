"""How far what follows the truth is behind it."""

from __future__ import annotations

import asyncio

from sfm_core.engine.event_marks import read_published
from sfm_core.engine.stores import Stores
from sfm_core.model.report import EventLag, Lag
from sfm_core.protocols import MAX_BATCH


async def event_lag(stores: Stores) -> EventLag | None:
    """Tell how far the event sink is behind.

    Args:
        stores: The backends.

    Returns:
        What waits to be published; `None` where there is no sink.

    Raises:
        BackendError: The truth failed.
    """
    if stores.sink is None:
        return None
    published, _ = await read_published(stores.kv)
    logged = await stores.kv.read_events(after=published.position, limit=1)
    count = 0
    if logged:
        count = await stores.kv.count_events(after=published.position, limit=MAX_BATCH)
    return EventLag(
        count=count,
        oldest_at=logged[0].note.at if logged else None,
        trouble=published.trouble,
    )


async def read_lag(stores: Stores) -> Lag:
    """Tell how far everything that follows the truth is behind it.

    Args:
        stores: The backends.

    Returns:
        What waits.

    Raises:
        BackendError: The truth failed.
    """
    outbox, events = await asyncio.gather(stores.kv.outbox_status(), event_lag(stores))
    return Lag(outbox_depth=outbox.depth, outbox_oldest_at=outbox.oldest_at, events=events)
