"""The reference key-value store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count, islice

from sfm_core.clock import Clock, SystemClock
from sfm_core.inprocess._base import InProcessBackend
from sfm_core.inprocess._ordered import OrderedMap
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import START, EventNote, LoggedEvent, Position
from sfm_core.model.keys import KeyRange
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.porting import check_batch, check_keys, check_limit, position_number
from sfm_core.protocols.kv import (
    Commit,
    CommitResult,
    Committed,
    Conflict,
    DirtyNote,
    Entry,
    OutboxStatus,
    Write,
)


@dataclass(slots=True)
class _Pending:
    note: DirtyNote
    since: datetime
    owner: str
    free_at: float


@dataclass(slots=True)
class KeyValueState:
    """What one truth holds. Stores that are given the same state show the same data."""

    _entries: dict[str, OrderedMap[Entry]] = field(default_factory=dict[str, OrderedMap[Entry]])
    _counters: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    _outbox: dict[str, _Pending] = field(default_factory=dict[str, _Pending])
    _note_ids: count[int] = field(default_factory=count)
    _log: list[LoggedEvent] = field(default_factory=list[LoggedEvent])
    _trimmed: int = 0

    def get(self, namespace: str, key: bytes) -> Entry | None:
        """Return the entry under a key."""
        entries = self._entries.get(namespace)
        return entries.get(key) if entries else None

    def read(
        self, namespace: str, ranges: Iterable[KeyRange], limit: int
    ) -> list[list[tuple[bytes, Entry]]]:
        """Return the first entries of each range."""
        entries = self._entries.get(namespace)
        return [entries.read(keys, limit) if entries else [] for keys in ranges]

    def namespaces(self) -> list[str]:
        """Return every namespace that was ever written to, in order."""
        return sorted(self._entries)

    def counters(self, namespace: str) -> dict[str, int]:
        """Return a copy of the counters of a namespace."""
        return dict(self._counters.get(namespace, {}))

    def write(self, namespace: str, writes: Iterable[Write]) -> None:
        """Put and remove entries."""
        for write in writes:
            if write.value is not None:
                entries = self._entries.setdefault(namespace, OrderedMap())
                entries.put(write.key, Entry(bytes(write.value), write.version))
            elif (found := self._entries.get(namespace)) is not None:
                found.remove(write.key)

    def add(self, namespace: str, amounts: Mapping[str, int]) -> None:
        """Add to counters."""
        counters = self._counters.setdefault(namespace, {})
        for name, amount in amounts.items():
            counters[name] = counters.get(name, 0) + amount

    def note(
        self, namespace: str, keys: Iterable[bytes], *, owner: str, now: datetime, free_at: float
    ) -> tuple[DirtyNote, ...]:
        """Add one note per key to the outbox, leased to `owner`."""
        notes = tuple(
            DirtyNote(id=str(next(self._note_ids)), namespace=namespace, key=key) for key in keys
        )
        for note in notes:
            self._outbox[note.id] = _Pending(note, now, owner, free_at)
        return notes

    def pending(self) -> Iterable[_Pending]:
        """Return the notes that are not acknowledged, oldest first."""
        return self._outbox.values()

    def waits(self, note_id: str) -> bool:
        """Tell whether a note is not acknowledged."""
        return note_id in self._outbox

    def find(self, note: DirtyNote) -> _Pending | None:
        """Return the state of a note; `None` where it was acknowledged."""
        return self._outbox.get(note.id)

    def forget(self, note: DirtyNote) -> None:
        """Remove a note; one that is gone is no error."""
        self._outbox.pop(note.id, None)

    def log(self, namespace: str, notes: Iterable[EventNote]) -> None:
        """Append to the event log."""
        for note in notes:
            position = Position(str(self.logged + 1))
            self._log.append(LoggedEvent(position=position, namespace=namespace, note=note))

    def events_after(self, sequence: int, limit: int) -> list[LoggedEvent]:
        """Return the events that follow the one with a running number."""
        start = max(sequence - self._trimmed, 0)
        return self._log[start : start + limit]

    def count_after(self, sequence: int) -> int:
        """Count the events that follow the one with a running number."""
        return max(len(self._log) - max(sequence - self._trimmed, 0), 0)

    @property
    def logged(self) -> int:
        """How many events were ever logged."""
        return self._trimmed + len(self._log)

    @property
    def trimmed(self) -> int:
        """How many of them were removed."""
        return self._trimmed

    def trim(self, sequence: int) -> int:
        """Remove the events up to a running number, and return how many that were."""
        removed = min(max(sequence - self._trimmed, 0), len(self._log))
        del self._log[:removed]
        self._trimmed += removed
        return removed


class InProcessKeyValueStore(InProcessBackend):
    """A truth that lives as long as its state does."""

    def __init__(self, *, state: KeyValueState | None = None, clock: Clock | None = None) -> None:
        super().__init__()
        self._state = state or KeyValueState()
        self._clock = clock or SystemClock()

    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        """Read many entries; see `KeyValueStore.get_many`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` keys.
            ClosedError: The store is not open.
        """
        await self._turn()
        check_batch(len(keys), "keys")
        return [self._state.get(namespace, key) for key in keys]

    async def scan(
        self, namespace: str, ranges: Sequence[KeyRange], *, limit: int
    ) -> list[list[tuple[bytes, Entry]]]:
        """Read the first entries of many key ranges; see `KeyValueStore.scan`.

        Raises:
            LimitExceededError: Too many ranges, or a limit out of bounds.
            ClosedError: The store is not open.
        """
        await self._turn()
        check_batch(len(ranges), "ranges")
        check_limit(limit)
        return self._state.read(namespace, ranges, limit)

    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        """Carry out many commits, each atomic; see `KeyValueStore.commit`.

        Raises:
            LimitExceededError: Too many commits, or a key that is too long; nothing happened.
            ClosedError: The store is not open; nothing happened.
        """
        await self._turn()
        check_batch(len(commits), "commits")
        for commit in commits:
            check_keys(commit)
        return [self._apply(commit, owner, lease) for commit in commits]

    async def counters(self, namespace: str) -> dict[str, int]:
        """Read the counters of a namespace; see `KeyValueStore.counters`.

        Raises:
            ClosedError: The store is not open.
        """
        await self._turn()
        return self._state.counters(namespace)

    async def namespaces(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """List the namespaces; see `KeyValueStore.namespaces`.

        Raises:
            ClosedError: The store is not open.
        """
        await self._turn()
        names = (
            name for name in self._state.namespaces() if name > after and name != SYSTEM_NAMESPACE
        )
        return list(islice(names, limit))

    async def claim(self, *, owner: str, limit: int, lease: timedelta) -> list[DirtyNote]:
        """Take over notes that nobody holds; see `KeyValueStore.claim`.

        Raises:
            ClosedError: The store is not open.
        """
        await self._turn()
        now = self._clock.monotonic()
        free = (pending for pending in self._state.pending() if pending.free_at <= now)
        claimed = list(islice(free, limit))
        for pending in claimed:
            pending.owner, pending.free_at = owner, now + lease.total_seconds()
        return [pending.note for pending in claimed]

    async def acknowledge(self, notes: Sequence[DirtyNote]) -> None:
        """Remove notes whose work is done; see `KeyValueStore.acknowledge`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` notes.
            ClosedError: The store is not open.
        """
        await self._turn()
        check_batch(len(notes), "notes")
        for note in notes:
            self._state.forget(note)

    async def release(self, notes: Sequence[DirtyNote], *, owner: str, delay: timedelta) -> None:
        """Give notes back whose work failed; see `KeyValueStore.release`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` notes.
            ClosedError: The store is not open.
        """
        await self._turn()
        check_batch(len(notes), "notes")
        free_at = self._clock.monotonic() + delay.total_seconds()
        for note in notes:
            pending = self._state.find(note)
            if pending is not None and pending.owner == owner:
                pending.note = replace(pending.note, attempts=pending.note.attempts + 1)
                pending.owner, pending.free_at = "", free_at

    async def outstanding(self, ids: Sequence[str]) -> list[bool]:
        """Tell which notes are still in the outbox; see `KeyValueStore.outstanding`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` ids.
            ClosedError: The store is not open.
        """
        await self._turn()
        check_batch(len(ids), "ids")
        return [self._state.waits(one) for one in ids]

    async def scrub(self, places: Mapping[str, Sequence[Coordinate]]) -> str:
        """Keep nothing but what is there, as always; see `SupportsScrubbing.scrub`.

        Raises:
            ClosedError: The store is not open.
        """
        del places
        await self._turn()
        return ""

    async def outbox_status(self) -> OutboxStatus:
        """Tell how many notes wait; see `KeyValueStore.outbox_status`.

        Raises:
            ClosedError: The store is not open.
        """
        await self._turn()
        pending = list(self._state.pending())
        return OutboxStatus(depth=len(pending), oldest_at=pending[0].since if pending else None)

    async def read_events(self, *, after: Position, limit: int) -> list[LoggedEvent]:
        """Read the event log onwards from a position; see `KeyValueStore.read_events`.

        Raises:
            InvalidInputError: The position was not made by this kind of store.
            ClosedError: The store is not open.
        """
        await self._turn()
        return self._state.events_after(position_number(after), limit)

    async def count_events(self, *, after: Position, limit: int) -> int:
        """Tell how many events follow a position; see `KeyValueStore.count_events`.

        Raises:
            InvalidInputError: The position was not made by this kind of store.
            LimitExceededError: The limit is out of bounds.
            ClosedError: The store is not open.
        """
        await self._turn()
        check_limit(limit)
        return min(self._state.count_after(position_number(after)), limit)

    async def end_of_events(self) -> Position:
        """Tell where the log ends; see `KeyValueStore.end_of_events`.

        Raises:
            ClosedError: The store is not open.
        """
        await self._turn()
        return Position(str(self._state.logged)) if self._state.logged else START

    async def any_trimmed(self, *, after: Position) -> bool:
        """Tell whether events after a position are gone; see `KeyValueStore.any_trimmed`.

        Raises:
            InvalidInputError: The position was not made by this kind of store.
            ClosedError: The store is not open.
        """
        await self._turn()
        return position_number(after) < self._state.trimmed

    async def trim_events(self, *, through: Position) -> int:
        """Remove events from the start of the log; see `KeyValueStore.trim_events`.

        Raises:
            InvalidInputError: The position was not made by this kind of store.
            ClosedError: The store is not open.
        """
        await self._turn()
        return self._state.trim(position_number(through))

    def _apply(self, commit: Commit, owner: str, lease: timedelta) -> CommitResult:
        namespace = commit.namespace
        current = {key: self._state.get(namespace, key) for key in commit.expect}
        if any(
            (entry.version if entry else 0) != commit.expect[key] for key, entry in current.items()
        ):
            return Conflict(current=current)
        self._state.write(namespace, commit.writes)
        self._state.add(namespace, commit.counters)
        self._state.log(namespace, commit.events)
        return Committed(
            notes=self._state.note(
                namespace,
                commit.dirty,
                owner=owner,
                now=self._clock.now(),
                free_at=self._clock.monotonic() + lease.total_seconds(),
            )
        )
