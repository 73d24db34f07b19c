"""Deciding which commits happen, and gathering what they change."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sfm_core.model.events import EventNote
from sfm_core.protocols.kv import (
    Commit,
    CommitResult,
    Committed,
    Conflict,
    DirtyNote,
    Entry,
    Write,
)

# Enough that commits seldom wait for one of another key; few enough that one commit
# with very many keys does not exhaust the server's table of locks.
STRIPES = 256

Place: TypeAlias = tuple[str, bytes]
"""Namespace and key."""


def places_expected(commits: Iterable[Commit]) -> list[Place]:
    """Return what commits have expectations about, without duplicates."""
    found = {(commit.namespace, key): None for commit in commits for key in commit.expect}
    return list(found)


def stripes(commits: Iterable[Commit]) -> list[int]:
    """Return the numbers of the locks that commits need, ascending.

    The keys of events count too: their order in the log is that of their commits.
    """
    return sorted(
        {
            zlib.crc32(key, zlib.crc32(commit.namespace.encode())) % STRIPES
            for commit in commits
            for key in _keys(commit)
        }
    )


@dataclass(slots=True)
class Changes:
    """What some commits change together, later ones on top of earlier ones.

    Attributes:
        entries: What stands under the keys that are looked at.
        writes: What is left to write, the last write of each key.
        namespaces: Those that something is put into.
        counts: What to add to which counter.
        notes: What to note in the outbox.
        events: What to append to the log.
    """

    entries: dict[Place, Entry | None]
    writes: dict[Place, Write] = field(default_factory=dict[Place, Write])
    namespaces: set[str] = field(default_factory=set[str])
    counts: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    notes: list[Place] = field(default_factory=list[Place])
    events: list[tuple[str, EventNote]] = field(default_factory=list[tuple[str, EventNote]])
    _results: list[Conflict | range] = field(default_factory=list[Conflict | range])

    @classmethod
    def decide(cls, commits: Sequence[Commit], current: Mapping[Place, Entry]) -> Changes:
        """Find out which commits happen.

        Args:
            commits: What was asked for, in order.
            current: What stands now under the keys they have expectations about.

        Returns:
            What those that happen change.
        """
        changes = cls(dict(current))
        for commit in commits:
            changes._results.append(changes._one(commit))
        return changes

    def puts(self) -> list[tuple[Place, bytes, int]]:
        """Return the entries to write, in the order of their keys."""
        return sorted(
            (place, write.value, write.version)
            for place, write in self.writes.items()
            if write.value is not None
        )

    def removals(self) -> list[Place]:
        """Return the entries to remove, in the order of their keys."""
        return sorted(place for place, write in self.writes.items() if write.value is None)

    def results(self, ids: Sequence[int]) -> list[CommitResult]:
        """Return the result of each commit.

        Args:
            ids: Ids of the notes, in the order of `notes`.
        """
        return [
            result if isinstance(result, Conflict) else Committed(notes=self._named(result, ids))
            for result in self._results
        ]

    def _one(self, commit: Commit) -> Conflict | range:
        namespace = commit.namespace
        found = {key: self.entries.get((namespace, key)) for key in commit.expect}
        if any(
            (entry.version if entry else 0) != commit.expect[key] for key, entry in found.items()
        ):
            return Conflict(current=found)
        for write in commit.writes:
            self._write(namespace, write)
        for name, amount in commit.counters.items():
            self.counts[namespace, name] += amount
        first = len(self.notes)
        self.notes += [(namespace, key) for key in commit.dirty]
        self.events += [(namespace, note) for note in commit.events]
        return range(first, len(self.notes))

    def _write(self, namespace: str, write: Write) -> None:
        place = (namespace, write.key)
        self.writes[place] = write
        if write.value is None:
            self.entries[place] = None
        else:
            self.entries[place] = Entry(bytes(write.value), write.version)
            self.namespaces.add(namespace)

    def _named(self, span: range, ids: Sequence[int]) -> tuple[DirtyNote, ...]:
        return tuple(
            DirtyNote(id=str(ids[place]), namespace=self.notes[place][0], key=self.notes[place][1])
            for place in span
        )


def _keys(commit: Commit) -> Iterable[bytes]:
    yield from commit.expect
    yield from (write.key for write in commit.writes)
    yield from (note.key for note in commit.events)
