"""Carrying out commits inside one write transaction."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sfm_backend_sqlite._entries import read_entries
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
_REMOVE = "DELETE FROM entry WHERE namespace = ? AND key = ?"
_NOTE = (
    "INSERT INTO outbox (id, namespace, key, committed_at, owner, free_at) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
_EVENT = "INSERT INTO event (namespace, type, key, version, at) VALUES (?, ?, ?, ?, ?)"
_COUNT = (
    "INSERT INTO counter (namespace, name, amount) VALUES (?, ?, ?) "
    "ON CONFLICT (namespace, name) DO UPDATE SET amount = amount + excluded.amount"
)

Slot: TypeAlias = tuple[str, bytes]


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

    What they expect is read at the beginning, and what they change is written at
    the end; in between, a later one sees here what an earlier one has changed.
    """

    connection: sqlite3.Connection
    lease: Lease
    _numbers: dict[str, int] = field(default_factory=dict[str, int])
    _used: set[int] = field(default_factory=set[int])
    _found: dict[Slot, Entry | None] = field(default_factory=dict[Slot, Entry | None])
    _writes: dict[tuple[int, bytes], Write] = field(default_factory=dict[tuple[int, bytes], Write])
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
        self._read(commits)
        results = [self._one(commit) for commit in commits]
        self._write()
        self.connection.executemany(_NOTE, self._notes)
        self.connection.executemany(_EVENT, self._events)
        self.connection.executemany(
            _COUNT, [(number, name, amount) for (number, name), amount in self._counts.items()]
        )
        return results

    def _one(self, commit: Commit) -> CommitResult:
        name = commit.namespace
        found = {key: self._found[name, key] for key in commit.expect}
        if any(
            (entry.version if entry else 0) != commit.expect[key] for key, entry in found.items()
        ):
            return Conflict(current=found)
        # Only now: a commit that does not happen makes no namespace.
        number = self._number(commit)
        for write in commit.writes:
            self._writes[number, write.key] = write
            self._found[name, write.key] = (
                None if write.value is None else Entry(write.value, write.version)
            )
        for counter, amount in commit.counters.items():
            self._counts[number, counter] += amount
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

    def _read(self, commits: Sequence[Commit]) -> None:
        expected: dict[str, dict[bytes, None]] = {}
        for commit in commits:
            expected.setdefault(commit.namespace, {}).update(dict.fromkeys(commit.expect))
        for name, keys in expected.items():
            number = find(self.connection, name)
            entries = {} if number is None else read_entries(self.connection, number, list(keys))
            self._found.update({(name, key): entries.get(key) for key in keys})

    def _write(self) -> None:
        puts = [
            (*slot, write.version, write.value)
            for slot, write in self._writes.items()
            if write.value is not None
        ]
        removals = [slot for slot, write in self._writes.items() if write.value is None]
        self.connection.executemany(_PUT, puts)
        self.connection.executemany(_REMOVE, removals)

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
