"""Key-value stores that break one promise each. The kit must notice every one.

Each is listed at the end with the test that has to fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Self

from sfm_core.inprocess import InProcessKeyValueStore
from sfm_core.model.events import START, LoggedEvent, Position
from sfm_core.protocols.kv import (
    Commit,
    CommitResult,
    Committed,
    DirtyNote,
    OutboxStatus,
)


class NotesAreBornFree(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        return await super().commit(commits, owner=owner, lease=-lease)


class LeasesNeverEnd(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        return await super().commit(commits, owner=owner, lease=1000 * lease)


class ClaimTakesNoLease(InProcessKeyValueStore):
    async def claim(self, *, owner: str, limit: int, lease: timedelta) -> list[DirtyNote]:
        return await super().claim(owner=owner, limit=limit, lease=-lease)


class ClaimTakesTheNewestFirst(InProcessKeyValueStore):
    async def claim(self, *, owner: str, limit: int, lease: timedelta) -> list[DirtyNote]:
        return (await super().claim(owner=owner, limit=limit, lease=lease))[::-1]


class AcknowledgesWholeKeys(InProcessKeyValueStore):
    async def acknowledge(self, notes: Sequence[DirtyNote]) -> None:
        keys = {(note.namespace, note.key) for note in notes}
        pending = [waiting.note for waiting in self._state.pending()]
        await super().acknowledge([n for n in pending if (n.namespace, n.key) in keys])


class AcknowledgingTheUnknownFails(InProcessKeyValueStore):
    async def acknowledge(self, notes: Sequence[DirtyNote]) -> None:
        if any(self._state.find(note) is None for note in notes):
            raise KeyError
        await super().acknowledge(notes)


class ReleaseIgnoresTheOwner(InProcessKeyValueStore):
    async def release(self, notes: Sequence[DirtyNote], *, owner: str, delay: timedelta) -> None:
        await self._turn()
        for note in notes:
            waiting = self._state.find(note)
            holder = waiting.owner if waiting else owner
            await super().release([note], owner=holder, delay=delay)


class ReleaseIgnoresTheDelay(InProcessKeyValueStore):
    async def release(self, notes: Sequence[DirtyNote], *, owner: str, delay: timedelta) -> None:
        await super().release(notes, owner=owner, delay=0 * delay)


class AttemptsAreNotCounted(InProcessKeyValueStore):
    async def claim(self, *, owner: str, limit: int, lease: timedelta) -> list[DirtyNote]:
        notes = await super().claim(owner=owner, limit=limit, lease=lease)
        return [replace(note, attempts=0) for note in notes]


class StatusForgetsLeasedNotes(InProcessKeyValueStore):
    async def outbox_status(self) -> OutboxStatus:
        await self._turn()
        now = self._clock.monotonic()
        free = [waiting for waiting in self._state.pending() if waiting.free_at <= now]
        return OutboxStatus(depth=len(free), oldest_at=free[0].since if free else None)


class CommitsAreAlwaysLeased(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        lease = max(lease, timedelta(seconds=1))
        return await super().commit(commits, owner=owner, lease=lease)


class LeasedNotesAreNotOutstanding(InProcessKeyValueStore):
    async def outstanding(self, ids: Sequence[str]) -> list[bool]:
        now = self._clock.monotonic()
        free = {waiting.note.id for waiting in self._state.pending() if waiting.free_at <= now}
        found = await super().outstanding(ids)
        return [is_there and one in free for is_there, one in zip(found, ids, strict=True)]


class TellsWhatIsOutstandingInItsOwnOrder(InProcessKeyValueStore):
    async def outstanding(self, ids: Sequence[str]) -> list[bool]:
        return await super().outstanding(sorted(ids))


class ReadsIdsAsNumbers(InProcessKeyValueStore):
    async def outstanding(self, ids: Sequence[str]) -> list[bool]:
        return await super().outstanding(
            [str(int(one)) if one.strip().isdecimal() and len(one) < 20 else one for one in ids]
        )


class EventsOfACommitAreReversed(InProcessKeyValueStore):
    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        turned = [replace(c, events=c.events[::-1]) for c in commits]
        return await super().commit(turned, owner=owner, lease=lease)


class EventsBecomeVisibleOutOfOrder(InProcessKeyValueStore):
    """Gives out positions before the commit, as a sequence of a database does."""

    _numbers = count(1)
    _visible: list[LoggedEvent]

    async def __aenter__(self) -> Self:
        self._visible = []
        await super().__aenter__()
        return self

    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        results = await super().commit(commits, owner=owner, lease=lease)
        made = [
            LoggedEvent(
                position=Position(f"{next(self._numbers):09}"), namespace=c.namespace, note=note
            )
            for c, result in zip(commits, results, strict=True)
            for note in c.events
            if isinstance(result, Committed)
        ]
        for _ in range(int(made[0].position) % 4 if made else 0):
            await asyncio.sleep(0)
        self._visible = sorted([*self._visible, *made], key=lambda event: event.position)
        return results

    async def read_events(self, *, after: Position, limit: int) -> list[LoggedEvent]:
        await super().read_events(after=Position(after.lstrip("0") or "0"), limit=limit)
        return [event for event in self._visible if event.position > after][:limit]


class EventTimesAreCutToSeconds(InProcessKeyValueStore):
    async def read_events(self, *, after: Position, limit: int) -> list[LoggedEvent]:
        events = await super().read_events(after=after, limit=limit)
        return [
            replace(e, note=replace(e.note, at=e.note.at.replace(microsecond=0))) for e in events
        ]


class TrimmingRemovesOneTooFew(InProcessKeyValueStore):
    async def trim_events(self, *, through: Position) -> int:
        if not through or through == "0":
            return await super().trim_events(through=through)
        return await super().trim_events(through=Position(str(int(through) - 1)))


class CountsTheWholeLog(InProcessKeyValueStore):
    async def count_events(self, *, after: Position, limit: int) -> int:
        await super().count_events(after=after, limit=limit)
        return await super().count_events(after=START, limit=limit)


class CountsBeyondTheLimit(InProcessKeyValueStore):
    async def count_events(self, *, after: Position, limit: int) -> int:
        return await super().count_events(after=after, limit=max(limit, 100))


class CountsOnlyWhatWasRead(InProcessKeyValueStore):
    """As a store does that gives out positions when somebody reads."""

    _read = 0

    async def read_events(self, *, after: Position, limit: int) -> list[LoggedEvent]:
        events = await super().read_events(after=after, limit=limit)
        self._read = max([self._read, *(int(event.position) for event in events)])
        return events

    async def count_events(self, *, after: Position, limit: int) -> int:
        counted = await super().count_events(after=after, limit=limit)
        return min(counted, max(self._read - int(after or 0), 0))


class EndsWhereSomebodyHasRead(InProcessKeyValueStore):
    """As a store does that gives out positions when somebody reads."""

    _read: Position = START

    async def read_events(self, *, after: Position, limit: int) -> list[LoggedEvent]:
        events = await super().read_events(after=after, limit=limit)
        self._read = events[-1].position if events else self._read
        return events

    async def end_of_events(self) -> Position:
        await super().end_of_events()
        return self._read


class EndsAtWhatIsLeft(InProcessKeyValueStore):
    async def end_of_events(self) -> Position:
        end = await super().end_of_events()
        left = await super().read_events(after=START, limit=1)
        return end if left else START


class CannotReadLongPositions(InProcessKeyValueStore):
    async def read_events(self, *, after: Position, limit: int) -> list[LoggedEvent]:
        int(after or "0").to_bytes(8, "big", signed=True)
        return await super().read_events(after=after, limit=limit)


class TellsWhoHasReadAllThatIsGone(InProcessKeyValueStore):
    async def any_trimmed(self, *, after: Position) -> bool:
        gone = await super().any_trimmed(after=after)
        first = await super().read_events(after=START, limit=1)
        return gone or (first != [] and int(first[0].position) > int(after or 0))


class TellsNobodyOfAnEmptyLog(InProcessKeyValueStore):
    async def any_trimmed(self, *, after: Position) -> bool:
        gone = await super().any_trimmed(after=after)
        return gone and await super().read_events(after=START, limit=1) != []


class TellsNobodyAtTheStart(InProcessKeyValueStore):
    async def any_trimmed(self, *, after: Position) -> bool:
        return await super().any_trimmed(after=after) and after != START


OUTBOX_MUTANTS: dict[type[InProcessKeyValueStore], str] = {
    NotesAreBornFree: "test_notes_are_born_leased_to_the_committer",
    LeasesNeverEnd: "test_notes_can_be_claimed_when_the_lease_has_ended",
    ClaimTakesNoLease: "test_claiming_takes_a_lease_of_its_own",
    ClaimTakesTheNewestFirst: "test_notes_can_be_claimed_when_the_lease_has_ended",
    AcknowledgesWholeKeys: "test_acknowledging_leaves_the_notes_of_other_commits_for_the_key",
    AcknowledgingTheUnknownFails: "test_acknowledging_twice_or_the_unknown_is_no_error",
    ReleaseIgnoresTheOwner: "test_only_the_holder_can_release",
    ReleaseIgnoresTheDelay: "test_a_released_note_rests_for_its_delay",
    AttemptsAreNotCounted: "test_attempts_grow_with_each_release",
    StatusForgetsLeasedNotes: "test_claimed_notes_still_count_as_waiting",
    CommitsAreAlwaysLeased: "test_notes_of_a_commit_without_a_lease_can_be_claimed_at_once",
    LeasedNotesAreNotOutstanding: "test_notes_are_outstanding_until_they_are_acknowledged",
    TellsWhatIsOutstandingInItsOwnOrder: (
        "test_whether_notes_are_outstanding_is_told_in_the_order_of_the_question"
    ),
    ReadsIdsAsNumbers: "test_what_is_no_note_is_not_outstanding",
    EventsOfACommitAreReversed: "test_events_are_read_in_the_order_of_their_commits",
    EventsBecomeVisibleOutOfOrder: "test_a_reader_beside_writers_misses_no_event",
    EventTimesAreCutToSeconds: "test_events_come_back_as_they_were_given",
    TrimmingRemovesOneTooFew: "test_trimming_removes_the_start_and_moves_nothing",
    CountsTheWholeLog: "test_events_are_counted_from_a_position_as_far_as_the_limit",
    CountsBeyondTheLimit: "test_events_are_counted_from_a_position_as_far_as_the_limit",
    CountsOnlyWhatWasRead: "test_events_count_before_anybody_has_read_them",
    EndsWhereSomebodyHasRead: "test_the_end_of_the_log_is_where_later_events_come_after",
    EndsAtWhatIsLeft: "test_the_end_of_the_log_is_where_later_events_come_after",
    CannotReadLongPositions: "test_a_made_up_position_is_refused_or_has_nothing_after_it",
    TellsWhoHasReadAllThatIsGone: "test_who_has_missed_what_was_trimmed_is_told",
    TellsNobodyOfAnEmptyLog: "test_who_has_missed_what_was_trimmed_is_told",
    TellsNobodyAtTheStart: "test_who_has_missed_what_was_trimmed_is_told",
}
