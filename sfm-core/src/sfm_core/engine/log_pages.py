"""Reading the event log for many at once: whoever asks for the same, gets the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sfm_core.engine.coalescer import Coalescer
from sfm_core.engine.events import materialize
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.errors import EventsGoneError, SfmError
from sfm_core.model.events import START, Event, EventType, LoggedEvent, Position

PAGE = 500
"""Entries of the log that are read at a time."""

_TOGETHER = 100
_AT_ONCE = 2


class Wanted(NamedTuple):
    """What somebody wants to read.

    Attributes:
        after: Up to where the log was read already.
        begins: Whether to read from where the log begins; `after` is where it ended.
        namespace: Whose events; `None` for everybody's.
        types: Which kinds of them.
        limit: Most events.
    """

    after: Position
    begins: bool
    namespace: str | None
    types: frozenset[EventType]
    limit: int

    def fits(self, logged: LoggedEvent) -> bool:
        """Tell whether an entry of the log is wanted."""
        return logged.note.type in self.types and self.namespace in {None, logged.namespace}


class LogPage(NamedTuple):
    """What was read.

    Attributes:
        events: Events, and where each is.
        end: Up to where the log was read.
        more: Whether there was more then.
    """

    events: list[tuple[Position, Event]]
    end: Position
    more: bool


class LogPages:
    """Reads pages of the log."""

    def __init__(self, stores: Stores, truth: Truth) -> None:
        """Read the log of `truth`."""
        self._stores = stores
        self._truth = truth
        self._coalescer: Coalescer[Wanted, LogPage] = Coalescer(
            self._read_all, max_batch=_TOGETHER, concurrency=_AT_ONCE
        )

    async def read(self, wanted: Wanted) -> LogPage:
        """Read on from a position.

        Args:
            wanted: What to read.

        Returns:
            A page, which may have no event though there are more.

        Raises:
            EventsGoneError: What follows the position is no longer in the log.
            InvalidInputError: The position is none of this truth.
            BackendError: The truth did not answer.
        """
        return await self._coalescer.submit(wanted)

    async def close(self) -> None:
        """Read what was asked for, and nothing any more."""
        await self._coalescer.close()

    async def _read_all(self, batch: list[Wanted]) -> Sequence[LogPage | SfmError]:
        logs: dict[tuple[Position, bool], list[LoggedEvent]] = {}
        pages: dict[Wanted, LogPage | SfmError] = {}
        for wanted in dict.fromkeys(batch):
            place = (wanted.after, wanted.begins)
            try:
                if place not in logs:
                    logs[place] = await self._log(*place)
                pages[wanted] = await self._page(wanted, logs[place])
            except SfmError as error:
                pages[wanted] = error
        return [pages[wanted] for wanted in batch]

    async def _log(self, after: Position, begins: bool) -> list[LoggedEvent]:  # noqa: FBT001 - a part of a key
        kv = self._stores.kv
        if begins:
            return await kv.read_events(after=START, limit=PAGE)
        logged = await kv.read_events(after=after, limit=PAGE)
        if not logged and await kv.end_of_events() != after:
            # More has come meanwhile, or the log never came so far, as after a restored backup.
            logged = await kv.read_events(after=after, limit=PAGE)
            if not logged:
                raise events_gone("The log ends before this position.")
        # Asked after reading: what was removed before that is told.
        if await kv.any_trimmed(after=after):
            raise events_gone("Events after this position are no longer in the log.")
        return logged

    async def _page(self, wanted: Wanted, logged: Sequence[LoggedEvent]) -> LogPage:
        fitting = [one for one in logged if wanted.fits(one)]
        chosen = fitting[: wanted.limit]
        events = await materialize(self._stores, self._truth, chosen)
        placed = [(one.position, event) for one, event in zip(chosen, events, strict=False)]
        if len(placed) < len(fitting):
            return LogPage(placed, placed[-1][0], more=True)
        end = logged[-1].position if logged else wanted.after
        return LogPage(placed, end, more=len(logged) == PAGE)


def events_gone(message: str) -> EventsGoneError:
    """Return the error for who cannot go on where he was."""
    return EventsGoneError(
        message,
        remedy="Take an export, and read on from `now`; or read what is left, from `start`.",
    )
