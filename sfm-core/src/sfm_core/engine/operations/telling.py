"""Telling others what changed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from datetime import datetime, timedelta

from sfm_core.engine.importing import Progress
from sfm_core.engine.operations.parts import Operations
from sfm_core.model.events import EventPage, EventType
from sfm_core.model.report import ReplayReport


class Telling(Operations):
    """Tells events, and tells them again."""

    def follow_events(
        self,
        namespace: str | None,
        *,
        after: str = "now",
        types: Collection[EventType] | None = None,
        limit: int = 100,
        idle: timedelta = timedelta(seconds=15),
    ) -> AsyncGenerator[EventPage]:
        """Read the event log, and go on with what happens from then on.

        Works with and without a sink, beside any number of others who read.

        Args:
            namespace: Whose events; `None` for everybody's.
            after: Where to begin: a position that was read before, "start" for
                wherever the log begins, or "now".
            types: Which kinds of events; by default all.
            limit: Most events of a page.
            idle: After how long without an event to tell that there is none.

        Returns:
            Pages without end. The first comes at once; an empty one tells
            where the log was read to, so that the position stays a young one.

        Raises:
            EventsOffError: Events are turned off.
            EventsGoneError: What follows the position is no longer in the log,
                or the position is one of another truth.
            InvalidInputError: What was given is no position.
            BackendError: The truth did not answer; begin again after the last position.
        """
        return self._parts.following.follow(
            namespace, after=after, types=types, limit=limit, idle=idle
        )

    async def replay_events(
        self,
        since: datetime,
        *,
        namespaces: Sequence[str] | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> ReplayReport:
        """Tell again every change of a memory or link that the truth still knows of.

        That is the versions that are kept of memories, deletions after which
        nothing was stored, and the last change of each link. Their events have
        the ids that they always had, so whoever has them already can tell; a
        memory's come in the order of its versions. No content is written.
        After an interruption, the same again is right.

        Args:
            since: From which time on, by the clock of who wrote; with a time zone.
            namespaces: Whose changes; by default everybody's.
            dry_run: Whether only to count.
            progress: Told how many memories and links were looked at.

        Returns:
            How many events were put in the log.

        Raises:
            EventsOffError: Events are turned off.
            BackendError: The truth failed; some events may be told.
        """
        return await self._parts.replaying.replay(
            since, namespaces, dry_run=dry_run, progress=progress
        )
