"""Following the event log: what changed, told as it happens to whoever asks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from datetime import timedelta

from sfm_core.engine.event_token import EventTokens
from sfm_core.engine.inputs import check_count, check_namespace
from sfm_core.engine.log_pages import LogPage, LogPages, Wanted, events_gone
from sfm_core.engine.log_watch import LogWatch
from sfm_core.engine.replay import events_off
from sfm_core.engine.stores import Stores
from sfm_core.model.events import EventPage, EventType, PlacedEvent, Position

START_TOKEN = "start"  # noqa: S105 - a word
NOW_TOKEN = "now"  # noqa: S105 - a word

_ALL = frozenset(EventType)
_FRUITLESS = 20
"""Pages without a wanted event after which the caller hears how far it is."""


class Following:
    """Hands out the log, from any place in it on."""

    def __init__(
        self, stores: Stores, pages: LogPages, watch: LogWatch, tokens: EventTokens
    ) -> None:
        """Read `pages`, and have `watch` tell when there are more."""
        self._stores = stores
        self._pages = pages
        self._watch = watch
        self._tokens = tokens

    async def follow(
        self,
        namespace: str | None,
        *,
        after: str,
        types: Collection[EventType] | None,
        limit: int,
        idle: timedelta,
    ) -> AsyncGenerator[EventPage]:
        """Follow the log; see `MemoryEngine.follow_events`."""
        settings = self._stores.settings
        if not settings.event_log:
            raise events_off()
        if namespace is not None:
            check_namespace(namespace)
        check_count(limit, settings.limits.max_page, field="limit")
        wanted = Wanted(
            after=await self._place(after),
            begins=after == START_TOKEN,
            namespace=namespace,
            types=_ALL if types is None else frozenset(types),
            limit=limit,
        )
        due, fruitless = True, 0
        idle_at = 0.0
        clock = self._stores.clock
        while True:
            seen = self._watch.changes
            page = await self._pages.read(wanted)
            wanted = wanted._replace(after=page.end, begins=False)
            fruitless = 0 if page.events or due else fruitless + 1
            if page.events or due or fruitless == _FRUITLESS:
                yield self._page(page)
                due, fruitless = False, 0
                idle_at = clock.monotonic() + idle.total_seconds()
            while not page.more:
                left = timedelta(seconds=idle_at - clock.monotonic())
                if await self._watch.wait(seen, page.end, left):
                    break
                yield self._page(LogPage([], page.end, more=False))
                idle_at = clock.monotonic() + idle.total_seconds()

    async def close(self) -> None:
        """Read nothing any more, and tell those who wait."""
        await self._pages.close()
        await self._watch.close()

    async def _place(self, after: str) -> Position:
        if after in {START_TOKEN, NOW_TOKEN}:
            return await self._stores.kv.end_of_events()
        position = self._tokens.position(after)
        if position is None:
            raise events_gone("The position is of another truth, whose place this one has taken.")
        return position

    def _page(self, page: LogPage) -> EventPage:
        token = self._tokens.token
        return EventPage(
            events=tuple(
                PlacedEvent(position=token(position), event=event)
                for position, event in page.events
            ),
            position=token(page.end),
            more=page.more,
        )
