"""Event handlers that break one promise each.

Each is listed with the test that has to fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from sfm_core.errors import ClosedError, SfmError
from sfm_core.model.events import Event

Version = tuple[int, object]
Ledger = dict[tuple[str, str], Version]
"""What is known of each memory or link: its newest version, and what that says."""


class Bookkeeper:
    """Keeps, in a ledger that others share, the newest version of everything."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open = False

    async def handle(self, events: Sequence[Event]) -> list[SfmError | None]:
        if not self._open:
            raise ClosedError("It is closed.")
        await asyncio.sleep(0)
        for event in events:
            self._note(event)
        return [None] * len(events)

    def _note(self, event: Event) -> None:
        known, _ = self._ledger.get(_place(event), (0, None))
        if event.version > known:
            self._ledger[_place(event)] = (event.version, event.data)


class CountsEvents(Bookkeeper):
    def _note(self, event: Event) -> None:
        known, _ = self._ledger.get(_place(event), (0, None))
        self._ledger[_place(event)] = (known + 1, None)


class OlderReplacesNewer(Bookkeeper):
    def _note(self, event: Event) -> None:
        self._ledger[_place(event)] = (event.version, event.data)


class RemembersOnlyWhatItSawItself(Bookkeeper):
    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._seen: set[str] = set()

    def _note(self, event: Event) -> None:
        if event.id not in self._seen:
            self._seen.add(event.id)
            known, _ = self._ledger.get(_place(event), (0, None))
            self._ledger[_place(event)] = (known + 1, None)


class OneOutcomeForAll(Bookkeeper):
    async def handle(self, events: Sequence[Event]) -> list[SfmError | None]:
        return (await super().handle(events))[:1]


class WorksWhileClosed(Bookkeeper):
    async def handle(self, events: Sequence[Event]) -> list[SfmError | None]:
        self._open = True
        return await super().handle(events)


class NeedsData(Bookkeeper):
    def _note(self, event: Event) -> None:
        if event.data is None:
            raise KeyError(event.subject)
        super()._note(event)


class NeedsWords(Bookkeeper):
    def _note(self, event: Event) -> None:
        event.source.encode("ascii")
        super()._note(event)


class StuckWhenCancelled(Bookkeeper):
    """Takes a lock that only a call that ends well gives back."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._lock = asyncio.Lock()

    async def handle(self, events: Sequence[Event]) -> list[SfmError | None]:
        async with asyncio.timeout(1):
            await self._lock.acquire()
        outcomes = await super().handle(events)
        self._lock.release()
        return outcomes


def _place(event: Event) -> tuple[str, str]:
    return event.source, event.subject


HANDLER_MUTANTS: dict[type[Bookkeeper], str] = {
    CountsEvents: "test_the_same_batch_again_changes_nothing",
    OlderReplacesNewer: "test_old_events_change_nothing",
    RemembersOnlyWhatItSawItself: "test_the_same_batch_again_changes_nothing",
    OneOutcomeForAll: "test_every_kind_of_event_is_taken_in",
    WorksWhileClosed: "test_nothing_is_handled_before_it_is_opened_or_after_it_was_closed",
    NeedsData: "test_an_event_whose_version_is_no_longer_kept_does_no_harm",
    StuckWhenCancelled: "test_a_batch_that_is_cancelled_can_come_again",
    NeedsWords: "test_names_and_coordinates_that_look_alike_are_taken_in",
}
