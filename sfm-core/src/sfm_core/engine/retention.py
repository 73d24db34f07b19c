"""Letting old events go from the log, none of them before it was published."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile

from sfm_core.engine.event_marks import note_trimmed, read_published
from sfm_core.engine.stores import Stores
from sfm_core.model.events import START, LoggedEvent

PAGE = 1000
PAGES_A_ROUND = 20


class Retention:
    """Keeps the log from growing for ever."""

    def __init__(self, stores: Stores) -> None:
        """Look after the log of the truth of `stores`."""
        self._stores = stores
        self._due: datetime | None = None

    async def trim(self) -> None:
        """Remove what is older than it has to be kept, as far as it is published.

        Where events are not logged, the log does not grow and stays as it is.
        The log is not read before its oldest event can be old enough.

        Raises:
            BackendError: The truth failed; the next call goes on.
        """
        stores = self._stores
        if not stores.settings.event_log:
            return
        now = stores.clock.now()
        if self._due is not None and now < self._due:
            return
        retention = stores.settings.event_retention
        for _ in range(PAGES_A_ROUND):
            page = await stores.kv.read_events(after=START, limit=PAGE)
            old = list(takewhile(lambda event: event.note.at < now - retention, page))
            gone = await self._published(old)
            if gone:
                await self._remove(gone)
            if len(gone) < PAGE:
                # One that is old and not published yet keeps it due.
                kept = page[len(gone)].note.at if len(gone) < len(page) else now
                self._due = kept + retention
                return

    async def _published(self, old: Sequence[LoggedEvent]) -> Sequence[LoggedEvent]:
        """Return the events before the first that is still to be published."""
        if self._stores.sink is None or not old:
            return old
        kv = self._stores.kv
        published, _ = await read_published(kv)
        # Read after the others: whatever of them it does not come before or among is published.
        following = await kv.read_events(after=published.position, limit=1)
        unpublished = {event.position for event in following}
        return list(takewhile(lambda event: event.position not in unpublished, old))

    async def _remove(self, gone: Sequence[LoggedEvent]) -> None:
        stores = self._stores
        await note_trimmed(stores.kv, stores.owner, max(event.note.at for event in gone))
        await stores.kv.trim_events(through=gone[-1].position)
