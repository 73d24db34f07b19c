"""Telling others what changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sfm_core.engine.operations.parts import Operations
from sfm_core.engine.transfer import Progress
from sfm_core.model.report import ReplayReport


class Telling(Operations):
    """Tells events, and tells them again."""

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
