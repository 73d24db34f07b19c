"""Publishing what the log holds, a page at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import NamedTuple, TypeVar, cast

import msgspec

from sfm_core.engine.event_marks import Published, read_published, write_published
from sfm_core.engine.events import materialize
from sfm_core.engine.locking import LockLostError
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.model.events import Event, Position
from sfm_core.protocols.events import EventSink

ResultT = TypeVar("ResultT")

PAGE = 500
"""Most events that are published at a time."""


class Progress(NamedTuple):
    """What was published at a time.

    Attributes:
        events: How many events.
        more: Whether it is plain that more of them wait.
    """

    events: int
    more: bool


class _Page(NamedTuple):
    """Events that follow each other in the log."""

    events: list[Event]
    end: Position
    latest: datetime | None
    full: bool


class Publishing:
    """Goes through the log, as long as nobody else goes through it."""

    def __init__(self, stores: Stores, truth: Truth, sink: EventSink) -> None:
        """Publish what the truth of `stores` has logged to `sink`."""
        self._stores = stores
        self._truth = truth
        self._sink = sink
        self._mark: tuple[Published, int] | None = None
        self._ahead: _Page | None = None

    async def step(self) -> Progress:
        """Publish the next events, and say so when the sink has acknowledged them.

        Returns:
            What was published; nothing where nothing waits.

        Raises:
            LockLostError: Somebody else has published them, too.
            SfmError: Truth or sink failed; the next call begins with the same events.
        """
        page, self._ahead = self._ahead, None
        published, version = await self._take_mark()
        if page is None:
            page = await self._read(published.position)
        if page.full:
            # While the sink is at it, what comes next is read.
            ahead = await _both(self._publish(page, published, version), self._read(page.end))
            self._ahead = ahead
        elif page.events:
            await self._publish(page, published, version)
        else:
            self._mark = published, version
            if published.trouble:
                await self.say("")
        return Progress(len(page.events), more=page.full)

    async def say(self, trouble: str) -> None:
        """Say in the truth why nothing can be published; the next success takes it back.

        Args:
            trouble: The reason, without a secret.

        Raises:
            LockLostError: Somebody else is publishing.
            BackendError: The truth failed.
        """
        published, version = await self._take_mark()
        await self._put(msgspec.structs.replace(published, trouble=trouble), version)

    async def _read(self, after: Position) -> _Page:
        logged = await self._stores.kv.read_events(after=after, limit=PAGE)
        events = await materialize(self._stores, self._truth, logged)
        told = logged[: len(events)]
        return _Page(
            events,
            end=told[-1].position if told else after,
            latest=max((event.note.at for event in told), default=None),
            full=len(events) < len(logged) or len(logged) == PAGE,
        )

    async def _publish(self, page: _Page, before: Published, version: int) -> None:
        with self._stores.observer.group("publish", [event.trace for event in page.events]):
            await self._sink.publish(page.events)
        latest = max(filter(None, (before.latest, page.latest)), default=None)
        await self._put(Published(position=page.end, latest=latest), version)

    async def _take_mark(self) -> tuple[Published, int]:
        """Return what the truth says; it is read where the last call has failed midway."""
        mark, self._mark = self._mark, None
        return mark or await read_published(self._stores.kv)

    async def _put(self, published: Published, version: int) -> None:
        stores = self._stores
        if not await write_published(stores.kv, stores.owner, published, version=version):
            raise LockLostError(
                "Another process publishes the events of this truth, too.",
                backend=stores.kv.scheme,
                remedy="Nothing is lost: it goes on.",
            )
        self._mark = published, version + 1


async def _both(first: Awaitable[None], second: Awaitable[ResultT]) -> ResultT:
    """Wait for both, also where one fails, and return what the second one does."""
    done = await asyncio.gather(first, second, return_exceptions=True)
    for outcome in done:
        if isinstance(outcome, BaseException):
            raise outcome
    return cast(ResultT, done[1])
