"""Carrying out commits inside one write transaction."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sfm_backend_sqlite._namespaces import allot, find
from sfm_core.porting import to_microseconds
from sfm_core.protocols.kv import (
    Commit,
    CommitResult,
    Committed,
    Conflict,
    DirtyNote,
    Entry,
    Write,
)

_PUT = (
    "INSERT INTO entry (namespace, key, version, value) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (namespace, key) DO UPDATE SET version = excluded.version, value = excluded.value"
)
_GET = "SELECT value, version FROM entry WHERE namespace = ? AND key = ?"
_NOTE = (
    "INSERT INTO outbox (id, namespace, key, committed_at, owner, free_at) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
_EVENT = "INSERT INTO event (namespace, type, key, version, at) VALUES (?, ?, ?, ?, ?)"
_COUNT = (
    "INSERT INTO counter (namespace, name, amount) VALUES (?, ?, ?) "
    "ON CONFLICT (namespace, name) DO UPDATE SET amount = amount + excluded.amount"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who holds the notes of a commit.

    Attributes:
        owner: The committer.
        now: Time of the commit, in microseconds.
        until: When others may take the notes over, in microseconds.
    """

    owner: str
    now: int
    until: int


@dataclass(slots=True)
class Transaction:
    """Commits on their way into the file.

    Entries are written as the commits come, because a later one must see
    them; what nobody reads in between is gathered and written at the end.
    """

    connection: sqlite3.Connection
    lease: Lease
    _numbers: dict[str, int] = field(default_factory=dict[str, int])
    _used: set[int] = field(default_factory=set[int])
    _counts: Counter[tuple[int, str]] = field(default_factory=Counter[tuple[int, str]])
    _notes: list[tuple[int, int, bytes, int, str, int]] = field(
        default_factory=list[tuple[int, int, bytes, int, str, int]]
    )
    _events: list[tuple[int, str, bytes, int, int]] = field(
        default_factory=list[tuple[int, str, bytes, int, int]]
    )
    _last_note: int | None = None

    def run(self, commits: Sequence[Commit]) -> list[CommitResult]:
        """Carry out commits in order and return their results."""
        results = [self._one(commit) for commit in commits]
        self.connection.executemany(_NOTE, self._notes)
        self.connection.executemany(_EVENT, self._events)
        self.connection.executemany(
            _COUNT, [(number, name, amount) for (number, name), amount in self._counts.items()]
        )
        return results

    def _one(self, commit: Commit) -> CommitResult:
        found = self._read(commit)
        if any(
            (entry.version if entry else 0) != commit.expect[key] for key, entry in found.items()
        ):
            return Conflict(current=found)
        # Only now: a commit that does not happen makes no namespace.
        number = self._number(commit)
        self._write(number, commit.writes)
        for name, amount in commit.counters.items():
            self._counts[number, name] += amount
        self._events += [
            (number, note.type.value, note.key, note.version, to_microseconds(note.at))
            for note in commit.events
        ]
        return Committed(notes=self._note(number, commit))

    def _number(self, commit: Commit) -> int:
        number = self._numbers.get(commit.namespace)
        used = any(write.value is not None for write in commit.writes)
        if number is None or (used and number not in self._used):
            number = allot(self.connection, commit.namespace, used=used)
            self._numbers[commit.namespace] = number
            if used:
                self._used.add(number)
        return number

    def _read(self, commit: Commit) -> dict[bytes, Entry | None]:
        number = self._numbers.get(commit.namespace)
        if number is None and commit.expect:
            number = find(self.connection, commit.namespace)
        found: dict[bytes, Entry | None] = {}
        for key in commit.expect:
            row = self.connection.execute(_GET, (number, key)).fetchone()
            found[key] = Entry(*row) if row else None
        return found

    def _write(self, number: int, writes: Sequence[Write]) -> None:
        last = {write.key: write for write in writes}.values()
        puts = [(number, w.key, w.version, w.value) for w in last if w.value is not None]
        removals = [(number, w.key) for w in last if w.value is None]
        if puts:
            self.connection.executemany(_PUT, puts)
        if removals:
            self.connection.executemany(
                "DELETE FROM entry WHERE namespace = ? AND key = ?", removals
            )

    def _note(self, number: int, commit: Commit) -> tuple[DirtyNote, ...]:
        if not commit.dirty:
            return ()
        notes: list[DirtyNote] = []
        for key in commit.dirty:
            self._last_note = self._highest_note() + 1
            lease = self.lease
            self._notes.append((self._last_note, number, key, lease.now, lease.owner, lease.until))
            notes.append(DirtyNote(id=str(self._last_note), namespace=commit.namespace, key=key))
        return tuple(notes)

    def _highest_note(self) -> int:
        if self._last_note is None:
            row: tuple[int] | None = self.connection.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'"
            ).fetchone()
            self._last_note = row[0] if row else 0
        return self._last_note
