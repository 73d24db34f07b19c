"""Reading pages of the event log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta

from engine_house import NS, PATIENCE, House, let_others_work

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.events import EventPage

IDLE = timedelta(seconds=15)
MOMENT = timedelta(seconds=0.1)


def told(*pages: EventPage) -> list[tuple[str, int]]:
    return [(one.event.subject, one.event.version) for page in pages for one in page.events]


async def page(pages: AsyncGenerator[EventPage]) -> EventPage:
    return await asyncio.wait_for(anext(pages), PATIENCE)


async def next_page(house: House, pages: AsyncGenerator[EventPage]) -> EventPage:
    """Wait for a page, and let the time pass that it may take."""
    waiting = asyncio.create_task(page(pages))
    await let_others_work()
    await house.clock.advance(MOMENT)
    return await waiting


async def read(engine: MemoryEngine, after: str, *, limit: int = 100) -> list[EventPage]:
    """Read what there is after a position."""
    found: list[EventPage] = []
    async with aclosing(engine.follow_events(NS, after=after, limit=limit)) as pages:
        while not found or found[-1].more:
            found.append(await page(pages))
    return found
